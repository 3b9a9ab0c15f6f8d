"""Names and tables of Gemini that requests, responses and streams share.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dialects.adapt.attachments import is_text, official_type
from dialects.adapt.hosted_tools import HostedTool
from dialects.core.conversation import (
    JSON,
    Citation,
    Effort,
    Media,
    MediaKind,
    Role,
    Source,
    StopReason,
    Usage,
    WebSearch,
    token_count,
)
from dialects.core.faults import FaultKind

DIALECT = "gemini"
HOSTED = {HostedTool.SEARCH: "googleSearch", HostedTool.FETCH: "urlContext"}
"""Tools that Vertex AI runs itself.

Code execution is not among them, because its results are parts that no other dialect has.
"""
MEDIA_ROLES = frozenset({Role.USER, Role.ASSISTANT})
"""The roles whose turns can hold media. Models see the pictures they drew in their own turns."""
DECLARED = "tools.functionDeclarations"
"""The name in ``extra`` for the fields of function declarations that only Gemini has.

No field of a body has a dot in it.
"""
TURNS = "contents[]"
"""The path prefix of fields in a turn."""
PARTS = f"{TURNS}.parts[]"
BESIDE = frozenset({"mediaResolution", "partMetadata", "thought", "thoughtSignature", "videoMetadata"})
"""Fields that may stand beside the content of a part and mean nothing without it."""
RESOLUTIONS = {"low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH"}
"""Levels of detail for images that OpenAI has as well."""
EFFORTS = {"MINIMAL": Effort.MINIMAL, "LOW": Effort.LOW, "MEDIUM": Effort.MEDIUM, "HIGH": Effort.HIGH}
LEVELS = {
    Effort.NONE: "MINIMAL",
    Effort.MINIMAL: "MINIMAL",
    Effort.LOW: "LOW",
    Effort.MEDIUM: "MEDIUM",
    Effort.HIGH: "HIGH",
    Effort.XHIGH: "HIGH",
    Effort.MAX: "HIGH",
}
# Google's own correspondence, https://ai.google.dev/gemini-api/docs/openai#thinking. Levels above it get the largest
# budget.
BUDGETS = {
    Effort.NONE: 0,
    Effort.MINIMAL: 1024,
    Effort.LOW: 1024,
    Effort.MEDIUM: 8192,
    Effort.HIGH: 24576,
    Effort.XHIGH: 32768,
    Effort.MAX: 32768,
}
# https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse#FinishReason
STOPS = {
    "STOP": StopReason.END,
    "MAX_TOKENS": StopReason.LENGTH,
    "SAFETY": StopReason.FILTERED,
    "RECITATION": StopReason.FILTERED,
    "LANGUAGE": StopReason.FILTERED,
    "BLOCKLIST": StopReason.FILTERED,
    "PROHIBITED_CONTENT": StopReason.FILTERED,
    "SPII": StopReason.FILTERED,
    "MODEL_ARMOR": StopReason.FILTERED,
    "IMAGE_SAFETY": StopReason.FILTERED,
    "IMAGE_PROHIBITED_CONTENT": StopReason.FILTERED,
    "IMAGE_RECITATION": StopReason.FILTERED,
    "IMAGE_OTHER": StopReason.FILTERED,
    "NO_IMAGE": StopReason.FILTERED,
    "MALFORMED_FUNCTION_CALL": StopReason.END,
    "UNEXPECTED_TOOL_CALL": StopReason.END,
    "TOO_MANY_TOOL_CALLS": StopReason.END,
    "OTHER": StopReason.END,
}
FINISHES = {
    StopReason.END: "STOP",
    StopReason.LENGTH: "MAX_TOKENS",
    StopReason.CONTEXT_FULL: "MAX_TOKENS",
    StopReason.TOOL_USE: "STOP",
    StopReason.STOP_SEQUENCE: "STOP",
    StopReason.FILTERED: "SAFETY",
    StopReason.PAUSED: "STOP",
}
# https://cloud.google.com/apis/design/errors#handling_errors
STATUSES = {
    FaultKind.INVALID_REQUEST: "INVALID_ARGUMENT",
    FaultKind.CONTENT_FILTERED: "INVALID_ARGUMENT",
    FaultKind.CONTEXT_LENGTH_EXCEEDED: "INVALID_ARGUMENT",
    FaultKind.TOO_LARGE: "INVALID_ARGUMENT",
    FaultKind.NOT_FOUND: "NOT_FOUND",
    FaultKind.UNAUTHENTICATED: "UNAUTHENTICATED",
    FaultKind.CALLER_LEFT: "CANCELLED",
    FaultKind.RATE_LIMITED: "RESOURCE_EXHAUSTED",
    FaultKind.OVERLOADED: "UNAVAILABLE",
    FaultKind.SERVER_ERROR: "INTERNAL",
    FaultKind.TIMEOUT: "DEADLINE_EXCEEDED",
    FaultKind.UNREACHABLE: "UNAVAILABLE",
    FaultKind.STREAM_BROKEN: "INTERNAL",
    FaultKind.REFUSED_CREDENTIALS: "INTERNAL",
    FaultKind.NO_TOKEN: "UNAVAILABLE",
    FaultKind.DEPLOYMENT_FORBIDDEN: "INTERNAL",
    FaultKind.REQUEST_FORBIDDEN: "PERMISSION_DENIED",
    FaultKind.RESOURCE_NOT_FOUND: "NOT_FOUND",
    FaultKind.GONE: "UNAVAILABLE",
    FaultKind.UNAVAILABLE: "UNAVAILABLE",
    FaultKind.DEFECT: "INTERNAL",
    FaultKind.OTHER: "INTERNAL",
}
_MIME_BY_SUFFIX = {
    "aac": "audio/aac",
    "csv": "text/csv",
    "flac": "audio/flac",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "md": "text/markdown",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
}
_MIME_BY_KIND = {
    MediaKind.IMAGE: "image/jpeg",
    MediaKind.DOCUMENT: "application/pdf",
    MediaKind.AUDIO: "audio/mpeg",
    MediaKind.VIDEO: "video/mp4",
}


_CONTINUATIONS = bytes(range(0x80, 0xC0))
"""The bytes of UTF-8 that continue a character."""
_LONGEST_QUOTE = 2000
"""The number of bytes of a text that a citation repeats. Segments may overlap, and each may be the whole text."""


def camelled(value: JSON) -> JSON:
    """Return an object with its own keys in camel case, since protobuf's JSON allows both spellings."""
    return {camel(name) if "_" in name else name: item for name, item in value.items()}


