"""Orchestration's modules, which process the prompt and the answer. They are added to a rendered request.

The settings of masking, filtering, grounding and translation have the format of the service, and are passed on
unchanged. It is documented at https://help.sap.com/docs/sap-ai-core/sap-ai-core-service-guide/orchestration.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dialects.adapt.schema_budget import SchemaBudget
from dialects.capabilities.models import ModelProfile, Vendor, profile_for
from dialects.core.conversation import JSON, Family, ToolSpec
from dialects.core.faults import invalid
from dialects.interface import Rendered
from dialects.openai_common.limits import drop_refused_sampling
from dialects.orchestration.limits import (
    ON_BEDROCK,
    fit_parameters,
    fit_schema,
    insists_on_signatures,
    known_parameters,
    profile_through,
)
from dialects.orchestration.templates import grounded, last_text, messages_of
from dialects.orchestration.vocabulary import family_of

DELIMITERS = ("\n", ".", "?", "!")
"""The default places at which a stream may be cut for translation, which requires such a list."""
_LENGTHS = ("max_tokens", "max_completion_tokens")
_WITH_A_TEMPLATE = {
    "tools": "tools cannot be used with model {model}: its stored template has tools of its own",
    "response_format": "a response format cannot be set for model {model}: its stored template has one of its own",
}


@dataclass(frozen=True, slots=True)
class Fallback:
    """A model that orchestration itself asks if the one before fails. *params* override those of the request."""

    model: str
    version: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Modules:
    """The settings of orchestration's modules. A module that is None or empty is not used.

    *template* refers to a stored template by ``id``, or by ``scenario``, ``name`` and ``version``. It follows the
    conversation, and *placeholders* has the values of its placeholders. *version* is that of the model. *timeout* is in
    seconds, for each call of a model. *chunk_size* and *delimiters* decide how much of a stream the modules process at
    once: its size in characters, and the texts at which it may be cut.
    """

    masking: Mapping[str, Any] | None = None
    filtering: Mapping[str, Any] | None = None
    grounding: Mapping[str, Any] | None = None
    translation: Mapping[str, Any] | None = None
    fallbacks: tuple[Fallback, ...] = ()
    template: Mapping[str, Any] | None = None
    placeholders: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    timeout: int | None = None
    chunk_size: int | None = None
    delimiters: tuple[str, ...] = ()


def with_modules(body: JSON, modules: Modules) -> Rendered:
    """Return the rendered request *body* with modules. *body* itself is not changed.

    A grounding without a question of the user, and fallbacks that would refuse the history, are reported as dropped.
    Raises `FaultError` if a stored template conflicts with the tools or the response format of the request.
    """
    if modules == Modules():
        return Rendered(body)
    dropped = []
    templating = body["config"]["modules"]["prompt_templating"]
    request = _with_template(body, templating["prompt"], modules)
    prompt, grounding = request.prompt, modules.grounding
    if grounding is not None:
        placed = _with_grounding(request, grounding)
        if placed is None:
            grounding = None
            dropped.append("grounding")
        request = placed or request
        prompt = request.prompt
    model = _with_settings(templating["model"], modules)
    around = {
        "filtering": modules.filtering,
        "masking": modules.masking,
        "grounding": grounding,
        "translation": modules.translation,
    }
    shared = {name: dict(value) for name, value in around.items() if value is not None}
    messages = [*request.history, *prompt.get("template", [])]
    fallbacks = [each for each in modules.fallbacks if _takes_history(each.model, model["name"], messages)]
    dropped += ["fallbacks"] if len(fallbacks) < len(modules.fallbacks) else []
    asked = [{"prompt": prompt, "model": model}, *_asked_instead(prompt, model, fallbacks, messages)]
    configurations = [{"prompt_templating": each, **shared} for each in asked]
    config = {**body["config"], "modules": configurations if fallbacks else configurations[0]}
    if "stream" in config:
        config["stream"] = _stream(config["stream"], modules)
    rest = {"placeholder_values": request.values, "messages_history": request.history}
    return Rendered({"config": config, **{name: value for name, value in rest.items() if value}}, tuple(dropped))


def _takes_history(other: str, model: str, messages: list[JSON]) -> bool:
    """Return whether the fallback *other* accepts the history for *model*, which orchestration sends to both.

    Claude and Gemini refuse signatures of other models, and some Gemini models refuse calls without a signature. The
    caller would then receive this error instead of the one of *model*.
    """
    family = family_of(other)
    of_others = family in (Family.CLAUDE, Family.GEMINI) and family is not family_of(model)
    if of_others and any("reasoning_content" in message for message in messages):
        return False
    asked = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=-1)
    unsigned = any("tool_calls" in each and "reasoning_content" not in each for each in messages[asked + 1 :])
    return not (unsigned and insists_on_signatures(profile_for(other)))


def _asked_instead(prompt: JSON, model: JSON, fallbacks: list[Fallback], messages: list[JSON]) -> Iterator[JSON]:
    """Yield the prompt and model settings for each fallback, adapted to what its model accepts."""
    called = [call["function"]["name"] for message in messages for call in message.get("tool_calls", [])]
    for fallback in fallbacks:
        profile = profile_through(profile_for(fallback.model))
        other = _instead_of(model, fallback, profile, has_tools="tools" in prompt, called=bool(called))
        yield {"prompt": _prompt_for(prompt, profile, called), "model": other}


@dataclass(frozen=True, slots=True)
class _Request:
    """The parts of a request that modules change: the prompt, the history, and the values of placeholders."""

    prompt: JSON
    history: list[JSON]
    values: dict[str, str]


def _with_template(body: JSON, prompt: JSON, modules: Modules) -> _Request:
    """Use a stored template as the prompt, and move all messages into the history.

    Raises `FaultError` if the template conflicts with the request.
    """
    history, values = body.get("messages_history", []), body.get("placeholder_values", {})
    if modules.template is None:
        return _Request(prompt, history, values)
    for name, why in _WITH_A_TEMPLATE.items():
        if name in prompt:
            model = body["config"]["modules"]["prompt_templating"]["model"]["name"]
            raise invalid(why.format(model=model), name)
    said = [*history, *messages_of(prompt, values)]
    return _Request({"template_ref": dict(modules.template)}, said, dict(modules.placeholders))


def _with_grounding(request: _Request, grounding: Mapping[str, Any]) -> _Request | None:
    """Make the user's last text the question of the grounding, and add a place for its findings.

    Returns None if there is no such text, or if the last message is a prefilled answer.
    """
    names = grounding["config"]["placeholders"]
    question, findings = names["input"][0], names["output"]
    if "template_ref" in request.prompt:
        asked = last_text(request.history)
        return _Request(request.prompt, request.history, {question: asked, **request.values}) if asked else None
    placed = grounded(request.history, request.prompt["template"], request.values, question, findings)
    if placed is None:
        return None
    template, values = placed
    return _Request({**request.prompt, "template": template}, request.history, values)


def _with_settings(model: JSON, modules: Modules) -> JSON:
    version = {"version": modules.version} if modules.version else {}
    timeout = {"timeout": modules.timeout} if modules.timeout is not None else {}
    return {**model, **version, **timeout}


def _prompt_for(prompt: JSON, profile: ModelProfile, called: Iterable[str]) -> JSON:
    """Return a prompt whose tools have schemas that the model of *profile* accepts.

    If no tools are declared, those *called* in the history are declared for models on Bedrock.
    """
    declared = prompt.get("tools", [])
    if not declared and profile.vendor in ON_BEDROCK and "template_ref" not in prompt:
        nothing = {"type": "object", "properties": {}}
        functions = [{"name": name, "parameters": nothing} for name in dict.fromkeys(called)]
        declared = [{"type": "function", "function": function} for function in functions]
    if not declared:
        return prompt
    budget, tools = SchemaBudget(), []
    for tool in declared:
        function = tool["function"]
        spec = ToolSpec(function["name"], parameters=function["parameters"])
        fitted = dict(fit_schema(spec, profile, budget, set()).parameters)
        tools.append({**tool, "function": {**function, "parameters": fitted}})
    return {**prompt, "tools": tools}


def _instead_of(model: JSON, fallback: Fallback, profile: ModelProfile, *, has_tools: bool, called: bool) -> JSON:
    """Return the model settings for a fallback: the parameters that it accepts, with its own length and version."""
    dropped = set[str]()
    params = {name: value for name, value in model["params"].items() if name not in _LENGTHS}
    length = next((model["params"][name] for name in _LENGTHS if name in model["params"]), None)
    if length is not None:
        most = length if profile.max_output is None else min(length, profile.max_output)
        params["max_completion_tokens" if profile.max_completion_tokens else "max_tokens"] = most
    drop_refused_sampling(params, profile, dropped)
    fit_parameters(params, profile, has_tools=has_tools)
    if called and profile.vendor is Vendor.CLAUDE:
        # With calls in the history, Claude thinks only if they have thinking blocks that it signed itself.
        params.pop("reasoning_effort", None)
    kept = {name: value for name, value in model.items() if name != "version"}
    version = {"version": fallback.version} if fallback.version else {}
    params = known_parameters(params, profile, dropped) | dict(fallback.params)
    return {**kept, "name": fallback.model, **version, "params": params}


def _stream(stream: JSON, modules: Modules) -> JSON:
    size = {"chunk_size": modules.chunk_size} if modules.chunk_size is not None else {}
    delimiters = list(modules.delimiters or (DELIMITERS if modules.translation is not None else ()))
    return {**stream, **size, **({"delimiters": delimiters} if delimiters else {})}
