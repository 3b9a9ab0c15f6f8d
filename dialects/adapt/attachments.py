"""Attachments of a request: their kinds and MIME types, and checks of what a model on Bedrock accepts."""

import base64
import binascii

from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import Media, MediaKind
from dialects.core.faults import FaultError, invalid
from dialects.framing.json_text import dumps

_KINDS = {"image": MediaKind.IMAGE, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_OFFICIAL = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
"""The official names of MIME types, by unofficial names that some clients use and no vendor accepts."""
_TEXT_TYPES = frozenset(
    f"application/{prefix}{name}"
    for prefix in ("", "x-")
    for name in (
        *("json", "jsonl", "ndjson", "jsonlines", "xml", "yaml", "toml", "csv", "javascript", "ecmascript"),
        *("typescript", "python", "sh", "shellscript", "sql", "graphql", "httpd-php", "tex", "latex", "markdown"),
    )
)
_TEXT_SUFFIXES = ("+json", "+xml", "+yaml")


def kind_of(mime: str) -> MediaKind:
    """Return the kind of an attachment with this MIME type."""
    return _KINDS.get(mime.partition("/")[0].lower(), MediaKind.DOCUMENT)


def official_type(mime: str) -> str:
    """Return the official name of a MIME type."""
    return _OFFICIAL.get(_plain(mime), mime)


def is_text(mime: str) -> bool:
    """Return whether content of this MIME type is text."""
    plain = _plain(mime)
    if kind_of(plain) is not MediaKind.DOCUMENT:
        return False
    return plain.startswith("text/") or plain in _TEXT_TYPES or plain.endswith(_TEXT_SUFFIXES)


def _plain(mime: str) -> str:
    return mime.lower().partition(";")[0].strip()


def check(media: Media, profile: ModelProfile) -> set[str]:
    """Raise `FaultError` for an attachment that the model cannot read. Return the names of dropped settings."""
    seen = {MediaKind.IMAGE: profile.images, MediaKind.DOCUMENT: profile.documents}
    if not seen.get(media.kind, False):
        raise refused(media, profile, "does not support it")
    if media.url:
        raise refused(media, profile, "cannot fetch it from a URL: send the data itself, as base64")
    return {f"{media.kind.value} detail"} if media.detail not in ("", "auto") else set()


def refused(media: Media, profile: ModelProfile, why: str) -> FaultError:
    """Build the error for an attachment that the model of *profile* cannot read. *why* continues the sentence."""
    what = f"{media.kind.value} ({media.mime})" if media.mime else media.kind.value
    return invalid(f"messages contains an attachment, {what}, but model {profile.name} {why}", "messages")


def image_type(media: Media, profile: ModelProfile) -> str:
    """Return the MIME type of an image as Bedrock names it. Raises `FaultError` if Bedrock does not support it."""
    mime = official_type(media.mime).lower()
    if mime not in _IMAGE_TYPES:
        raise refused(media, profile, "supports images as PNG, JPEG, GIF or WebP only")
    return mime


def text_of(media: Media) -> str | None:
    """Return the text of a document; None if it is not text. Raises `FaultError` if its data is not base64."""
    if not is_text(media.mime):
        return None
    try:
        return base64.b64decode(media.data).decode("utf-8", "replace")
    except binascii.Error as error:
        raise invalid("messages contains a document with data that is not base64", "messages") from error


def as_text(text: str, *, name: str = "", source: str = "") -> str:
    """Wrap the text of a document in a `<document>` element, for use within other text."""
    attributes = (f" {key}={dumps(value)}" for key, value in (("name", name), ("source", source)) if value)
    return f"<document{''.join(attributes)}>\n{text}\n</document>"
