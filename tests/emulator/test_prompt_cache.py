"""Token counts, and the prompt cache of each tenant and model."""

import pytest

from emulator.model_io import ModelRequest, ModelResponse, PromptSegment, StopReason, Text
from emulator.models import MODELS_BY_NAME
from emulator.prompt_cache import PromptCache
from tests.emulator.client import EVERY_DOOR, HAIKU, SONNET, request, say

LONG = "The quick brown fox jumps over the lazy dog. " * 200
MARK = {"cache_control": {"type": "ephemeral"}}
DONE = ModelResponse((Text("ok"),), StopReason.END)


def _system(text=LONG, **mark):
    return {"system": [{"type": "text", "text": text, **(mark or MARK)}]}


def _claude(client, question, system=None, model=SONNET):
    path, body = request("invoke", model, question)
    usage = client.post(model, path, body | (system or _system())).json()["usage"]
    return usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]


def test_a_marked_prefix_is_written_once_and_then_read(eu):
    written, read = _claude(eu, "First")

    assert (written, read) == (2250, 0)
    assert _claude(eu, "Second") == (0, 2250)
    assert eu.admin("GET", "state")["cache"]["eu"] == {"cacheable_tokens": 4500, "read_tokens": 2250, "requests": 2}


def test_the_cache_belongs_to_a_tenant_and_a_model(eu, us):
    _claude(eu, "First")

    assert _claude(us, "First") == (2250, 0)
    assert _claude(eu, "First", model=HAIKU) == (2250, 0)
    assert _claude(eu, "First", _system(LONG + "!")) == (2251, 0)


def test_a_short_prefix_is_not_kept(eu):
    assert _claude(eu, "First", _system("Be brief.")) == (0, 0)
    assert _claude(eu, "First", _system("Be brief.")) == (0, 0)


def test_a_longer_conversation_reads_what_a_shorter_one_wrote(eu):
    path, body = request("invoke", SONNET, "x")
    first = {"type": "text", "text": LONG, **MARK}
    turns = [{"role": "user", "content": [first]}]
    eu.post(SONNET, path, body | {"messages": turns})
    bare = {"type": "text", "text": LONG}
    later = {"type": "text", "text": LONG + "More.", **MARK}
    turns = [
        {"role": "user", "content": [bare]},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": [later]},
    ]

    usage = eu.post(SONNET, path, body | {"messages": turns}).json()["usage"]

    assert usage["cache_read_input_tokens"] == 2250
    assert usage["cache_creation_input_tokens"] == 2253


def test_an_hour_is_written_as_an_hour(eu):
    path, body = request("invoke", SONNET, "x")
    system = _system(cache_control={"type": "ephemeral", "ttl": "1h"})

    usage = eu.post(SONNET, path, body | system).json()["usage"]

    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2250}


def test_converse_counts_at_its_cache_points(eu):
    path, body = request("converse", HAIKU, "x")
    body["system"] = [{"text": LONG}, {"cachePoint": {"type": "default"}}]

    first, second = (eu.post(HAIKU, path, body).json()["usage"] for _ in range(2))

    assert (first["cacheWriteInputTokens"], first["cacheReadInputTokens"]) == (2250, 0)
    assert (second["cacheWriteInputTokens"], second["cacheReadInputTokens"]) == (0, 2250)
    assert first["inputTokens"] == second["inputTokens"] == 1
    assert first["totalTokens"] == 2251 + first["outputTokens"]


@pytest.mark.parametrize(
    ("door", "model", "cached"),
    [
        ("chat", "gpt-4.1", lambda usage: usage["prompt_tokens_details"]["cached_tokens"]),
        ("responses", "gpt-5", lambda usage: usage["input_tokens_details"]["cached_tokens"]),
        ("gemini", "gemini-2.5-flash", lambda usage: usage.get("cachedContentTokenCount", 0)),
    ],
)
def test_others_cache_by_prefix_in_steps(eu, door, model, cached):
    first = say(eu, door, model, "One", system=LONG)
    second = say(eu, door, model, "Two", system=LONG)
    other = say(eu, door, model, "Two", system="A" + LONG)

    assert [cached(said.usage) for said in (first, second, other)] == [0, 2176, 0]


def test_what_is_cached_is_forgotten_in_time():
    now = [0.0]
    cache = PromptCache(lambda: now[0])
    ask = ModelRequest(MODELS_BY_NAME[SONNET], prompt=(PromptSegment("a" * 8000, 2000, 300.0), PromptSegment("b", 1)))

    def read():
        return cache.account(ask, DONE).read

    assert read() == 0
    now[0] = 299
    assert read() == 2000
    now[0] = 598
    assert read() == 2000
    now[0] = 898
    assert read() == 0


@pytest.mark.parametrize(("door", "model"), EVERY_DOOR)
def test_counts_are_about_four_characters_a_token(eu, door, model):
    said = say(eu, door, model, "scene:echo " + "abcd" * 100)
    usage = said.usage
    prompt = next(
        usage[key] for key in ("input_tokens", "inputTokens", "prompt_tokens", "promptTokenCount") if key in usage
    )

    assert prompt == 103
    output = [usage.get(key, 0) for key in ("output_tokens", "outputTokens", "completion_tokens")]
    thoughts = usage.get("thoughtsTokenCount", 0)
    details = usage.get("completion_tokens_details") or (usage.get("output_tokens_details") or {})
    reasoning = details.get("reasoning_tokens", 0) + details.get("thinking_tokens", 0)
    assert max(*output, usage.get("candidatesTokenCount", 0) + thoughts) - thoughts - reasoning == 100
    assert (reasoning or thoughts) == (64 if MODELS_BY_NAME[model].thinking.value == "always" else 0)
