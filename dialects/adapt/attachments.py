"""Attachments of a request: of what kind they are, and whether a model on Bedrock takes them."""

import base64
import binascii

from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import Media, MediaKind
from dialects.core.faults import FaultError, invalid
from dialects.framing.json_text import dumps

_KINDS = {"image": MediaKind.IMAGE, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}
_IMAGE_TYPES = {
    "image/png": "image/png",
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/gif": "image/gif",
    "image/webp": "image/webp",
}
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/x-yaml", "application/javascript"})


def kind_of(mime: str) -> MediaKind:
    """Name the kind of attachment that has this type."""
    return _KINDS.get(mime.partition("/")[0].lower(), MediaKind.DOCUMENT)


def check(media: Media, profile: ModelProfile) -> set[str]:
    """Refuse what the model cannot see, and name what is left out."""
    seen = {MediaKind.IMAGE: profile.images, MediaKind.DOCUMENT: profile.documents}
    if not seen.get(media.kind, False):
        raise refused(media, profile, "does not take it")
    if media.url:
        raise refused(media, profile, "cannot fetch it from an address: send the data itself, as base64")
    return {f"{media.kind.value} detail"} if media.detail not in ("", "auto") else set()


def refused(media: Media, profile: ModelProfile, why: str) -> FaultError:
    """Build the error for an attachment that model *profile* is about cannot be given."""
    what = f"{media.kind.value} ({media.mime})" if media.mime else media.kind.value
    return invalid(f"messages holds an attachment, {what}, but model {profile.name} {why}", "messages")


def image_type(media: Media, profile: ModelProfile) -> str:
    """Name an image's type as Bedrock knows it."""
    mime = _IMAGE_TYPES.get(media.mime.lower())
    if mime is None:
        raise refused(media, profile, "takes images as PNG, JPEG, GIF or WebP")
    return mime


def text_of(media: Media) -> str | None:
    """Read a document that is text; None for any other."""
    mime = media.mime.lower().partition(";")[0]
    if not mime.startswith("text/") and mime not in _TEXT_TYPES:
        return None
    try:
        return base64.b64decode(media.data).decode("utf-8", "replace")
    except binascii.Error as error:
        raise invalid("messages holds a document whose data is not base64", "messages") from error


def as_text(text: str, *, name: str = "", source: str = "") -> str:
    """Mark the text of a document as such, where it stands within other text."""
    attributes = (f" {key}={dumps(value)}" for key, value in (("name", name), ("source", source)) if value)
    return f"<document{''.join(attributes)}>\n{text}\n</document>"
