"""The vendors' own types and parsers read what the emulator writes."""

import json

import pytest
from anthropic.types import Message as ClaudeMessage
from anthropic.types import RawMessageStreamEvent
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import EventStreamJSONParser, create_parser
from botocore.validate import ParamValidator
from google.genai.types import GenerateContentResponse
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.emulator.client import AWS, CHAT, HAIKU, OPUS, SONNET, events, request

BEDROCK = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")
TEXTS = (
    "Hello",
    "scene:parallel",
    "scene:think Hello",
    "scene:quirks",
    "scene:empty",
    "scene:refusal",
    "scene:redacted x",
)
LONG = "The quick brown fox jumps over the lazy dog. " * 200


def _fits(shape, value):
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()


def _known(shape, value, path=""):
    """No member is there that the service model does not know."""
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        for name, item in value.items():
            assert name in shape.members, f"{path}.{name}"
            _known(shape.members[name], item, f"{path}.{name}")
    if shape.type_name == "list":
        for item in value:
            _known(shape.member, item, f"{path}[]")


def _converse(text, *, stream=False):
    path, body = request("converse", HAIKU, text, stream=stream, tools=("a", "b"))
    body["system"] = [{"text": LONG}, {"cachePoint": {"type": "default"}}]
    return path, body


@pytest.mark.parametrize("text", TEXTS)
def test_converse_answers_fit_the_service_model(eu, text):
    shape = BEDROCK.operation_model("Converse").output_shape
    for _ in range(2):
        answer = eu.post(HAIKU, *_converse(text))
        _known(shape, answer.json())
        parsed = create_parser("rest-json").parse(
            {"status_code": 200, "headers": dict(answer.headers), "body": answer.content}, shape
        )
        del parsed["ResponseMetadata"]
        _fits(shape, parsed)


@pytest.mark.parametrize("text", TEXTS)
def test_converse_events_fit_the_service_model(eu, text):
    shape = BEDROCK.operation_model("ConverseStream").output_shape.members["stream"]
    for event in events(eu.post(HAIKU, *_converse(text, stream=True), headers={"Accept": AWS})):
        _known(shape, event)
        [(name, value)] = event.items()
        raw = {"status_code": 200, "headers": {":message-type": "event", ":event-type": name}}
        parsed = EventStreamJSONParser().parse(raw | {"body": json.dumps(value).encode()}, shape)
        _fits(shape, {key: item for key, item in parsed.items() if key != "ResponseMetadata"})


@pytest.mark.parametrize("model", [SONNET, OPUS])
@pytest.mark.parametrize("text", TEXTS)
def test_claudes_answers_are_what_anthropics_types_say(eu, model, text):
    path, body = request("invoke", model, text, tools=("a", "b"))
    ClaudeMessage.model_validate(eu.post(model, path, body).json(), strict=True)
    path, body = request("invoke", model, text, tools=("a", "b"), stream=True)
    adapter = TypeAdapter(RawMessageStreamEvent)
    for event in events(eu.post(model, path, body)):
        adapter.validate_json(json.dumps(event), strict=True)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5"])
def test_chat_answers_are_what_openais_types_say(eu, model, text):
    path, body = request("chat", model, text, tools=("a", "b"))
    ChatCompletion.model_validate(eu.post(model, path, body).json(), strict=True)
    path, body = request("chat", model, text, tools=("a", "b"), stream=True)
    first, *chunks = events(eu.post(model, path, body))
    assert first["object"] == ""
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)


def test_probabilities_are_what_openais_types_say(eu):
    body = {"messages": [{"role": "user", "content": "Hello"}], "logprobs": True, "top_logprobs": 3}
    ChatCompletion.model_validate(eu.post("gpt-4.1", CHAT, body).json(), strict=True)


def _newest(response):
    """Add the count that OpenAI's types want and Azure does not give."""
    if response.get("usage"):
        response["usage"]["input_tokens_details"]["cache_write_tokens"] = 0
    return response


@pytest.mark.parametrize("text", TEXTS)
def test_responses_are_what_openais_types_say(eu, text):
    path, body = request("responses", "gpt-5", text, tools=("a", "b"))
    body |= {"include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}}
    Response.model_validate(_newest(eu.post("gpt-5", path, body).json()))
    adapter = TypeAdapter(ResponseStreamEvent)
    for event in events(eu.post("gpt-5", path, body | {"stream": True})):
        _newest(event.get("response", {}))
        assert adapter.validate_python(event).type == event["type"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-3.5-flash"])
def test_geminis_answers_are_what_googles_types_say(eu, model, text):
    path, body = request("gemini", model, text, tools=("a", "b"))
    GenerateContentResponse.model_validate(eu.post(model, path, body).json())
    path, body = request("gemini", model, text, tools=("a", "b"), stream=True)
    for chunk in events(eu.post(model, path, body)):
        GenerateContentResponse.model_validate(chunk)


def test_embeddings_are_what_openais_types_say(eu):
    answer = eu.post("text-embedding-3-small", "embeddings?api-version=1", {"input": ["a", "b"]})
    CreateEmbeddingResponse.model_validate(answer.json(), strict=True)
