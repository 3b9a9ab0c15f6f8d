"""Whether a body is one Converse would take: botocore's service model decides, and rules it does not say."""

import functools
import re
from itertools import pairwise
from typing import Any

from tests.oracles.sdks import sdk


@functools.cache
def _shape() -> Any:
    model = sdk("botocore.session").get_session().get_service_model("bedrock-runtime")
    return model.operation_model("Converse").input_shape


def check_converse_request(body: dict[str, Any]) -> None:
    """Raise `AssertionError` with the reason if this is no body for ``converse`` or ``converse-stream``."""
    report = sdk("botocore.validate").ParamValidator().validate({"modelId": "anthropic.claude", **body}, _shape())
    assert not report.has_errors(), report.generate_report()
    messages = body["messages"]
    assert messages, "messages is empty"
    assert messages[0]["role"] == "user", "the user begins"
    assert all(one["role"] != other["role"] for one, other in pairwise(messages)), "roles alternate"
    _check_turns(messages, "toolConfig" in body)
    assert str(body).count("'cachePoint': {") <= 4, "more than four cache points"
    _check_thinking(body)


def _check_turns(messages: list[dict[str, Any]], has_tools: bool) -> None:
    waiting: set[str] = set()
    for index, message in enumerate(messages):
        where, blocks = f"messages[{index}]", message["content"]
        assert blocks, f"{where} is empty"
        assert all(len(block) == 1 for block in blocks), f"{where}: a block is one thing"
        assert all(block["text"].strip() for block in blocks if "text" in block), f"{where}: blank"
        results = [block["toolResult"] for block in blocks if "toolResult" in block]
        assert {result["toolUseId"] for result in results} == waiting, f"{where} answers {results}, not {waiting}"
        others = [kind for block in blocks for kind in block if kind != "cachePoint"]
        assert "toolResult" not in others[len(results) :], f"{where}: results come first"
        calls = [block["toolUse"] for block in blocks if "toolUse" in block]
        assert has_tools or not (calls or results), "tool blocks need toolConfig"
        assert all(isinstance(call["input"], dict) for call in calls), f"{where}: input is an object"
        waiting = {call["toolUseId"] for call in calls}
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call) for call in waiting), f"{where}: {waiting}"
        documents = [block["document"] for block in blocks if "document" in block]
        for document in documents:
            assert re.fullmatch(r"[a-zA-Z0-9()\[\]-]+( [a-zA-Z0-9()\[\]-]+)*", document["name"]), document["name"]
        assert not documents or any("text" in block for block in blocks), f"{where}: a document needs words"
    assert not waiting, f"calls without an answer: {waiting}"


def _check_thinking(body: dict[str, Any]) -> None:
    fields = body.get("additionalModelRequestFields", {})
    thinking, inference = fields.get("thinking", {}), body.get("inferenceConfig", {})
    if thinking:
        choice = body.get("toolConfig", {}).get("toolChoice", {})
        assert not choice.keys() & {"any", "tool"}, "thinking goes with no forced tool"
        assert "temperature" not in inference, "thinking goes with no temperature"
        assert thinking.get("budget_tokens", 0) < inference["maxTokens"], "the budget must be less than the length"
