"""The models that a running proxy serves: what each takes, when it ends, and who serves it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dialects.core.conversation import JSON
from gateway.cli.running_proxy import RunningProxy
from gateway.cli.terminal import Cell, Drawing, Mark, Space, joined, styled, table
from routing.availability import Availability

_WIDE: Final = 100
"""How many columns a terminal has from which on everything is shown."""
_AVAILABLE: Final = frozenset({Availability.AVAILABLE.value, Availability.PROBE.value, Availability.PROBING.value})


@dataclass(frozen=True, slots=True)
class ServingSubaccount:
    """A subaccount that serves a model."""

    subaccount: str
    deployments: int
    available: int
    """How many of them may be asked now."""
    orchestration: int
    """How many of them are orchestration."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model, or another name of one; its limits are in tokens, and None where they are not known."""

    name: str
    context_window: int | None
    max_output: int | None
    reads: tuple[str, ...]
    """What it understands: "text", "image", "file", "audio"."""
    ends: str | None
    """The day on which it ends or ended."""
    successor: str | None
    """What to deploy instead, if it ends soon."""
    served_by: tuple[ServingSubaccount, ...]
    """None for another name of a model."""

    @property
    def is_available(self) -> bool:
        """Whether it may be asked now, as far as is known of it."""
        return not self.served_by or any(each.available for each in self.served_by)


def look_up(proxy: RunningProxy) -> list[ServedModel]:
    """Ask a running proxy for its models, sorted by name; raises `RunningProxyError`."""
    listed = proxy.ask("/v1/models", _listed, "which models it serves")
    return proxy.ask("/router/state", lambda state: _served(listed, state), "how it is")


def render(models: Iterable[ServedModel], space: Space) -> Drawing:
    """Draw the models as a table."""
    is_wide = space.width >= _WIDE
    headings = ["", "model", "context", "output", *(["reads"] if is_wide else []), "ends", "served by"]
    rows: list[list[Cell]] = [
        [
            (Mark.OK if each.is_available else Mark.WRONG).sign(is_utf=space.is_utf),
            each.name,
            _tokens(each.context_window),
            _tokens(each.max_output),
            *([", ".join(each.reads)] if is_wide else []),
            _end(each, is_wide=is_wide),
            _servants(each),
        ]
        for each in models
    ]
    return table(headings, rows, right=("context", "output"), is_dense=True)


def _listed(body: JSON) -> list[Mapping[str, Any]]:
    return sorted(body["data"], key=lambda each: str(each["id"]))


def _served(listed: Iterable[Mapping[str, Any]], state: JSON) -> list[ServedModel]:
    """Put together what the list of models says and what the router knows."""
    successors = {each["model"]: each["successor"] for each in state["endings"]}
    return [
        ServedModel(
            name=each["id"],
            context_window=each.get("context_window"),
            max_output=each.get("max_output_tokens"),
            reads=tuple(each.get("input_modalities", ())),
            ends=each.get("shutdown_date"),
            successor=successors.get(each["id"]),
            served_by=_served_by(each["id"], state["endpoints"]),
        )
        for each in listed
    ]


def _served_by(model: str, rows: Iterable[Mapping[str, Any]]) -> tuple[ServingSubaccount, ...]:
    """Count the deployments of a model by subaccount; one is available if some worker may ask it."""
    found: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        if row["model"] == model:
            found.setdefault(row["subaccount"], {}).setdefault(row["deployment"], []).append(row)
    return tuple(
        ServingSubaccount(
            subaccount=subaccount,
            deployments=len(deployments),
            available=sum(any(row["standing"] in _AVAILABLE for row in same) for same in deployments.values()),
            orchestration=sum(same[0]["orchestration"] for same in deployments.values()),
        )
        for subaccount, deployments in sorted(found.items())
    )


def _tokens(number: int | None) -> Cell:
    return styled("-", "dim") if number is None else f"{number:,}"


def _end(model: ServedModel, *, is_wide: bool) -> Cell:
    if model.ends is None:
        return styled("-", "dim")
    return styled(f"{model.ends}; deploy {model.successor}" if model.successor and is_wide else model.ends, "yellow")


def _servants(model: ServedModel) -> Cell:
    """Name the subaccounts with their numbers of deployments, and how many of these are not available."""
    if not model.served_by:
        return styled("another name", "dim")
    parts: list[Cell] = []
    for each in model.served_by:
        own = each.deployments - each.orchestration
        counted = [f"x{own}"] * bool(own) + [f"x{each.orchestration} orchestration"] * bool(each.orchestration)
        text = f"{each.subaccount} {' + '.join(counted)}"
        missing = each.deployments - each.available
        parts.append(joined([text, styled(f"({missing} unavailable)", "red")], " ") if missing else text)
    return joined(parts, ", ")
