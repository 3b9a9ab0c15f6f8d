"""The emulator refuses observability headers that SAP AI Core could not understand, and records those it takes."""

import pytest

from tests.emulator.client import CHAT, Client

LABELS = "ai-inference-observability-labels"
HELLO = {"messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    "headers",
    [
        {LABELS: "ext.ai.sap.com/team=search"},
        {LABELS: "ext.ai.sap.com/team=search, ext.ai.sap.com/cost-center=4711 EU"},
        {"ai-inference-observability-persistence-mode": "full", "ai-object-store-secret-name": "records"},
    ],
)
def test_headers_that_are_well_formed_are_taken_and_recorded(eu: Client, headers: dict[str, str]) -> None:
    answer = eu.post("gpt-4.1", CHAT, HELLO, headers=headers)
    [recorded] = [each for each in eu.admin("GET", "requests") if each["kind"] == "inference"]

    assert answer.status_code == 200
    assert {name: recorded["headers"][name] for name in headers} == headers


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({LABELS: "team=search"}, "of the form ext.ai.sap.com/name=value"),
        ({LABELS: "ext.ai.sap.com/team"}, "of the form"),
        ({LABELS: "ext.ai.sap.com/team=a=b"}, "of the form"),
        ({LABELS: ""}, "of the form"),
        ({LABELS: ",".join(f"ext.ai.sap.com/l{number}=x" for number in range(17))}, "more than 16"),
        ({LABELS: "ext.ai.sap.com/a=x,ext.ai.sap.com/a=y"}, "a label twice"),
        ({"ai-inference-observability-persistence-mode": "all"}, "full or metadata"),
        ({"ai-object-store-secret-name": "a b"}, "is not the name of a secret"),
    ],
)
def test_headers_that_are_malformed_are_refused(eu: Client, headers: dict[str, str], words: str) -> None:
    answer = eu.post("gpt-4.1", CHAT, HELLO, headers=headers)

    assert answer.status_code == 400
    assert words in answer.text
