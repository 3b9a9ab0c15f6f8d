"""Where Converse takes a choice among tools, and where Claude's own."""

import pytest

from tests.emulator.client import HAIKU, request

TYPED, BARE = {"type": "auto", "disable_parallel_tool_use": True}, {"disable_parallel_tool_use": True}
CONFLICT = "The additional field tool_choice/type conflicts with the existing field toolConfig.toolChoice.any."


@pytest.mark.parametrize(
    ("choice", "own", "wrong"),
    [
        ({}, TYPED, ""),
        ({"toolChoice": {"any": {}}}, BARE, ""),
        ({"toolChoice": {"any": {}}}, TYPED, CONFLICT),
        ({}, BARE, "The model returned the following errors: tool_choice.type: Field required"),
    ],
)
def test_the_kind_of_choice_stands_in_one_place(eu, choice, own, wrong):
    path, body = request("converse", HAIKU, "a", tools=("f",))
    more = {"toolConfig": body["toolConfig"] | choice, "additionalModelRequestFields": {"tool_choice": own}}

    answer = eu.post(HAIKU, path, body | more)

    assert (400 if wrong else 200) == answer.status_code, answer.text
    assert not wrong or answer.json()["message"].startswith(wrong)
