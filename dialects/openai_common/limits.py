"""What OpenAI's models refuse in both dialects: efforts, sampling, lengths, schemas of tools, attachments."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from dialects.adapt.field_reader import FieldReader
from dialects.adapt.schema_cache import cached
from dialects.adapt.schemas import for_openai
from dialects.capabilities.models import ModelProfile, ThinkingStyle
from dialects.core.conversation import JSON, Effort, Media, MediaKind, Reasoning, ToolSpec
from dialects.core.faults import invalid
from dialects.openai_common.request_parser import effort_in
from dialects.openai_common.strict_schemas import is_strict
from dialects.openai_common.vocabulary import LOGPROBS

_ADAPT = {choices: partial(for_openai, choices=choices) for choices in (False, True)}
"""The function that adapts the schema of a tool, by whether choices (``anyOf``) are allowed in it."""
_EFFORTS = tuple(Effort)
_EFFORT_OF_BUDGET = ((1024, Effort.MINIMAL), (4096, Effort.LOW), (16384, Effort.MEDIUM))
"""The effort for a budget of thinking tokens: the largest budget, and its effort."""
_SAMPLING_DEFAULTS: Mapping[str, Any] = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": {},
}


def nearest_effort(reasoning: Reasoning | None, profile: ModelProfile, dropped: set[str]) -> str | None:
    """Return the effort nearest to the requested one that the model accepts; None for no effort."""
    effort = _wanted(reasoning)
    if profile.thinking is not ThinkingStyle.EFFORT:
        if effort not in (None, Effort.NONE) or (effort is None and reasoning and reasoning.adaptive):
            dropped.add("reasoning_effort")
        return None
    if effort is None:
        return None
    known = [Effort(each) for each in profile.efforts]
    wanted = _EFFORTS.index(effort)
    if effort not in known and effort is not Effort.NONE:
        dropped.add(f"reasoning_effort {effort.value}")
    return min(known, key=lambda each: (abs(_EFFORTS.index(each) - wanted), _EFFORTS.index(each))).value


def fit_effort(asked: JSON, name: str, profile: ModelProfile, dropped: set[str]) -> None:
    """Replace the effort at *name* in *asked* with the nearest one that the model accepts."""
    effort = effort_in(FieldReader(asked), name) if name in asked else None
    if effort is None:
        return
    nearest = nearest_effort(Reasoning(effort), profile, dropped)
    if nearest is None:
        del asked[name]
    else:
        asked[name] = nearest


def _wanted(reasoning: Reasoning | None) -> Effort | None:
    if reasoning is None or reasoning.effort is not None or reasoning.budget is None:
        return reasoning.effort if reasoning else None
    return next((effort for most, effort in _EFFORT_OF_BUDGET if reasoning.budget <= most), Effort.HIGH)


def drop_refused_sampling(body: JSON, profile: ModelProfile, dropped: set[str]) -> None:
    """Remove the sampling settings that the model refuses; report those that differ from the default as dropped.

    Stop sequences beyond the number that the model accepts are removed as well.
    """
    refused = [name for name in _SAMPLING_DEFAULTS.keys() & body.keys() if _refuses(profile, name, body)]
    for name in refused:
        value = body.pop(name)
        if value is not None and value != _SAMPLING_DEFAULTS[name]:
            dropped.add(name)
    if "stop" in body:
        _drop_stops(body, profile.stops, dropped)
    if not profile.penalties and isinstance(include := body.get("include"), list) and LOGPROBS in include:
        dropped.add("logprobs")
        body["include"] = [name for name in include if name != LOGPROBS]
        if not body["include"]:
            del body["include"]


def _refuses(profile: ModelProfile, name: str, body: JSON) -> bool:
    """Return whether the model refuses the sampling setting *name* in combination with the rest of *body*."""
    match name:
        case "temperature":
            return not profile.temperature
        case "top_p":
            alone = profile.top_p_with_temperature or body.get("temperature") is None
            return not (profile.top_p and alone)
        case _:
            return not profile.penalties


def _drop_stops(body: JSON, most: int | None, dropped: set[str]) -> None:
    stops = body.get("stop")
    many = len(stops) if isinstance(stops, list) else int(bool(stops))
    if most is not None and many > most:
        dropped.add("stop")
    if most == 0 or stops == []:
        body.pop("stop", None)
    elif isinstance(stops, list):
        body["stop"] = stops[:most]


def fit_length(length: int | None, profile: ModelProfile, dropped: set[str]) -> int | None:
    """Limit the requested length to the model's maximum."""
    if length is None or profile.max_output is None or length <= profile.max_output:
        return length
    dropped.add("max_tokens over the model's limit")
    return profile.max_output


def fit_tool(tool: ToolSpec, dropped: set[str], *, choices: bool = False, own: bool = True) -> ToolSpec:
    """Adapt a tool's schema to what OpenAI accepts. *choices* has the meaning it has in `schemas.for_openai`.

    A tool stays strict only if its schema did not have to change. Clients of OpenAI's *own* dialects know which schemas
    OpenAI can enforce. Other clients may rely on schemas that it cannot enforce, so theirs are checked.
    """
    adapted = cached(_ADAPT[choices], tool.parameters)
    dropped |= {f"tools[].parameters.{name}" for name in adapted.dropped}
    strict = tool.strict
    if strict and (adapted.schema != tool.parameters or not (own or is_strict(tool.parameters))):
        dropped.add("tools[].strict")
        strict = False
    return replace(tool, parameters=adapted.schema, strict=strict)


def check_media(attached: Media, profile: ModelProfile) -> None:
    """Raise `FaultError` for an attachment of a kind that the model cannot read."""
    able = {
        MediaKind.IMAGE: profile.images,
        MediaKind.DOCUMENT: profile.documents,
        MediaKind.AUDIO: profile.audio,
        MediaKind.VIDEO: False,
    }
    if not able[attached.kind]:
        raise invalid(f"messages contains {attached.kind.value} content, which model {profile.name} does not support")
