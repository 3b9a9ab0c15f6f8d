"""Attachments of a request: of what kind they are, and whether a model on Bedrock takes them."""

import base64
import binascii

from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import Media, MediaKind
from dialects.core.faults import FaultError, invalid
from dialects.framing.json_text import dumps

_KINDS = {"image": MediaKind.IMAGE, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_OFFICIAL = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
"""Types by names that programs use, and which no vendor knows."""
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
    """Name the kind of attachment that has this type."""
    return _KINDS.get(mime.partition("/")[0].lower(), MediaKind.DOCUMENT)


def official_type(mime: str) -> str:
    """Name a type as vendors do."""
    return _OFFICIAL.get(_plain(mime), mime)


def is_text(mime: str) -> bool:
    """Whether what has this type is text, whatever a program calls it."""
    plain = _plain(mime)
    if kind_of(plain) is not MediaKind.DOCUMENT:
        return False
    return plain.startswith("text/") or plain in _TEXT_TYPES or plain.endswith(_TEXT_SUFFIXES)


def _plain(mime: str) -> str:
    return mime.lower().partition(";")[0].strip()


def check(media: Media, profile: ModelProfile) -> set[str]:
    """Refuse what the model cannot see, and name what is left out."""
    seen = {MediaKind.IMAGE: profile.images, MediaKind.DOCUMENT: profile.documents}
    if not seen.get(media.kind, False):
        raise refused(media, profile, "does not support it")
    if media.url:
        raise refused(media, profile, "cannot fetch it from a URL: send the data itself, as base64")
    return {f"{media.kind.value} detail"} if media.detail not in ("", "auto") else set()


def refused(media: Media, profile: ModelProfile, why: str) -> FaultError:
    """Build the error for an attachment that model *profile* is about cannot be given."""
    what = f"{media.kind.value} ({media.mime})" if media.mime else media.kind.value
    return invalid(f"messages contains an attachment, {what}, but model {profile.name} {why}", "messages")


def image_type(media: Media, profile: ModelProfile) -> str:
    """Name an image's type as Bedrock knows it."""
    mime = official_type(media.mime).lower()
    if mime not in _IMAGE_TYPES:
        raise refused(media, profile, "supports images as PNG, JPEG, GIF or WebP only")
    return mime


def text_of(media: Media) -> str | None:
    """Read a document that is text; None for any other."""
    if not is_text(media.mime):
        return None
    try:
        return base64.b64decode(media.data).decode("utf-8", "replace")
    except binascii.Error as error:
        raise invalid("messages contains a document with data that is not base64", "messages") from error


def as_text(text: str, *, name: str = "", source: str = "") -> str:
    """Mark the text of a document as such, where it stands within other text."""
    attributes = (f" {key}={dumps(value)}" for key, value in (("name", name), ("source", source)) if value)
    return f"<document{''.join(attributes)}>\n{text}\n</document>"
