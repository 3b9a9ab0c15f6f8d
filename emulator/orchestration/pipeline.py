"""The order of the modules: those before the model, and those after it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from emulator.catalogue import listing_of, orchestrated, versions_of
from emulator.model_io import ModelRequest, ModelResponse, Part, StopReason, Text
from emulator.models import Model
from emulator.openai_chat.response import joined_text
from emulator.orchestration.failures import REQUEST_BODY, ModuleFailure
from emulator.orchestration.modules import (
    Masks,
    filter_input,
    filtering_result,
    ground,
    harms_in,
    mask_messages,
    masking_of,
    masking_result,
    record_translation,
)
from emulator.orchestration.request_parser import Harmonized, parse_request
from emulator.orchestration.templating import fill_template, resolve_prompt
from emulator.orchestration.validation import check_files
from emulator.world import Json


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration whose modules before the model have run."""

    modules: Json
    messages: list[Json]
    prompt: Json
    steps: Json
    masks: Masks = field(default_factory=Masks)

    @property
    def wanted(self) -> Json:
        """The requested model and its parameters."""
        found: Json = self.modules["prompt_templating"]["model"]
        return found

    def ask(self) -> ModelRequest:
        """Build the request to the model; raises `ModuleFailure` if the model does not exist or refuses it."""
        model = _model(self.wanted)
        params = self.wanted.get("params") or {}
        tools, wanted = self.prompt.get("tools") or [], self.prompt.get("response_format") or {}
        return parse_request(Harmonized(model, self.messages, params, tools, wanted))

    def finished(self, given: ModelResponse) -> tuple[ModelResponse, Json]:
        """Undo pseudonyms in an answer and filter it; return the result and what the modules report."""
        steps: Json = {}
        said = _with_text(given, self.masks.unmask)
        filters = ((self.modules.get("filtering") or {}).get("output") or {}).get("filters") or []
        if filters:
            found = harms_in(joined_text(said), filters)
            steps["output_filtering"] = filtering_result(found, filters)
            if found:
                said = replace(said, parts=(), stop=StopReason.REFUSAL)
        record_translation(self.modules.get("translation") or {}, steps, "output")
        return said, steps


def _model(wanted: Json) -> Model:
    """Return the requested model and version; raises `ModuleFailure` if orchestration does not serve it."""
    name, version = wanted["name"], wanted.get("version", "latest")
    model = orchestrated().get(name)
    if model is None or model.embeds or version not in ("latest", *versions_of(model)):
        raise ModuleFailure(f"Model {name} in version {version} not found.", unsupported=True)
    return model


def _check_stream(modules: Json, options: Json) -> None:
    """Raise `ModuleFailure` if the request cannot be streamed."""
    model = orchestrated().get(modules["prompt_templating"]["model"]["name"])
    if model is not None and not listing_of(model).orchestration_streams:
        raise ModuleFailure("Streaming is not supported for this model.", REQUEST_BODY)
    if "translation" in modules and not options.get("delimiters"):
        raise ModuleFailure("'delimiters' is a required property when translation is configured", REQUEST_BODY)


def prepare(modules: Json, body: Json, *, stream: bool) -> Prepared:
    """Run the modules before the model; raises `ModuleFailure` if one of them fails."""
    templating = modules["prompt_templating"]
    history, values = body.get("messages_history") or [], body.get("placeholder_values") or {}
    if "prompt" not in templating and not history:
        raise ModuleFailure("Either a prompt template or messages_history must be provided.", REQUEST_BODY)
    check_files([*history, *templating.get("prompt", {}).get("template", [])])
    if stream:
        _check_stream(modules, body["config"]["stream"])
    steps: Json = {}
    prompt = resolve_prompt(templating.get("prompt", {}))
    grounding = modules.get("grounding")
    found = ground(grounding, values, steps) if grounding else {}
    used = grounding["config"]["placeholders"]["input"] if grounding else ()
    messages = [*history, *fill_template(prompt, values, found, used)]
    steps["templating"] = messages
    prepared = Prepared(modules, messages, prompt, steps)
    return _guarded(prepared)


def _guarded(prepared: Prepared) -> Prepared:
    """Translate, mask and filter the prompt."""
    steps, messages = prepared.steps, prepared.messages
    try:
        record_translation(prepared.modules.get("translation") or {}, steps, "input")
        providers = masking_of(prepared.modules)
        if providers:
            messages = mask_messages(messages, providers, prepared.masks)
            steps["input_masking"] = masking_result(messages)
        filters = ((prepared.modules.get("filtering") or {}).get("input") or {}).get("filters") or []
        if filters:
            filter_input(messages, filters, steps)
    except ModuleFailure as failure:
        failure.steps = steps
        raise
    return replace(prepared, messages=messages)


def _with_text(given: ModelResponse, change: Callable[[str], str]) -> ModelResponse:
    """Apply *change* to the texts of an answer."""
    parts: tuple[Part, ...] = tuple(Text(change(part.text)) if isinstance(part, Text) else part for part in given.parts)
    return replace(given, parts=parts)
