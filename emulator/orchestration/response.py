"""The response of `/v2/completion`: what the model said, in the words of OpenAI's chat, whoever made it."""

from typing import Any

from emulator import signatures
from emulator.bedrock_converse.response import call_id as nova_call_id
from emulator.claude_invoke.response import call_id as claude_call_id
from emulator.claude_invoke.signatures import seal, sign
from emulator.gemini_generate.response import sign_call
from emulator.model_io import ModelResponse, RedactedThought, StopReason, Thought, ToolCall, Usage, text_deltas
from emulator.models import Family, Model
from emulator.openai_chat.response import FINGERPRINT, STOP_REASONS, joined_text, render_logprobs
from emulator.openai_common.vocabulary import call_id as openai_call_id
from emulator.world import Json

_CALL_IDS = {Family.CLAUDE: claude_call_id, Family.NOVA: nova_call_id}
_NAMES = {Family.CLAUDE: "msg_bdrk_01", Family.GPT: "chatcmpl-"}


def head(model: Model, kind: str, request_id: str, created: int) -> Json:
    """Write what stands at the top of an answer and of each of its chunks."""
    name = f"{_NAMES.get(model.family, '')}{request_id[:22]}"
    written: Json = {"id": name, "object": kind, "created": created, "model": model.answers_as}
    return written | ({"system_fingerprint": FINGERPRINT} if model.family is Family.GPT else {})


def call_id(model: Model, call: ToolCall) -> str:
    """Name a tool call as the model's vendor does."""
    return _CALL_IDS.get(model.family, openai_call_id)(call)


def render_choice(model: Model, index: int, given: ModelResponse, params: Json) -> Json:
    """Write one choice; a refusal is a message without content."""
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
    """Write a tool call."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call_id(model, call), "type": "function", "function": function}


def render_reasoning(model: Model, given: ModelResponse) -> list[Json]:
    """Write the reasoning that is shown, signed; GPT shows none, and a Gemini signs its first call with it."""
    match model.family:
        case Family.CLAUDE:
            return [block for part in given.parts for block in _claude_block(part)]
        case Family.GEMINI:
            return _gemini_blocks(model, given)
        case _:
            return []


def _claude_block(part: Any) -> list[Json]:
    """Write a thought of a Claude; what nobody may read has a signature alone."""
    match part:
        case Thought(text):
            return [{"content": text, "signature": sign(text)}]
        case RedactedThought(seed):
            return [{"content": "", "signature": seal(seed)}]
        case _:
            return []


def _gemini_blocks(model: Model, given: ModelResponse) -> list[Json]:
    """Write the thoughts of a Gemini with the signature that its first call must come back with."""
    text = "".join(part.text for part in given.parts if isinstance(part, Thought))
    call = next((part for part in given.parts if isinstance(part, ToolCall)), None)
    if call is not None and (model.signs_calls or given.reasoning):
        return [{"content": text, "signature": sign_call(call)}]
    if model.signs_calls:
        return [{"content": text, "signature": signatures.sign("gemini", text)}]
    return [{"content": text, "signature": ""}] if text else []


def render_usage(model: Model, usage: Usage, *, stream: bool = False) -> Json:
    """Write token counts: a Claude's prompt without what the cache took part in, and streams without what it kept."""
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
    """Write the whole answer of the model."""
    top = head(model, "chat.completion", request_id, created)
    return top | {"choices": choices, "usage": render_usage(model, usage)}
