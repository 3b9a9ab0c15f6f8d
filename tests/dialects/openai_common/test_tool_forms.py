"""Custom tools and searches for tools as functions, and back: the text of a call, whole and in pieces."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dialects.adapt.field_reader import FieldReader
from dialects.core.conversation import Conversation, ToolForm, ToolSpec
from dialects.openai_common.tool_forms import (
    InputText,
    arguments_of_search,
    custom_spec,
    input_text,
    search_arguments,
    search_spec,
)

GRAMMAR = {"syntax": "lark", "definition": "start: x"}
TEXTS = st.text(max_size=12) | st.text(alphabet='"\\n\t{}:🦜\u2028u0', max_size=12)


def in_pieces(arguments: str, size: int) -> str:
    text = InputText()
    pieces = [text.feed(arguments[place : place + size]) for place in range(0, len(arguments), size)]
    return "".join([*pieces, text.finish()])


@given(TEXTS, st.booleans(), st.sampled_from(["", " ", "\n"]), st.integers(1, 5))
@example("🦜", True, "", 5)
@example("\\u", False, " ", 1)
def test_a_text_is_read_out_of_arguments_wherever_they_are_cut(said: str, escaped: bool, blank: str, size: int) -> None:
    arguments = f'{blank}{{{blank}"input"{blank}:{blank}{json.dumps(said, ensure_ascii=escaped)}{blank}}}{blank}'

    assert said == input_text(arguments)
    assert said == in_pieces(arguments, size)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        # Nothing at all, which some models write as an empty object.
        *[("", ""), ("{}", ""), (" { } ", "")],
        # What is no such object is what the model said.
        *[("*** Begin", "*** Begin"), ('{"patch":"x"}', '{"patch":"x"}'), ('{"input":5}', '{"input":5}'), ("{ ", "{ ")],
        # Cut off at the length an answer may have.
        *[('{"input":"ab', "ab"), ('{"input":"ab\\', "ab"), ('{"input":"ab\\u00', "ab"), ('{"inp', '{"inp')],
        # Half of a pair, and an escape that is none.
        *[('{"input":"\\ud83e!"}', "\ufffd!"), ('{"input":"\\udd9c"}', "\ufffd"), ('{"input":"\\q\\uzz"}', "quzz")],
        ('{"input":"\\ud83e\\u0041"}', "\ufffdA"),
    ],
)
def test_arguments_that_hold_no_such_text_lose_nothing(arguments: str, said: str) -> None:
    assert said == input_text(arguments)
    assert said == in_pieces(arguments, 1)


@pytest.mark.parametrize("form", [{"type": "grammar", **GRAMMAR}, {"type": "grammar", "grammar": GRAMMAR}])
def test_a_custom_tool_is_a_function_of_one_text_with_its_grammar_in_its_description(form: dict[str, Any]) -> None:
    declared = {"name": "patch", "description": "Edits files", "format": form}
    spec = custom_spec(FieldReader(declared), "patch", None, declared)

    assert ("patch", ToolForm.CUSTOM, declared) == (spec.name, spec.form, spec.declared)
    assert spec.description == "Edits files\n\nThe input must follow this lark grammar:\nstart: x"
    assert (spec.parameters["required"], spec.parameters["properties"]["input"]["type"]) == (["input"], "string")


def test_a_text_format_has_no_grammar() -> None:
    assert custom_spec(FieldReader({"format": {"type": "text"}}), "patch", None, {}).description == ""


def test_a_search_for_tools_is_a_function_that_says_what_it_is_for() -> None:
    declared = {"type": "tool_search", "execution": "client"}
    spec = search_spec(FieldReader(declared), declared)

    assert (spec.name, spec.form) == ("tool_search", ToolForm.SEARCH)
    assert "tools" in spec.description


@pytest.mark.parametrize(
    ("arguments", "searched"), [('{"query":"a"}', {"query": "a"}), ("", {}), ("{", {}), ("[1]", {})]
)
def test_what_is_searched_for_is_an_object(arguments: str, searched: dict[str, Any]) -> None:
    assert searched == search_arguments(arguments)


def test_what_was_searched_for_is_written_as_arguments() -> None:
    assert '{"query":"a"}' == arguments_of_search({"query": "a"}) == arguments_of_search('{"query":"a"}')
    assert arguments_of_search(None) == "{}"


def test_only_what_is_no_function_has_a_form_to_be_given_back() -> None:
    custom = ToolSpec("b", form=ToolForm.CUSTOM)

    assert Conversation("m", tools=(ToolSpec("a"), custom)).forms == {"b": ToolForm.CUSTOM}
