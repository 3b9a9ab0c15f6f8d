"""The modules around the model: simple versions of grounding, masking, filtering and translation."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emulator.orchestration.failures import REQUEST_BODY, ModuleFailure
from emulator.world import Json

_INPUT_FILTER = "Filtering Module - Input Filter"
_FILTERED = "Content filtered due to safety violations. Please modify the prompt and try again."
_HARM = re.compile(r"\bharm:(\w+)\b")
"""The words that make a prompt count as harmful: `harm:violence`, `harm:jailbreak`, `harm:privacy`."""
_SEVERITY = 6
_PATTERNS = {
    "profile-email": ("EMAIL", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    "profile-phone": ("PHONE", re.compile(r"\+\d[\d ()/-]{6,}\d")),
    "profile-iban": ("IBAN", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")),
    "profile-url": ("URL", re.compile(r"https?://[^\s\"'<>]+")),
}
"""The entities that are recognised. Others are accepted, but nothing is masked for them."""


@dataclass(slots=True)
class Masks:
    """The masked texts of one request. Pseudonyms can be undone."""

    undone: dict[str, str] = field(default_factory=dict)
    _numbered: dict[tuple[str, str], str] = field(default_factory=dict)

    def number(self, label: str, original: str, *, undo: bool) -> str:
        """Return the numbered mask of a text. Equal texts get equal masks."""
        if (label, original) not in self._numbered:
            number = 1 + sum(known == label for known, _ in self._numbered)
            self._numbered[label, original] = f"{label}_{number}"
        mask = self._numbered[label, original]
        if undo:
            self.undone[mask] = original
        return mask

    def unmask(self, text: str) -> str:
        """Replace masks with the original texts."""
        for mask in sorted(self.undone, key=len, reverse=True):
            text = text.replace(mask, self.undone[mask])
        return text


def masking_of(modules: Json) -> list[Json]:
    """Return the masking providers of a configuration, under either name of the list."""
    masking = modules.get("masking") or {}
    providers: list[Json] = masking.get("providers") or masking.get("masking_providers") or []
    return providers


def mask_text(text: str, providers: list[Json], masks: Masks) -> str:
    """Mask what the providers look for in a text."""
    for provider in providers:
        keep = provider["method"] == "pseudonymization"
        allowed = provider.get("allowlist") or []
        for entity in provider["entities"]:
            text = _mask_entity(text, entity, masks, allowed, keep=keep)
    return text


def _mask_entity(text: str, entity: Json, masks: Masks, allowed: list[str], *, keep: bool) -> str:
    """Mask one kind of entity. *keep* makes the masks pseudonyms that can be undone."""
    strategy = entity.get("replacement_strategy") or {}
    if "regex" in entity:
        label, pattern = strategy["value"], re.compile(entity["regex"])
    elif entity["type"] in _PATTERNS:
        label, pattern = _PATTERNS[entity["type"]]
        label = strategy.get("value", f"MASKED_{label}")
    else:
        return text

    def replace(found: re.Match[str]) -> str:
        if found[0] in allowed:
            return found[0]
        return masks.number(label, found[0], undo=keep) if keep or "value" in strategy else label

    return pattern.sub(replace, text)


def mask_messages(messages: list[Json], providers: list[Json], masks: Masks) -> list[Json]:
    """Mask the texts of a conversation; raises `ModuleFailure` if it has files and a provider has no rule for them."""
    if not all(provider.get("mask_file_input_method") for provider in providers) and any(
        part.get("type") == "file" for message in messages for part in _parts(message)
    ):
        raise ModuleFailure("mask_file_input_method is required if file inputs are provided", REQUEST_BODY)
    return [_changed(message, lambda text: mask_text(text, providers, masks)) for message in messages]


def _changed(message: Json, change: Callable[[str], str]) -> Json:
    """Apply *change* to the texts of a message."""
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": change(content)}
    parts = [{**part, "text": change(part["text"])} if "text" in part else part for part in _parts(message)]
    return {**message, "content": parts}


def _parts(message: Json) -> list[Json]:
    """Return the parts of a message's content; none if the content is a text."""
    content: Any = message.get("content")
    return content if isinstance(content, list) else []


def masking_result(messages: list[Json]) -> Json:
    """Render the result of the masking module."""
    return {"message": "Input to LLM is masked successfully.", "data": {"masked_template": json.dumps(messages)}}


def said_in(messages: list[Json]) -> str:
    """Join all texts of a conversation."""
    texts: list[str] = []
    for message in messages:
        content = message.get("content")
        texts += [content] if isinstance(content, str) else [part["text"] for part in _parts(message) if "text" in part]
    return "\n".join(texts)


def harms_in(text: str, filters: list[Json]) -> Json:
    """Return what the filters object to, by filter; empty if they object to nothing."""
    pretended = set(_HARM.findall(text))
    found: Json = {}
    for one in filters:
        config = one.get("config") or {}
        if one["type"] == "azure_content_safety":
            blocked = any(harm in pretended and config.get(harm, _SEVERITY) < _SEVERITY for harm in config)
            shield = config.get("prompt_shield") is True and "jailbreak" in pretended
            if blocked or shield:
                severities = {_title(harm): _SEVERITY if harm in pretended else 0 for harm in config if harm in _HARMS}
                found[one["type"]] = severities | ({"userPromptAnalysis": {"attackDetected": True}} if shield else {})
        elif flagged := {crime: True for crime, on in config.items() if on and crime in pretended}:
            found[one["type"]] = flagged
    return found


_HARMS = ("hate", "self_harm", "sexual", "violence")


def _title(harm: str) -> str:
    """Return the name of a harm in the format of the safety service."""
    return "".join(word.capitalize() for word in harm.split("_"))


def filter_input(messages: list[Json], filters: list[Json], steps: Json) -> None:
    """Raise `ModuleFailure` for a prompt that a filter objects to; record that it passed otherwise."""
    found = harms_in(said_in(messages), filters)
    if found:
        steps["input_filtering"] = {"message": _FILTERED, "data": found}
        raise ModuleFailure(_FILTERED, _INPUT_FILTER)
    steps["input_filtering"] = {
        "message": "Input Filter passed successfully.",
        "data": {one["type"]: {} for one in filters},
    }


def filtering_result(found: Json, filters: list[Json]) -> Json:
    """Render the result of the output filters."""
    if found:
        return {"message": "Content filtered due to safety violations.", "data": found}
    return {"message": "Output Filter passed successfully.", "data": {one["type"]: {} for one in filters}}


def ground(grounding: Json, values: Json, steps: Json) -> Json:
    """Look up documents; return the value of the placeholder for what was found."""
    placeholders = grounding["config"]["placeholders"]
    query = " ".join(values.get(name, "") for name in placeholders["input"]).strip()
    found = f"A document about: {query}"
    steps["grounding"] = {
        "message": "grounding result",
        "data": {"grounding_query": query, "grounding_result": found},
    }
    return {placeholders["output"]: found}


def record_translation(translation: Json, steps: Json, side: str) -> None:
    """Record a translation. The texts stay as they are."""
    if side in translation:
        language = translation[side]["config"]["target_language"]
        steps[f"{side}_translation"] = {"message": f"Translated {side} to {json.dumps(language)} successfully."}
