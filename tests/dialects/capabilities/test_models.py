"""Which row of the table a model's name falls into."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dialects.capabilities import models
from dialects.capabilities.models import ThinkingStyle, Vendor, normalised, profile_for


@pytest.mark.parametrize(
    ("name", "vendor", "thinking"),
    [
        ("anthropic--claude-4.8-opus", Vendor.CLAUDE, ThinkingStyle.ADAPTIVE),
        ("anthropic--claude-4.7-opus", Vendor.CLAUDE, ThinkingStyle.ADAPTIVE),
        ("claude-opus-4-7", Vendor.CLAUDE, ThinkingStyle.ADAPTIVE),
        ("claude-opus-5", Vendor.CLAUDE, ThinkingStyle.ADAPTIVE),
        ("anthropic--claude-4.6-sonnet", Vendor.CLAUDE, ThinkingStyle.EITHER),
        ("claude-sonnet-4-6-20260101", Vendor.CLAUDE, ThinkingStyle.EITHER),
        ("anthropic--claude-4.5-opus", Vendor.CLAUDE, ThinkingStyle.BUDGET),
        ("anthropic--claude-4.5-haiku", Vendor.CLAUDE, ThinkingStyle.BUDGET),
        ("claude-sonnet-4-5-20250929", Vendor.CLAUDE, ThinkingStyle.BUDGET),
        ("anthropic--claude-4-sonnet", Vendor.CLAUDE, ThinkingStyle.BUDGET),
        ("claude-sonnet-4-20250514", Vendor.CLAUDE, ThinkingStyle.BUDGET),
        ("anthropic--claude-3.7-sonnet", Vendor.CLAUDE, ThinkingStyle.BUDGET),
        ("anthropic--claude-3.5-sonnet", Vendor.CLAUDE, ThinkingStyle.NONE),
        ("anthropic--claude-3-haiku", Vendor.CLAUDE, ThinkingStyle.NONE),
        ("amazon--nova-pro", Vendor.NOVA, ThinkingStyle.NONE),
        ("amazon--titan-embed-text", Vendor.TITAN, ThinkingStyle.NONE),
        ("gemini-2.5-pro", Vendor.GEMINI, ThinkingStyle.BUDGET),
        ("gemini-3.5-flash", Vendor.GEMINI, ThinkingStyle.LEVEL),
        ("gpt-4o", Vendor.OPENAI, ThinkingStyle.NONE),
        ("gpt-5", Vendor.OPENAI, ThinkingStyle.EFFORT),
        ("o3-mini", Vendor.OPENAI, ThinkingStyle.EFFORT),
        ("sonar-pro", Vendor.PERPLEXITY, ThinkingStyle.NONE),
        ("mistralai--mistral-medium", Vendor.MISTRAL, ThinkingStyle.NONE),
        ("cohere--command-a-reasoning", Vendor.COHERE, None),
        ("something--else", Vendor.OTHER, ThinkingStyle.NONE),
        ("personnel", Vendor.OTHER, ThinkingStyle.NONE),
        ("octopus-1", Vendor.OTHER, ThinkingStyle.NONE),
        ("my-claude", Vendor.CLAUDE, ThinkingStyle.BUDGET),
        ("my-gemini", Vendor.GEMINI, ThinkingStyle.BUDGET),
        ("azure-gpt-5", Vendor.OPENAI, ThinkingStyle.EFFORT),
    ],
)
def test_a_name_finds_its_row(name, vendor, thinking):
    profile = profile_for(name)

    assert name == profile.name
    assert profile.vendor is vendor
    assert thinking in (None, profile.thinking)


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("4-sonnet", "claude-4-sonnet"),
        ("4.5-sonnet", "claude-4.5-sonnet"),
        ("3.5-sonnet", "claude-3.5-sonnet"),
        ("3.7-sonnet", "claude-3.7-sonnet"),
        ("3-haiku", "claude-3-haiku"),
        ("sonnet-4.5", "claude-4.5-sonnet"),
        ("sonnet-3.5", "claude-3.5-sonnet"),
        ("haiku-3", "claude-3-haiku"),
        ("4-opus", "claude-4-opus"),
        ("4.6_opus", "claude-4.6-opus"),
        ("4.8-OPUS", "claude-4.8-opus"),
        ("sonnet", "claude"),
        ("my-claude-4-sonnet", "claude-4-sonnet"),
        ("team2-4.5-opus", "claude-4.5-opus"),
        ("us.anthropic.claude-opus-4-6-v1", "claude-4.6-opus"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3.5-sonnet"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("my-gemini-embedding", "gemini-embedding"),
        ("openai/gpt-5.1", "gpt-5.1"),
    ],
)
def test_a_short_name_or_one_with_something_before_it_finds_the_row_of_the_whole(name, same):
    assert replace(profile_for(same), name=name) == profile_for(name)


@given(st.text(max_size=40))
@example("4.5-sonnet")
def test_the_canonical_name_is_its_own_and_finds_the_same_row(name):
    canonical = models.canonical(name)

    assert canonical == models.canonical(canonical)
    assert replace(profile_for(name), name="") == replace(profile_for(canonical), name="")


def test_what_claude_takes_differs_by_age():
    old, new = profile_for("anthropic--claude-4-sonnet"), profile_for("anthropic--claude-4.7-opus")

    assert (old.native_schema, old.effort, old.temperature, old.top_p_with_temperature) == (False, False, True, True)
    assert (new.native_schema, new.effort, new.temperature, new.top_p_with_temperature) == (True, True, False, False)
    assert "effort-2025-11-24" in profile_for("anthropic--claude-4.5-opus").betas


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        ("anthropic--claude-3-haiku", 4096),
        ("anthropic--claude-3.5-sonnet", 8192),
        ("anthropic--claude-3.7-sonnet", 64_000),
        ("anthropic--claude-4-sonnet", 64_000),
        ("anthropic--claude-4-opus", 32_000),
        ("claude-opus-4-1-20250805", 32_000),
        ("anthropic--claude-4.5-sonnet", 64_000),
        ("anthropic--claude-4.5-opus", 64_000),
        ("anthropic--claude-4.5-haiku", 64_000),
        ("anthropic--claude-4.6-sonnet", 128_000),
        ("anthropic--claude-4.8-opus", 128_000),
        ("claude-of-tomorrow", None),
        ("amazon--nova-pro", 10_000),
        ("amazon--nova-premier", None),
        ("gpt-4o-mini", 16_384),
        ("gpt-5.5", 128_000),
        ("o3-mini", 100_000),
    ],
)
def test_no_more_is_asked_for_than_a_model_gives(name, longest):
    assert longest == profile_for(name).max_output


@given(st.text())
@example("._")
@example("a-- b")
def test_every_name_has_a_row(name):
    assert profile_for(name).name == name
    assert normalised(normalised(name)) == normalised(name)


def test_a_table_without_a_last_row_is_a_mistake(monkeypatch):
    monkeypatch.setattr(models, "PROFILES", ())
    with pytest.raises(AssertionError):
        profile_for.__wrapped__("x")  # whether it was asked before or not
