"""Which models orchestration deployments serve: what the settings say, or the catalogue, or what is built in."""

from collections.abc import Callable, Collection
from datetime import date
from typing import Final

from gateway.config.schema import OrchestrationSection
from gateway.config.subaccounts import SubAccount
from gateway.upstream.catalogue import Catalogue

ORCHESTRATED: Final = (
    "anthropic--claude-4.5-haiku",
    "anthropic--claude-4.5-sonnet",
    "anthropic--claude-4.5-opus",
    "anthropic--claude-4.6-sonnet",
    "anthropic--claude-4.6-opus",
    "anthropic--claude-4.7-opus",
    "anthropic--claude-4.8-opus",
    "amazon--nova-pro",
    "amazon--nova-lite",
    "amazon--nova-micro",
    "amazon--titan-embed-text",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano",
    "gpt-5.1",
    "gpt-5.2",
    "gpt-5.4",
    "gpt-5.4-nano",
    "gpt-5.5",
    "gpt-5.6-sol",
    "gpt-5.6-terra",
    "gpt-5.6-luna",
    "text-embedding-3-large",
    "text-embedding-3-small",
    "gemini-2.5-flash-lite",
    "gemini-3.1-flash-lite",
    "gemini-3.5-flash",
    "gemini-embedding",
    "mistralai--mistral-medium",
    "mistralai--mistral-small",
    "cohere--command-a-reasoning",
    "sonar",
    "sonar-pro",
    "sap-abap-1",
    "nvidia--llama-3.2-nv-embedqa-1b",
)
"""The models that orchestration serves and that have no end in sight: the model types of @sap-ai-sdk/core 2.16,
without those that are asked in a protocol of their own."""


class OrchestratedModels:
    """Names the models that the orchestration deployments of a subaccount serve, by what is known.

    What *section* lists outranks the *catalogue*, which is read by `ask`; without either it is what is built in. A
    model that has ended by *today* is left out. Call it with a subaccount.
    """

    def __init__(self, section: OrchestrationSection, catalogue: Catalogue, today: Callable[[], date]) -> None:
        self._section = section
        self._catalogue = catalogue
        self._today = today

    def ask(self, subaccount: SubAccount) -> None:
        """Ask for the catalogue, where it counts and that is due."""
        if self._section.models is None:
            self._catalogue.look_up(subaccount)

    def __call__(self, subaccount: SubAccount) -> Collection[str]:
        """List them, in the order of where they are named."""
        if self._section.models is not None:
            return tuple(dict.fromkeys(self._section.models))
        return self._listed(subaccount) or ORCHESTRATED

    def asked(self, subaccount: SubAccount) -> Collection[str]:
        """List them as `ask` finds them."""
        self.ask(subaccount)
        return self(subaccount)

    def is_guess(self, subaccount: SubAccount) -> bool:
        """Whether neither the settings nor the catalogue say which they are, so that it is what is built in."""
        return self._section.models is None and not self._listed(subaccount)

    def _listed(self, subaccount: SubAccount) -> Collection[str]:
        models = [model for model in self._catalogue.of(subaccount.name).values() if model.orchestration]
        today = self._today()
        ends = {model.name: model.ends() for model in models}
        return tuple(name for name, end in ends.items() if end is None or end >= today)
