"""The base class of protocols."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON

RequestConverter = Callable[[JSON], JSON]
"""Converts an OpenAI chat request into the body to post."""
ResponseConverter = Callable[[JSON, str], JSON]
"""Converts the answer of the backend and the name of the model into an OpenAI chat completion."""


class ProtocolHandler(ABC):
    """A protocol: how one dialect is posted to SAP AI Core. It has paths, headers and converters, and no state.

    *name* identifies the protocol in logs. *dialect* is the key of the dialect of the bodies.
    """

    name: ClassVar[str]
    dialect: ClassVar[str]

    @abstractmethod
    def build_endpoint(self, base_url: str, model: str, stream: bool) -> str:
        """Return the URL to post to, from the URL of the deployment."""

    def build_endpoint_for(self, base_url: str, model: str, body: JSON, *, stream: bool) -> str:  # noqa: ARG002
        """Return the URL to post *body* to. Override this if the URL depends on the body."""
        return self.build_endpoint(base_url, model, stream)

    @abstractmethod
    def get_request_converter(self) -> RequestConverter:
        """Return the function that converts an OpenAI chat request into a body."""

    @abstractmethod
    def get_response_converter(self) -> ResponseConverter:
        """Return the function that converts an answer into an OpenAI chat completion."""

    @abstractmethod
    def speaks(self, profile: ModelProfile) -> bool:
        """Return whether the protocol supports deployments of this model."""

    def headers(self, stream: bool) -> dict[str, str]:
        """Return the headers that ask for a stream or for JSON."""
        return {"Accept": "text/event-stream" if stream else "application/json"}

    def __repr__(self) -> str:
        return f"<{self.name}>"
