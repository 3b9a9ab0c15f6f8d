"""Errors of SAP AI Core's orchestration, read without the prompt that they repeat.

An error has a location and a message. If the location is ``LLM Module``, the message is that of the model's vendor. If
orchestration tried several models, the body has a list of errors. The results of the modules, which contain the prompt,
are in ``intermediate_results`` (``module_results`` in the first version of the API). From these, only the names of
filters and of their categories are read.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dialects.core.faults import FaultKind

_PREFIX = re.compile(r"[1-5][0-9]{2} - ")
_STATUS = re.compile(r"[1-5][0-9]{2}")
_MODEL = "LLM Module"
_FILTERS = ("input_filtering", "output_filtering")
_RESULTS = ("intermediate_results", "module_results")
_REPEATED = re.compile(rf',\s*"(?:{"|".join(_RESULTS)})"\s*:')
"""The place where the prompt begins in the JSON. It cannot match in a string, where quotation marks are escaped."""
_FILTERED = re.compile(r"content management policy|ResponsibleAIPolicyViolation|content_?filter", re.IGNORECASE)
_NO_SUCH_MODEL = re.compile(
    r"Model [\w.:-]{1,100} (?:in version [\w.:-]{1,60} )?(?:is )?not (?:found|supported|available)\.?\s*"
    r"|Model name must be one of .*|No (?:running )?deployments? (?:was |were )?found\b.*",
    re.IGNORECASE | re.DOTALL,
)
"""The complete messages of the service about a model that it does not have.

They must match in full, because the message of a vendor may quote any text of the request.
"""
_NAME = re.compile(r"[A-Za-z0-9_ -]{1,40}")
_MOST_NAMES = 12


@dataclass(frozen=True, slots=True)
class OrchestrationError:
    """An error of orchestration, without any text of the prompt.

    *kind* is set if the status does not classify the error correctly. *headers* are those headers of the model's answer
    that the error repeats.
    """

    message: str
    code: str = ""
    status: int | None = None
    kind: FaultKind | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def read(error: object) -> OrchestrationError | None:
    """Read an error, or the last error of a list. Return None if it does not have orchestration's shape."""
    left = [error]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += each
        elif (said := _read_object(each)) is not None:
            return said
    return None


def _read_object(error: object) -> OrchestrationError | None:
    match error:
        case {"message": str(message), "location": str(location), **rest}:
            return _read(message, location, rest)
        case {"message": str(message), "request_id": str(), "code": int() | str() as code, **rest}:
            return _read(message, "", {**rest, "code": code})
        case _:
            return None


def repeats_prompt(loaded: object) -> bool:
    """Return whether a body, or an error in it, contains the results of the modules, which repeat the prompt."""
    error = loaded.get("error") if isinstance(loaded, dict) else None
    errors = [loaded, *(error if isinstance(error, list) else [error])]
    return any(name in each for each in errors if isinstance(each, dict) for name in _RESULTS)


def without_prompt(text: str) -> str:
    """Cut a truncated body before the prompt that it repeats, and complete its JSON if possible."""
    if not (found := _REPEATED.search(text)):
        return text
    head = text[: found.start()]
    return next((whole for end in ("}", "}}", "}]}") if _is_json(whole := head + end)), head)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def status_in(code: object) -> int | None:
    """Return the HTTP status that the code of an error is, as a number or in digits; None if it is none."""
    found = _STATUS.fullmatch(str(code)) if isinstance(code, int | str) else None
    return int(found[0]) if found else None


def _read(message: str, location: str, rest: Mapping[Any, Any]) -> OrchestrationError:
    code = rest.get("code")
    status = status_in(code)
    words = _PREFIX.sub("", message, count=1) if _PREFIX.match(message) else message
    of_model = location == _MODEL or words.startswith(f"{_MODEL}: ")
    words = words.removeprefix(f"{_MODEL}: ")
    kind, said = None, code if isinstance(code, str) and status is None else ""
    if location.startswith("Filtering Module") or words.startswith("Filtering Module"):
        kind, said = FaultKind.CONTENT_FILTERED, "content_filter"
        words += _by_filters(rest)
    elif of_model and _FILTERED.search(words):
        kind, said = FaultKind.CONTENT_FILTERED, "content_filter"
    elif of_model and status in (400, 404) and _NO_SUCH_MODEL.fullmatch(words):
        # The deployment works. Another one may have the model, or this version of it.
        kind = FaultKind.RESOURCE_NOT_FOUND
    headers = rest.get("headers")
    named = headers if isinstance(headers, dict) else {}
    kept = {str(name): value for name, value in named.items() if isinstance(value, str)}
    return OrchestrationError(words, said, status, kind, kept)


def _by_filters(rest: Mapping[Any, Any]) -> str:
    """Return a phrase that names the filters that were hit and the categories that they found."""
    found = list(dict.fromkeys(_hits(rest)))[:_MOST_NAMES]
    return f" (found by {', '.join(found)})" if found else ""


def _hits(rest: Mapping[Any, Any]) -> Iterator[str]:
    results = [result for name in _RESULTS if isinstance(result := rest.get(name), dict)]
    for result in [result.get(name) for result in results for name in _FILTERS]:
        data = result.get("data") if isinstance(result, dict) else None
        for name, findings in data.items() if isinstance(data, dict) else ():
            for what, value in findings.items() if isinstance(findings, dict) else ():
                is_hit = value is True or (isinstance(value, int | float) and value > 0)
                if is_hit and all(isinstance(each, str) and _NAME.fullmatch(each) for each in (name, what)):
                    yield f"{name}: {what}"
