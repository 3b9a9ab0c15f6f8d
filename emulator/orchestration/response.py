"""Renderer of `/v2/completion` responses, in the format of OpenAI chat for all models."""

from typing import Any

from emulator import signatures
from emulator.bedrock_converse.response import call_id as nova_call_id
from emulator.claude_invoke.response import call_id as claude_call_id
from emulator.claude_invoke.signatures import redact, sign
from emulator.gemini_generate.response import sign_call
from emulator.model_io import ModelResponse, RedactedThought, StopReason, Thought, ToolCall, Usage, text_deltas
from emulator.models import Family, Model
from emulator.openai_chat.response import FINGERPRINT, STOP_REASONS, joined_text, render_logprobs
from emulator.openai_common.vocabulary import call_id as openai_call_id
from emulator.world import Json

_CALL_IDS = {Family.CLAUDE: claude_call_id, Family.NOVA: nova_call_id}
_NAMES = {Family.CLAUDE: "msg_bdrk_01", Family.GPT: "chatcmpl-"}


def head(model: Model, kind: str, request_id: str, created: int) -> Json:
    """Render the first fields of a response and of each of its chunks."""
    name = f"{_NAMES.get(model.family, '')}{request_id[:22]}"
    written: Json = {"id": name, "object": kind, "created": created, "model": model.answers_as}
    return written | ({"system_fingerprint": FINGERPRINT} if model.family is Family.GPT else {})


def call_id(model: Model, call: ToolCall) -> str:
    """Return the id of a tool call in the format of the model's vendor."""
    return _CALL_IDS.get(model.family, openai_call_id)(call)


def render_choice(model: Model, index: int, given: ModelResponse, params: Json) -> Json:
    """Render one choice. A refusal is a message without content."""
    message: Json = {"role": "assistant"}
    text = joined_text(given)
    message["refusal" if text and given.stop is StopReason.REFUSAL else "content"] = text
    if reasoning := render_reasoning(model, given):
        message["reasoning_content"] = reasoning
    calls = [part for part in given.parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = [render_call(model, call) for call in calls]
    choice: Json = {"index": index, "message": message, "finish_reason": STOP_REASONS[given.stop]}
    logprobs = render_logprobs(list(text_deltas(text)), params)
    return choice | ({"logprobs": logprobs} if logprobs else {})


def render_call(model: Model, call: ToolCall) -> Json:
    """Render a tool call."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call_id(model, call), "type": "function", "function": function}


def render_reasoning(model: Model, given: ModelResponse) -> list[Json]:
    """Render the visible reasoning with its signature. GPT models show none."""
    match model.family:
        case Family.CLAUDE:
            return [block for part in given.parts for block in _claude_block(part)]
        case Family.GEMINI:
            return _gemini_blocks(model, given)
        case _:
            return []


def _claude_block(part: Any) -> list[Json]:
    """Render a thought of Claude. A redacted one has only a signature."""
    match part:
        case Thought(text):
            return [{"content": text, "signature": sign(text)}]
        case RedactedThought(seed):
            return [{"content": "", "signature": redact(seed)}]
        case _:
            return []


def _gemini_blocks(model: Model, given: ModelResponse) -> list[Json]:
    """Render Gemini's thoughts, with the signature that its first call needs."""
    text = "".join(part.text for part in given.parts if isinstance(part, Thought))
    call = next((part for part in given.parts if isinstance(part, ToolCall)), None)
    if call is not None and (model.signs_calls or given.reasoning):
        return [{"content": text, "signature": sign_call(call)}]
    if model.signs_calls:
        return [{"content": text, "signature": signatures.sign("gemini", text)}]
    return [{"content": text, "signature": ""}] if text else []


def render_usage(model: Model, usage: Usage, *, stream: bool = False) -> Json:
    """Render the token counts.

    A Claude prompt excludes cached tokens; streams do not report those written to the cache.
    """
    prompt = usage.fresh if model.family is Family.CLAUDE else usage.prompt
    details: Json = {"cached_tokens": usage.read} if usage.read or model.family is Family.GPT else {}
    if usage.written and not stream:
        five = usage.written - usage.written_1h
        split = {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": usage.written_1h}
        details |= {"cache_creation_tokens": usage.written, "cache_creation_token_details": split}
    counted: Json = {
        "completion_tokens": usage.output,
        "prompt_tokens": prompt,
        "total_tokens": prompt + usage.output,
    }
    if details:
        counted["prompt_tokens_details"] = details
    if usage.reasoning:
        counted["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return counted


def render_result(model: Model, choices: list[Json], usage: Usage, request_id: str, created: int) -> Json:
    """Render the whole response of the model."""
    top = head(model, "chat.completion", request_id, created)
    return top | {"choices": choices, "usage": render_usage(model, usage)}
