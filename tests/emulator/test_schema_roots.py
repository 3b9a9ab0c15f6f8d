"""Schemas that each vendor refuses for what stands outermost."""

import pytest

from tests.emulator.asking import request

NOVA = "amazon--nova-pro"
OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


@pytest.mark.parametrize("key", ["$defs", "definitions", "$schema", "title", "additionalProperties", "$ref"])
def test_nova_knows_three_keywords(eu, key):
    path, body = request("converse", NOVA, "a")

    def offer(schema):
        spec = {"toolSpec": {"name": "f", "inputSchema": {"json": schema}}}
        return eu.post(NOVA, path, body | {"toolConfig": {"tools": [spec]}})

    answer = offer(OBJECT | {key: False})

    assert 200 == offer(OBJECT).status_code
    assert (400, "ValidationException") == (answer.status_code, answer.headers["x-amzn-errortype"])
    assert f"#/toolConfig/tools/0/toolSpec/inputSchema/json: extraneous key [{key}]" in answer.json()["message"]
