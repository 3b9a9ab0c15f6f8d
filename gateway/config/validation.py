"""Validation of the config file with pydantic.

Its errors are translated into messages that say what to write instead.
"""

from collections.abc import Container, Iterator, Sequence
from typing import Any, Final, Literal

from pydantic import ValidationError

from gateway.config.mistakes import Findings, Place, kind
from gateway.config.schema import ConfigFile

UNKNOWN: Final = {"extra_forbidden", "unexpected_keyword_argument"}
"""The types of pydantic's errors for an unknown key."""

_OBJECT: Final = "must be an object, not {kind}; write it in braces, as in {{…}}"
_WHOLE: Final = "must be a whole number, not {kind}; write one without quotes"
_NUMBER: Final = "must be a number, not {kind}; write one without quotes"
_BOOLEAN: Final = "must be true or false, not {kind}; write one of them without quotes"
_OBJECT_AS_JSON: Final = 'must be an object; write it as JSON, as in {{"…": "…"}}'
_MESSAGES: Final = {
    # pydantic's type of the error   what is wrong, and what to write instead
    "missing": "is missing; add it",
    "string_type": "must be a string, not {kind}; write it in quotes",
    "list_type": 'must be a list, not {kind}; write it in brackets, as in ["…"]',
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "dataclass_type": _OBJECT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "is too large; write a number with fewer digits",
    "finite_number": "must be a finite number; write one with digits",
    "string_unicode": "has half of a character; write letters and digits alone",
    "int_from_float": "must be a whole number; write one without a fraction",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "string_too_short": "is empty; write something, or leave it out",
    "too_long": "has too many entries; write at most {max_length}",
    "greater_than": "is too small; write a number above {gt}",
    "greater_than_equal": "is too small; write a number of at least {ge}",
    "less_than_equal": "is too large; write a number of at most {le}",
    "literal_error": "is unknown; write {expected}",
    "value_error": "{error}",
}

_OF_VARIABLES: Final = {
    # the same for a value that is a string from an environment variable
    "list_type": 'must be a list; write it as JSON, as in ["…"]',
    "dict_type": _OBJECT_AS_JSON,
    "model_type": _OBJECT_AS_JSON,
    "dataclass_type": _OBJECT_AS_JSON,
    "int_parsing": "must be a whole number; write digits alone",
    "float_parsing": "must be a number; write one as in 2.5",
    "bool_parsing": "must be true or false; write one of them",
}


_OF_NAMES: Final = "[key]"
"""The step that pydantic appends to a place if the name of a key is wrong and not its value."""


def validated(
    raw: Any, findings: Findings, extra: Literal["forbid", "ignore"]
) -> tuple[ConfigFile | None, Sequence[tuple[Place, str, str]]]:
    """Validate the content of a config file. Return the config, or None and a list of mistakes.

    Each mistake has its place, pydantic's type of the error, and the message. *extra* says whether unknown keys are
    mistakes. Messages never contain values, which may be secrets.
    """
    try:
        return ConfigFile.model_validate(raw, extra=extra, context=findings.env), ()
    except ValidationError as error:
        return None, tuple(_described(error, findings.texts))


def _described(error: ValidationError, texts: Container[Place]) -> Iterator[tuple[Place, str, str]]:
    """Describe each mistake; *texts* are the places that an environment variable sets to a string."""
    for each in error.errors(include_url=False):
        of_variables = _OF_VARIABLES.get(each["type"]) if each["loc"] in texts else None
        message = of_variables or _MESSAGES.get(each["type"])
        words = {"kind": kind(each["input"]), **each.get("ctx", {})}
        place = tuple(step for step in each["loc"] if step != _OF_NAMES)
        yield place, each["type"], message.format(**words) if message else each["msg"]
