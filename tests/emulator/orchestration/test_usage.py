"""Token counts of orchestration, above all those of prompts that were cached."""

from tests.emulator.client import SONNET
from tests.emulator.orchestration.completion import GEMINI, GPT, chunks, modules, result, user

LONG = "The quick brown fox jumps over the lazy dog. " * 200


def _marked(ttl=None):
    mark = {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})
    system = {"role": "system", "content": [{"type": "text", "text": LONG, "cache_control": mark}]}
    return modules(SONNET, [system, user("Hello")])


def test_a_claudes_prompt_leaves_out_what_was_written_to_the_cache_and_read_from_it(eu):
    first, second = (result(eu, _marked("1h"))["usage"] for _ in range(2))

    assert first["prompt_tokens"] == second["prompt_tokens"] == 2
    written = first["prompt_tokens_details"]["cache_creation_tokens"]
    assert written == len(LONG) // 4
    assert first["prompt_tokens_details"] == {
        "cache_creation_tokens": written,
        "cache_creation_token_details": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": written},
    }
    assert second["prompt_tokens_details"] == {"cached_tokens": written}
    assert first["total_tokens"] == 2 + first["completion_tokens"]


def test_streams_leave_out_what_was_written_to_the_cache(eu):
    first, second = (chunks(eu, _marked())[-2]["final_result"]["usage"] for _ in range(2))

    assert (first["prompt_tokens"], "prompt_tokens_details" in first) == (2, False)
    assert second["prompt_tokens_details"] == {"cached_tokens": len(LONG) // 4}


def test_the_prompts_of_others_hold_what_the_cache_gave(eu):
    for model in (GPT, GEMINI):
        first, second = (result(eu, modules(model, LONG + model))["usage"] for _ in range(2))

        assert first["prompt_tokens"] == second["prompt_tokens"]
        assert 1024 <= second["prompt_tokens_details"]["cached_tokens"] <= second["prompt_tokens"]
        assert "cache_creation_tokens" not in first.get("prompt_tokens_details", {})


def test_reasoning_is_counted_within_the_completion(eu):
    usage = result(eu, modules(GPT))["usage"]

    assert usage["completion_tokens_details"] == {"reasoning_tokens": 64}
    assert usage["completion_tokens"] > 64
