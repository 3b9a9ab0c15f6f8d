"""What is built in of each model: its limits, what it reads, and when it ended."""

from datetime import date

import pytest

from dialects.capabilities.model_info import RETIREMENTS, ModelInfo, built_in, context_length
from dialects.capabilities.models import profile_for


@pytest.mark.parametrize(
    ("model", "length"),
    [
        ("anthropic--claude-4.5-sonnet", 200_000),
        ("anthropic--claude-4.5-opus", 200_000),
        ("anthropic--claude-4.6-sonnet", 1_000_000),
        ("anthropic--claude-4.6-opus", 1_000_000),
        ("anthropic--claude-4.8-opus", 1_000_000),
        ("claude-opus-4-7", 1_000_000),
        ("amazon--nova-pro", 300_000),
        ("amazon--nova-micro", 128_000),
        ("gemini-3.5-flash", 1_048_576),
        ("gemini-2.5-flash-image", 32_768),
        ("gemini-embedding", 2_048),
        ("gpt-5", 400_000),
        ("gpt-5-mini", 400_000),
        ("gpt-5.3-codex", 400_000),
        ("gpt-5.4-nano", 400_000),
        ("gpt-5.5", 1_050_000),
        ("gpt-5.6-sol", 1_050_000),
        ("text-embedding-3-large", 8_191),
        ("sonar-pro", 200_000),
        ("sonar", 128_000),
        ("some-model", None),
    ],
)
def test_context_lengths_are_known_by_name(model, length):
    assert context_length(model) == length


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("gpt-5", 272_000),
        ("gpt-5.5", 922_000),
        ("gpt-4.1", 1_047_576),
        ("gpt-4o", 128_000),
        ("o3", 200_000),
        ("anthropic--claude-4.5-sonnet", 200_000),
        ("some-model", None),
    ],
)
def test_only_a_gpt_5_takes_less_than_its_context(model, most):
    assert built_in(model).max_input == most


def test_a_context_that_leaves_too_little_for_a_request_is_of_the_request_alone():
    assert ModelInfo("gpt-5", profile_for("gpt-5"), 272_000, 128_000).max_input == 272_000


@pytest.mark.parametrize(
    ("model", "reads"),
    [
        ("gemini-3.5-flash", ("text", "image", "file", "audio")),
        ("anthropic--claude-4.5-sonnet", ("text", "image", "file")),
        ("amazon--nova-micro", ("text",)),
    ],
)
def test_what_a_model_reads_follows_from_what_it_accepts(model, reads):
    assert built_in(model).input_types == reads


@pytest.mark.parametrize("name", ["gemini-2.5-pro", "gemini-2.5-pro-001", "Gemini-2.5-Pro"])
def test_what_has_ended_is_known_however_it_is_spelled(name):
    info = built_in(name)

    assert (info.deprecated, info.ends, info.successors) == (True, date(2026, 10, 16), ("gemini-3.5-flash",))
    assert info.advice == "Ends on 2026-10-16; use gemini-3.5-flash."


def test_what_lives_has_no_end():
    info = built_in("gemini-3.5-flash")

    assert (info.deprecated, info.ends, info.successors, info.advice) == (False, None, (), "")


def test_an_alias_has_the_limits_of_its_model():
    assert (built_in("best", "gpt-5").name, built_in("best", "gpt-5").context_length) == ("best", 400_000)


def test_no_successor_has_ended_itself():
    assert [name for each in RETIREMENTS.values() for name in each.successors if name in RETIREMENTS] == []
