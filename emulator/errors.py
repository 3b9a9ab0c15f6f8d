"""Error responses in the format of each model family and of SAP AI Core itself."""

from collections.abc import Iterable

from emulator.model_io import StreamEvent
from emulator.models import Family
from emulator.world import Json

_AWS_TYPES = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_GOOGLE_STATUS = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_THROTTLED = {
    Family.CLAUDE: "Too many tokens, please wait before trying again.",
    Family.GEMINI: "Resource exhausted. Please try again later.",
    Family.GPT: "Requests have exceeded the token rate limit of your current pricing tier. Please retry later.",
}


_OVERFLOW = {
    Family.CLAUDE: "prompt is too long: 215432 tokens > 200000 maximum",
    Family.NOVA: "Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update the input to try"
    " again.",
    Family.TITAN: "400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token count: 9001 ",
    Family.GEMINI: "The input token count (1196265) exceeds the maximum number of tokens allowed (1048576).",
    Family.GPT: "Your input exceeds the context window of this model. Please adjust your input and try again.",
    Family.AZURE_EMBEDDING: "This model's maximum context length is 8192 tokens, however you requested 9001 tokens"
    " (9001 in your prompt; 0 for the completion). Please reduce your prompt; or completion length.",
    Family.NVIDIA: "Input length 9001 exceeds maximum allowed token size 8192",
}


class ErrorResponse(Exception):  # noqa: N818  # what is sent, not a mishap
    """A refusal by the service, with its status, body and headers."""

    def __init__(self, status: int, body: Json | str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.headers = headers or {}


def bedrock(message: str, status: int = 400) -> ErrorResponse:
    """Build an error in Bedrock's format."""
    kind = _AWS_TYPES.get(status, "InternalServerException")
    return ErrorResponse(status, {"message": message}, {"x-amzn-errortype": kind})


def azure(
    message: str,
    param: str | None = None,
    code: str | None = None,
    status: int = 400,
    kind: str = "invalid_request_error",
) -> ErrorResponse:
    """Build an error in Azure OpenAI's format."""
    return ErrorResponse(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


def google(message: str, status: int = 400) -> ErrorResponse:
    """Build an error in Vertex AI's format."""
    return ErrorResponse(status, {"error": {"code": status, "message": message, "status": _GOOGLE_STATUS[status]}})


def gatekeeper(message: str, status: int = 400, label: str = "BadRequest") -> ErrorResponse:
    """Build an error in the format of AI Core's own proxy for models, in which `error` is a string."""
    return ErrorResponse(status, {"error": label, "message": message})


def management(status: int, message: str, target: str, request_id: str) -> ErrorResponse:
    """Build an error in the AI API's format, in which `code` is a string."""
    error = {"code": str(status), "message": message, "requestId": request_id, "target": target}
    return ErrorResponse(status, {"error": error})


def of_family(family: Family, status: int, message: str) -> ErrorResponse:
    """Build an error in the format of a model family."""
    match family:
        case Family.CLAUDE | Family.NOVA | Family.TITAN:
            return bedrock(message, status)
        case Family.GEMINI | Family.GEMINI_EMBEDDING:
            return google(message, status)
        case Family.GPT | Family.AZURE_EMBEDDING | Family.NVIDIA:
            kind = "invalid_request_error" if status < 500 else "server_error"
            return azure(message, code=None if status == 400 else str(status), status=status, kind=kind)
        case Family.ORCHESTRATION:
            location = "Request Body" if status == 400 else "LLM Module"
            error = {"request_id": "r-0", "code": status, "message": f"{status} - {location}: {message}"}
            return ErrorResponse(status, {"error": error | {"location": location}})


def overflow(family: Family) -> ErrorResponse:
    """Build the error for a prompt that is too long, in the format of the family's provider."""
    message = _OVERFLOW.get(family, _OVERFLOW[Family.CLAUDE])
    if family is Family.GPT:
        return azure(message, "messages", "context_length_exceeded")
    return of_family(family, 400, message)


def throttled(family: Family) -> ErrorResponse:
    """Build the error for exhausted capacity, in the format of the family's provider."""
    message = _THROTTLED.get(family, _THROTTLED[Family.CLAUDE])
    if family in (Family.GPT, Family.AZURE_EMBEDDING):
        return ErrorResponse(429, {"error": {"code": "429", "message": _THROTTLED[Family.GPT]}})
    return of_family(family, 429, message)


def in_band(path: str) -> Iterable[StreamEvent]:
    """Return the error event of a stream on this path that fails after HTTP 200."""
    if path == "invoke-with-response-stream":
        return (StreamEvent({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),)
    if path == "converse-stream":
        throttling: Json = {"message": _THROTTLED[Family.CLAUDE]}
        return (StreamEvent({"throttlingException": throttling}, name="throttlingException"),)
    if path.removeprefix("v1/") == "responses":
        error = {
            "type": "too_many_requests",
            "code": "too_many_requests",
            "message": "Too many requests.",
            "param": None,
        }
        failed: Json = {"object": "response", "status": "failed", "error": None, "output": []}
        return (
            StreamEvent({"type": "response.failed", "sequence_number": 2, "response": failed}),
            StreamEvent({"type": "error", "sequence_number": 3, "error": error}),
        )
    if path.startswith("models/"):
        return (StreamEvent(google(_THROTTLED[Family.GEMINI], 429).body),)
    return (StreamEvent({"error": {"code": "429", "message": _THROTTLED[Family.GPT]}}),)
