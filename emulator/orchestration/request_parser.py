"""Parser of harmonized requests. Each is converted to the body of the model's vendor, and checked by its rules."""

from dataclasses import dataclass, replace

from emulator.bedrock_converse import request_parser as converse_parser
from emulator.bedrock_converse import validation as converse_validation
from emulator.claude_invoke import request_parser as claude_parser
from emulator.claude_invoke import validation as claude_validation
from emulator.errors import ErrorResponse
from emulator.gemini_generate import request_parser as gemini_parser
from emulator.gemini_generate import validation as gemini_validation
from emulator.model_io import ModelRequest
from emulator.models import Family, Model
from emulator.openai_chat import request_parser as chat_parser
from emulator.openai_chat import validation as chat_validation
from emulator.orchestration.failures import from_provider
from emulator.orchestration.to_claude import claude_body
from emulator.orchestration.to_gemini import gemini_body
from emulator.orchestration.to_nova import nova_body
from emulator.orchestration.validation import check_parameters
from emulator.world import Json


@dataclass(frozen=True, slots=True)
class Harmonized:
    """A request in the format of OpenAI chat, which orchestration has for all models."""

    model: Model
    messages: list[Json]
    params: Json
    tools: list[Json]
    response_format: Json


def parse_request(asked: Harmonized) -> ModelRequest:
    """Build the request to a model; raises if the service or the vendor refuses it."""
    check_parameters(asked.model, asked.params)
    try:
        match asked.model.family:
            case Family.CLAUDE:
                return _claude(asked)
            case Family.GEMINI:
                return _gemini(asked)
            case Family.NOVA:
                return _nova(asked)
            case _:
                return _gpt(asked)
    except ErrorResponse as error:
        raise from_provider(error) from None


def _claude(asked: Harmonized) -> ModelRequest:
    """Build the request to a Claude model."""
    body = claude_body(asked.model, asked.messages, asked.params, asked.tools)
    schema = _schema(asked.response_format)
    if schema and asked.model.output_config:
        wanted = {"format": {"type": "json_schema", "schema": schema}}
        body["output_config"] = body.get("output_config", {}) | wanted
    claude_validation.check(asked.model, body)
    return _with_schema(claude_parser.parse_request(asked.model, body), schema)


def _gemini(asked: Harmonized) -> ModelRequest:
    """Build the request to a Gemini model."""
    body = gemini_body(asked.model, asked.messages, asked.params, asked.tools, asked.response_format)
    gemini_validation.check(asked.model, body)
    return gemini_parser.parse_request(asked.model, body)


def _nova(asked: Harmonized) -> ModelRequest:
    """Build the request to a Nova model."""
    body = nova_body(asked.messages, asked.params, asked.tools)
    converse_validation.check(asked.model, body)
    return _with_schema(converse_parser.parse_request(asked.model, body), _schema(asked.response_format))


def _gpt(asked: Harmonized) -> ModelRequest:
    """Build the request to a GPT model, which knows neither cache marks nor reasoning."""
    body: Json = {key: value for key, value in asked.params.items() if key != "stream_options"}
    body["messages"] = [_plain(message) for message in asked.messages]
    if asked.tools:
        body["tools"] = [{key: tool[key] for key in ("type", "function")} for tool in asked.tools]
    if asked.response_format:
        body["response_format"] = asked.response_format
    chat_validation.check(asked.model, body)
    return chat_parser.parse_request(asked.model, body)


def _plain(message: Json) -> Json:
    """Remove what only Claude and Gemini know from a message."""
    kept = {key: value for key, value in message.items() if key != "reasoning_content"}
    if isinstance(message.get("content"), list):
        kept["content"] = [
            {key: value for key, value in part.items() if key != "cache_control"} for part in message["content"]
        ]
    return kept


def _schema(wanted: Json) -> Json | None:
    """Return the schema of the answer. An empty one means any JSON; None means text."""
    match wanted.get("type"):
        case "json_schema":
            return dict(wanted["json_schema"].get("schema") or {})
        case "json_object":
            return {}
        case _:
            return None


def _with_schema(asked: ModelRequest, schema: Json | None) -> ModelRequest:
    """Set the schema of the answer, for which the vendor's body has no field."""
    return asked if schema is None else replace(asked, schema=schema)
