"""What a model refused once is not sent to it again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.core.faults import Fault, FaultKind
from gateway.requests.rejected_fields import RejectedFields

MODEL = "anthropic--claude-4.5-sonnet"
BODY = {"messages": [], "max_tokens": 5, "anthropic_beta": ["x"], "context_management": {}}


def refused(message: str, kind: FaultKind = FaultKind.INVALID_REQUEST) -> Fault:
    return Fault(kind, message, 400)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("invalid beta flag", "anthropic_beta"),
        ("Invalid Beta Flag: x-2025", "anthropic_beta"),
        ("context_management: Extra inputs are not permitted", "context_management"),
    ],
)
def test_a_field_that_was_refused_by_name_is_left_out_from_then_on(message: str, field: str) -> None:
    lessons = RejectedFields()

    assert lessons.learn(MODEL, BODY, refused(message))
    assert {name: value for name, value in BODY.items() if name != field} == lessons.without(MODEL, BODY)
    assert BODY is lessons.without("another model", BODY)


@pytest.mark.parametrize(
    "fault",
    [
        refused("temperature: range"),
        refused("unheard_of: Extra inputs are not permitted"),
        refused("messages: Extra inputs are not permitted"),
        refused("max_tokens: Extra inputs are not permitted"),
        refused("messages.0.cache: Extra inputs are not permitted"),
        refused("invalid beta flag", FaultKind.SERVER_ERROR),
        refused("context_management: Extra inputs are not permitted", FaultKind.RATE_LIMITED),
    ],
)
def test_other_words_teach_nothing(fault: Fault) -> None:
    lessons = RejectedFields()

    assert not lessons.learn(MODEL, BODY, fault)
    assert BODY is lessons.without(MODEL, BODY)


def test_a_lesson_without_its_field_does_not_ask_for_another_try() -> None:
    assert not RejectedFields().learn(MODEL, {"messages": []}, refused("invalid beta flag"))


def test_of_a_model_that_refuses_everything_the_latest_lessons_are_kept() -> None:
    lessons = RejectedFields()
    fields = [f"field_{'x' * number}" for number in range(40)]
    body = dict.fromkeys(fields, 1)
    for name in fields:
        assert lessons.learn(MODEL, body, refused(f"{name}: Extra inputs are not permitted"))

    assert fields[:8] == list(lessons.without(MODEL, body))


@given(st.text(max_size=60), st.dictionaries(st.sampled_from(list(BODY)), st.none()))
def test_whatever_is_said_a_lesson_only_ever_takes_away(message: str, body: dict[str, None]) -> None:
    lessons = RejectedFields()
    learnt = lessons.learn(MODEL, body, refused(message))
    left = lessons.without(MODEL, body)

    assert left.items() <= body.items()
    assert learnt == (left != body)


def test_one_caller_s_made_up_beta_takes_no_other_beta_from_anyone() -> None:
    lessons = RejectedFields()
    good, bad = {"anthropic_beta": ["context-1m"]}, {"anthropic_beta": ["context-1m", "made-up"]}

    assert lessons.learn(MODEL, bad, refused("invalid beta flag"))
    assert good == lessons.without(MODEL, good)
    assert lessons.without(MODEL, bad) == {}
    assert lessons.without(MODEL, {"anthropic_beta": ["more", "made-up", "context-1m"]}) == {}


def test_made_up_fields_keep_no_model_from_learning() -> None:
    lessons = RejectedFields()
    for number in range(100):
        name = f"field_{'x' * number}"
        assert lessons.learn(MODEL, {name: 1}, refused(f"{name}: Extra inputs are not permitted"))

    assert lessons.learn(MODEL, BODY, refused("context_management: Extra inputs are not permitted"))
    assert "context_management" not in lessons.without(MODEL, BODY)


SEARCHING = {"contents": [], "tools": [{"googleSearch": {}}]}


@pytest.mark.parametrize(
    "message",
    [
        "The following tool is not allowed for model 'gemini-2.5-flash': googleSearch.",
        "The following tools are not allowed for model 'gemini-2.5-flash': googleSearch and urlContext.",
        "Search Grounding is not supported.",
        "google_search is currently not enabled for this project",
    ],
)
def test_a_search_that_a_deployment_does_not_make_is_left_out_from_then_on(message: str) -> None:
    lessons = RejectedFields()
    other = {**SEARCHING, "tools": [{"googleSearch": {}}, {"functionDeclarations": []}]}

    assert lessons.learn(MODEL, SEARCHING, refused(message))
    assert lessons.without(MODEL, SEARCHING) == {"contents": []}
    assert other is lessons.without(MODEL, other)


@pytest.mark.parametrize(
    "tools", [[{"functionDeclarations": []}], [{"type": "function", "name": "f"}], [{"googleSearch": {}}, 5], 5]
)
def test_functions_are_never_left_out(tools: object) -> None:
    said = "The following tools are not allowed for model 'm': custom."

    assert not RejectedFields().learn(MODEL, {"input": "x", "tools": tools}, refused(said))
