"""Older api-versions refuse what came later, as Azure's do."""

from typing import Any

import pytest

from tests.emulator.client import Client

HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize(
    ("version", "more", "said"),
    [
        ("2023-05-15", {"tools": [TOOL]}, "Unrecognized request argument supplied: tools"),
        ("2023-05-15", {"tools": [TOOL], "seed": 1}, "Unrecognized request arguments supplied: seed, tools"),
        (
            "2024-02-01",
            {"stream": True, "stream_options": {}},
            "Unrecognized request argument supplied: stream_options",
        ),
        ("2024-06-01", {"response_format": SCHEMA}, "json_schema is enabled only for api versions"),
        ("2023-05-15", {"messages": [{"role": "user", "content": []}]}, "is not of type 'string'"),
    ],
)
def test_what_came_later_is_not_recognized(eu: Client, version: str, more: dict[str, Any], said: str) -> None:
    told = eu.post("gpt-4.1", f"chat/completions?api-version={version}", HELLO | more)

    assert told.status_code == 400
    assert said in told.json()["error"]["message"]


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("2023-05-15", {"temperature": 0.5, "stream": True}),
        ("2023-12-01-preview", {"tools": [TOOL]}),
        ("2024-10-21", {"response_format": SCHEMA, "tools": [TOOL]}),
        ("1", {"tools": [TOOL]}),
    ],
)
def test_what_a_version_knows_is_taken(eu: Client, version: str, more: dict[str, Any]) -> None:
    assert eu.post("gpt-4.1", f"chat/completions?api-version={version}", HELLO | more).status_code == 200
