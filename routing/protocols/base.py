"""What a protocol is: how one dialect is posted to SAP AI Core."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON

RequestConverter = Callable[[JSON], JSON]
"""Takes an OpenAI chat request and gives the body to post."""
ResponseConverter = Callable[[JSON, str], JSON]
"""Takes the backend's answer and the model's name, and gives an OpenAI chat completion."""


class ProtocolHandler(ABC):
    """Knows the paths, headers and converters of one protocol, and holds no state.

    *name* is for logs, *dialect* the key of the language that is posted.
    """

    name: ClassVar[str]
    dialect: ClassVar[str]

    @abstractmethod
    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:
        """Write the URL to post to, given the deployment's own."""

    def build_endpoint_for(self, base_url: str, model: str, body: JSON, *, stream: bool) -> str:  # noqa: ARG002
        """Write the URL to post *body* to; most protocols need not look at it."""
        return self.build_endpoint(base_url, model, stream)

    @abstractmethod
    def get_request_converter(self) -> RequestConverter:
        """Give the function that makes a body from an OpenAI chat request."""

    @abstractmethod
    def get_response_converter(self) -> ResponseConverter:
        """Give the function that makes an OpenAI chat completion from an answer."""

    @abstractmethod
    def speaks(self, profile: ModelProfile) -> bool:
        """Say whether deployments of this model should be asked in this protocol."""

    def headers(self, stream: bool) -> dict[str, str]:
        """Name the form in which the answer should come."""
        return {"Accept": "text/event-stream" if stream else "application/json"}

    def __repr__(self) -> str:
        return f"<{self.name}>"