def camel(name: str) -> str:
    """Convert a name to camel case."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest) if head else name


def mime_of(media: Media) -> str:
    """Return the media type of an attachment. Gemini requires one, and clients do not always send it."""
    return known_type(media.mime) or mime_by_suffix(media.url or media.name) or _MIME_BY_KIND[media.kind]


def known_type(mime: str) -> str:
    """Return the media type under the name Gemini knows. All kinds of text become plain text."""
    return "text/plain" if is_text(mime) else official_type(mime)


def mime_by_suffix(path: str) -> str:
    """Guess a media type from the suffix of a name or a URL; return an empty string if it is unknown."""
    return _MIME_BY_SUFFIX.get(path.partition("?")[0].partition("#")[0].rpartition(".")[2].lower(), "")


def parse_usage(metadata: JSON) -> Usage:
    """Parse the token counts so that each token counts once.

    Gemini's prompt count includes cached tokens; its candidates count excludes thoughts.
    """
    cached = _count(metadata, "cachedContentTokenCount")
    thoughts = _count(metadata, "thoughtsTokenCount")
    prompt = _count(metadata, "promptTokenCount") + _count(metadata, "toolUsePromptTokenCount")
    output = _count(metadata, "candidatesTokenCount") + thoughts
    return Usage(max(0, prompt - cached), cached, 0, output, thoughts)


def render_usage(usage: Usage) -> JSON:
    """Render the token counts as Gemini's clients read them."""
    metadata = {"promptTokenCount": usage.prompt, "candidatesTokenCount": usage.output - usage.reasoning}
    if usage.reasoning:
        metadata["thoughtsTokenCount"] = usage.reasoning
    if usage.cache_read:
        metadata["cachedContentTokenCount"] = usage.cache_read
    return {**metadata, "totalTokenCount": usage.total}


def _count(metadata: JSON, name: str) -> int:
    return token_count(metadata.get(name))


def parse_search(grounding: Mapping[str, Any]) -> WebSearch | None:
    """Parse the web search that Google made, with its results; return None if there was none.

    https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GroundingMetadata
    """
    queries = tuple(str(query) for query in _list(grounding, "webSearchQueries"))
    sources = tuple(source for source in map(_source, _list(grounding, "groundingChunks")) if source)
    return WebSearch(queries, sources) if queries or sources else None


def parse_citations(grounding: Mapping[str, Any], text: str) -> tuple[Citation, ...]:
    """Parse where stretches of *text* come from. Google's positions are in bytes."""
    written = text.encode("utf-8", "surrogatepass")
    return tuple(_citations(grounding, written))


def _citations(grounding: Mapping[str, Any], written: bytes) -> Iterator[Citation]:
    sources = [_source(chunk) for chunk in _list(grounding, "groundingChunks")]
    segments = [(support, *_segment(support)) for support in _list(grounding, "groundingSupports")]
    valid = [(support, first, last) for support, first, last in segments if 0 <= first < last <= len(written)]
    places = _places(written, {place for _, *ends in valid for place in ends})
    for support, first, last in valid:
        said = _text(written[first : min(last, first + _LONGEST_QUOTE)])
        for place in _list(support, "groundingChunkIndices"):
            source = sources[place] if 0 <= place < len(sources) else None
            if source:
                yield Citation(source, places[first], places[last], said)


def _segment(support: Any) -> tuple[int, int]:
    segment = support.get("segment") or {}
    return segment.get("startIndex") or 0, segment.get("endIndex") or 0


def _places(written: bytes, ends: Iterable[int]) -> dict[int, int]:
    """Return the numbers of characters before positions in bytes, each byte of the text being read once."""
    places, before, characters = dict[int, int](), 0, 0
    for end in sorted(ends):
        characters += len(written[before:end].translate(None, _CONTINUATIONS))
        before, places[end] = end, characters
    return places


def render_grounding(search: WebSearch | None) -> JSON:
    """Render a web search with its results as fields of a candidate; return no fields if there was none."""
    if search is None:
        return {}
    chunks = [{"web": {"uri": source.url, "title": source.title}} for source in search.sources]
    return {"groundingMetadata": {"webSearchQueries": list(search.queries), "groundingChunks": chunks}}


def _source(chunk: Any) -> Source | None:
    match chunk:
        case {"web": {"uri": str(url), **web}}:
            return Source(url, str(web.get("title") or ""))
        case _:
            return None


def _text(written: bytes) -> str:
    return written.decode("utf-8", "replace")


def _list(holder: Mapping[str, Any], name: str) -> list[Any]:
    value = holder.get(name)
    return value if isinstance(value, list) else []
