"""Orchestration settings: which models orchestration serves, and with which modules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dialects.orchestration.modules import Modules
from routing.model_names import ModelNames

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
"""The models that orchestration serves and that have no announced end of life. They are the model types of
@sap-ai-sdk/core 2.16, without those that have a protocol of their own."""


@dataclass(frozen=True, slots=True)
class OrchestrationOptions:
    """Settings of orchestration deployments, each of which serves many models."""

    standby: bool = True
    """Whether orchestration serves a model only while no other deployment of that model is available."""
    models: tuple[str, ...] | None = None
    """The models that orchestration serves, by their names in SAP AI Core. With None, the catalogue lists them."""
    modules: Modules = field(default_factory=Modules)
    """The modules for every model that is not in `per_model`."""
    per_model: Mapping[str, Modules] = field(default_factory=dict)
    """The modules for single models, by any of their names."""

    def named(self, model: str) -> str:
        """Return the name under which orchestration knows *model*.

        If neither the settings nor the built-in list have the model, return *model*.
        """
        known = ORCHESTRATED if self.models is None else self.models
        return ModelNames(known, fallback=False).same(model) or model

    def modules_for(self, model: str) -> Modules:
        """Return the modules of orchestration for *model*."""
        name = ModelNames(self.per_model, fallback=False).same(model)
        return self.modules if name is None else self.per_model[name]
