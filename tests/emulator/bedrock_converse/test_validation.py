"""What Converse rejects, and in which words."""

import pytest

from tests.emulator.client import HAIKU, OPUS, PNG, request

ADAPT = {"thinking": {"type": "adaptive"}}
SPEC = {"toolSpec": {"name": "a", "inputSchema": {"json": {"type": "object"}}}}
USE = {"toolUse": {"toolUseId": "t1", "name": "a", "input": {}}}
DONE = {"toolResult": {"toolUseId": "t1", "content": [{"text": "ok"}]}}
TOOLS = {"toolConfig": {"tools": [SPEC]}}
A = [{"text": "a"}]


def _turns(*turns):
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


CONVERSE = [
    (HAIKU, {"model": "x"}, "extraneous key [model]"),
    (HAIKU, {"stream": True}, "extraneous key [stream]"),
    (HAIKU, {"inferenceConfig": {"topK": 5}}, "extraneous key [topK]"),
    (HAIKU, _turns(("user", [{"text": "a", "cache_control": {"type": "ephemeral"}}])), "[cache_control]"),
    (HAIKU, _turns(("assistant", A)), "must start with a user message"),
    (HAIKU, _turns(("user", A), ("user", A)), "must alternate"),
    (HAIKU, _turns(("user", [])), "is empty"),
    (HAIKU, _turns(("user", "a")), "is empty"),
    (HAIKU, _turns(("user", [{"text": " "}])), "is blank"),
    (HAIKU, {"system": [{"text": ""}]}, "is blank"),
    (HAIKU, _turns(("user", [{"text": "a", "image": {}}])), "exactly one of"),
    (HAIKU, _turns(("user", A), ("assistant", [USE]), ("user", [DONE])), "toolConfig field must be defined"),
    (HAIKU, _turns(("user", A), ("assistant", [USE]), ("user", A)) | TOOLS, "Expected toolResult blocks"),
    (HAIKU, _turns(("user", A), ("assistant", [USE]), ("user", [*A, DONE])) | TOOLS, "must come before"),
    (HAIKU, _turns(("user", A), ("assistant", A), ("user", [DONE])) | TOOLS, "exceeds the number"),
    (HAIKU, _turns(("user", A), ("assistant", [{"text": "a "}])), "cannot end with trailing whitespace"),
    (HAIKU, {"toolConfig": {"tools": []}}, "at least 1"),
    (HAIKU, {"toolConfig": {"tools": [SPEC], "toolChoice": {"tool": {"name": "b"}}}}, "is not defined"),
    (HAIKU, {"toolConfig": {"tools": [SPEC, SPEC]}}, "duplicate"),
    (HAIKU, _turns(("user", [{"image": {"format": "bmp", "source": {"bytes": PNG}}}])), "enum value set"),
    (
        HAIKU,
        _turns(("user", [*A, {"document": {"format": "pdf", "name": "a.pdf", "source": {"bytes": PNG}}}])),
        "file name may only",
    ),
    (
        HAIKU,
        _turns(("user", [{"document": {"format": "pdf", "name": "a", "source": {"bytes": PNG}}}])),
        "must also contain a text block",
    ),
    (HAIKU, {"system": [{"text": "a"}, *[{"cachePoint": {"type": "default"}}] * 5]}, "maximum number of cachePoint"),
    (HAIKU, {"additionalModelRequestFields": {"foo": 1}}, "foo: Extra inputs are not permitted"),
    (HAIKU, {"additionalModelRequestFields": {"anthropic_beta": ["x"]}}, "invalid beta flag"),
    (HAIKU, {"additionalModelRequestFields": ADAPT}, "adaptive thinking is not supported"),
    (HAIKU, {"inferenceConfig": {"temperature": 0.1, "topP": 0.1}}, "cannot both be specified"),
    (OPUS, {"inferenceConfig": {"temperature": 0.1}}, "`temperature` is deprecated"),
    (
        HAIKU,
        _turns(
            ("user", A),
            ("assistant", [{"reasoningContent": {"reasoningText": {"text": "a", "signature": "b"}}}, *A]),
            ("user", A),
        ),
        "Invalid `signature`",
    ),
    ("amazon--nova-pro", {"additionalModelRequestFields": {"top_k": 5}}, "top_k: Extra inputs"),
]


@pytest.mark.parametrize(("model", "change", "words"), CONVERSE)
def test_converse_refuses(eu, model, change, words):
    path, body = request("converse", model, "Hello")

    answer = eu.post(model, path, body | change)

    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert answer.headers["x-amzn-errortype"] == "ValidationException"
