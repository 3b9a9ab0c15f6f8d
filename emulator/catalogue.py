"""The catalogue of the AI API: models and their versions, abilities, retirement dates and successors."""

from dataclasses import dataclass

from emulator.models import MODELS_BY_NAME, Family, Model
from emulator.world import Json

_SEES = (Family.CLAUDE, Family.NOVA, Family.GEMINI, Family.GPT)
_CALLS = _SEES


@dataclass(frozen=True, slots=True)
class Listing:
    """The facts in the catalogue about a model that are not traits of the model itself."""

    ends: str = ""
    """The day of its retirement; empty if none is planned."""
    successors: tuple[str, ...] = ()
    deprecated: bool = False
    orchestration: bool = True
    """Whether orchestration serves it."""
    streams: bool = True
    orchestration_streams: bool = True
    """Whether orchestration can stream it. Orchestration's list of streaming models is behind the catalogue."""
    cost: tuple[str, str] | None = ("0.001", "0.002")
    """Capacity units for 1,000 tokens of input and of output, if they are published."""
    older: tuple[str, ...] = ()
    """Earlier versions, newest first. They are retired no later than the latest."""


LISTINGS = {
    "anthropic--claude-3.5-sonnet": Listing(
        "2026-02-28", ("anthropic--claude-4.6-sonnet",), deprecated=True, orchestration=False
    ),
    "anthropic--claude-4-sonnet": Listing("2026-10-14", ("anthropic--claude-4.5-sonnet",), deprecated=True),
    "gemini-2.5-pro": Listing("2026-10-16", ("gemini-3.5-flash",), deprecated=True),
    "gemini-2.5-flash": Listing("2026-10-16", ("gemini-3.5-flash",), deprecated=True),
    "gemini-3.5-flash-lite": Listing(orchestration_streams=False),
    "gemini-embedding-2": Listing(orchestration=False, cost=None),
    "gpt-4o": Listing("2026-10-01", ("gpt-5",), older=("2024-08-06", "2024-05-13")),
    "gpt-4.1": Listing("2026-10-14", ("gpt-5",), deprecated=True),
    "gpt-5.3-codex": Listing(cost=None),
    "gpt-5.5": Listing(cost=None),
    "gpt-5.6-sol": Listing(cost=None),
    "gpt-5.6-terra": Listing(cost=None),
    "gpt-5.6-luna": Listing(cost=None, streams=False, orchestration_streams=False),
}
_PLAIN = Listing()


def listing_of(model: Model) -> Listing:
    """Return the listing of a model."""
    return LISTINGS.get(model.name, _PLAIN)


def versions_of(model: Model) -> tuple[str, ...]:
    """List the versions of a model, the latest first."""
    return (model.version, *listing_of(model).older)


def orchestrated() -> dict[str, Model]:
    """Return the models that orchestration serves, by name."""
    return {name: model for name, model in MODELS_BY_NAME.items() if listing_of(model).orchestration}


def render_catalogue() -> Json:
    """Render the whole catalogue."""
    resources = [_model(model, listing_of(model)) for model in MODELS_BY_NAME.values()]
    return {"count": len(resources), "resources": resources}


def _model(model: Model, listing: Listing) -> Json:
    """Render a model with its versions, the latest first."""
    scenarios = [{"executableId": model.executable, "scenarioId": "foundation-models"}]
    if listing.orchestration:
        scenarios.append({"executableId": "orchestration", "scenarioId": "orchestration"})
    return {
        "model": model.name,
        "executableId": model.executable,
        "description": f"{model.provider} {model.name}",
        "displayName": model.name.split("--")[-1],
        "provider": model.provider,
        "accessType": "Remote",
        "allowedScenarios": scenarios,
        "versions": [_version(model, listing, name) for name in versions_of(model)],
    }


def _version(model: Model, listing: Listing, name: str) -> Json:
    """Render a version of a model. All but the latest are deprecated."""
    latest = name == model.version
    written: Json = {
        "name": name,
        "isLatest": latest,
        "deprecated": listing.deprecated or not latest,
        "retirementDate": f"{listing.ends}T00:00:00Z" if listing.ends else "",
        "contextLength": model.context,
        "inputTypes": ["text", "image"] if model.family in _SEES else ["text"],
        "capabilities": ["embeddings"] if model.embeds else ["text-generation"],
        "streamingSupported": listing.streams and not model.embeds,
        "orchestrationCapabilities": _orchestration_capabilities(model) if listing.orchestration else [],
        "metadata": [],
        "suggestedReplacements": list(listing.successors),
    }
    if listing.cost is not None:
        written["cost"] = [{"inputCost": listing.cost[0]}, {"outputCost": listing.cost[1]}]
    return written


def _orchestration_capabilities(model: Model) -> list[str]:
    """Return what orchestration can do with a model. SAP documents the field, but not its values: they are invented."""
    if model.embeds:
        return ["embeddings"]
    return ["text-generation", *(["image-input", "tool-calling"] if model.family in _SEES else [])]
