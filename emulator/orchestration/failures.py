"""Failures of orchestration: where it failed, and its results so far, as a body or as a stream's event."""

from collections.abc import Sequence
from typing import Any

from emulator.errors import ErrorResponse
from emulator.world import Json

LLM = "LLM Module"
REQUEST_BODY = "Request Body"
INPUT_PARAMETERS = "Input Parameters"
_RETRIED = (408, 409, 429)
_FALLS_BACK = (408, 429)


class ModuleFailure(Exception):  # noqa: N818  # what is sent, not a mishap
    """A failure of a module. `steps` are the results of the modules before it, which the error includes."""

    def __init__(
        self,
        message: str,
        location: str = LLM,
        status: int = 400,
        headers: dict[str, str] | None = None,
        *,
        unsupported: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.status = status
        self.headers = headers or {}
        self.unsupported = unsupported
        """Whether the model does not exist. Another one may then be tried even after a stream has begun."""
        self.steps: Json = {}

    @property
    def transient(self) -> bool:
        """Whether the service calls the model once more."""
        return self.status in _RETRIED or self.status >= 500

    @property
    def falls_back(self) -> bool:
        """Whether the service tries the next configuration of a list."""
        return self.unsupported or self.status in _FALLS_BACK or self.status >= 500

    def as_json(self, request_id: str) -> Json:
        """Render the failure, with the intermediate results."""
        written: Json = {
            "request_id": request_id,
            "code": self.status,
            "message": f"{self.status} - {self.location}: {self.message}",
            "location": self.location,
        }
        if self.steps:
            written["intermediate_results"] = self.steps
        return written | {"headers": {"Content-Type": "application/json", **self.headers}}


def render_error(failures: Sequence[ModuleFailure], request_id: str, *, listed: bool) -> Json:
    """Render the body of an error: a list if the configurations were a list."""
    written = [failure.as_json(request_id) for failure in failures]
    return {"error": written if listed else written[-1]}


def refusal(failures: Sequence[ModuleFailure], request_id: str, *, listed: bool) -> ErrorResponse:
    """Build the error response, with the status of the last failure."""
    last = failures[-1]
    return ErrorResponse(last.status, render_error(failures, request_id, listed=listed), last.headers)


def from_provider(error: ErrorResponse) -> ModuleFailure:
    """Build the failure for an error of a provider, in the format of any family."""
    return ModuleFailure(_message(error.body), LLM, error.status, error.headers)


def _message(body: Any) -> str:
    """Return the message in an error's body."""
    match body:
        case {"error": {"message": str(message)}} | {"message": str(message)}:
            return message
        case str():
            return body
        case _:
            return "An error occurred while processing your request."
