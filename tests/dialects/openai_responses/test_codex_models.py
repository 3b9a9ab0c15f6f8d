"""The list of models in the form that Codex takes."""

from datetime import date

import pytest

from dialects.capabilities.model_info import ModelInfo, built_in
from dialects.capabilities.models import profile_for
from dialects.openai_responses import render_codex_models

REQUIRED = {
    "slug": str,
    "display_name": str,
    "supported_reasoning_levels": list,
    "shell_type": str,
    "visibility": str,
    "supported_in_api": bool,
    "priority": int,
    "base_instructions": str,
    "supports_reasoning_summaries": bool,
    "support_verbosity": bool,
    "truncation_policy": dict,
    "supports_parallel_tool_calls": bool,
    "experimental_supported_tools": list,
}
"""What Codex refuses the whole list without, in one version or another."""


def only(info):
    (model,) = render_codex_models([info])["models"]
    return model


@pytest.mark.parametrize("name", ["gpt-5", "gpt-4.1", "anthropic--claude-4.8-opus", "gemini-3.5-flash", "unheard-of"])
def test_a_model_has_every_field_that_codex_requires(name):
    model = only(built_in(name))

    assert {field: type(model[field]) for field in REQUIRED} == REQUIRED
    assert all(set(each) == {"effort", "description"} for each in model["supported_reasoning_levels"])
    assert set(model["truncation_policy"]) == {"mode", "limit"}
    assert model["base_instructions"].strip()


def test_limits_and_inputs_are_those_of_the_model():
    info = ModelInfo("mine", profile_for("anthropic--claude-4.5-sonnet"), 200_000, input_types=("text", "file"))
    model = only(info)

    assert (model["slug"], model["context_window"], model["input_modalities"]) == ("mine", 200_000, ["text"])
    assert only(built_in("gpt-5"))["context_window"] == 272_000
    assert only(built_in("unheard-of"))["context_window"] is None


@pytest.mark.parametrize(
    ("name", "efforts"),
    [
        ("gpt-5", ["minimal", "low", "medium", "high"]),
        ("gpt-5.2", ["none", "low", "medium", "high", "xhigh"]),
        ("anthropic--claude-4.5-sonnet", ["low", "medium", "high"]),
        ("gpt-4.1", []),
    ],
)
def test_efforts_are_those_that_the_model_takes(name, efforts):
    model = only(built_in(name))

    assert [each["effort"] for each in model["supported_reasoning_levels"]] == efforts
    assert model["default_reasoning_level"] == ("medium" if efforts else None)


@pytest.mark.parametrize("name", ["gpt-5.5", "gpt-5.6-sol", "gpt-6-luna", "text-embedding-3-small", "sonar"])
def test_what_codex_describes_itself_or_cannot_work_with_is_left_out(name):
    assert render_codex_models([built_in(name)]) == {"models": []}


def test_a_model_that_ends_says_so():
    info = ModelInfo("m", profile_for("m"), ends=date(2026, 10, 16), successors=("n", "o"))

    assert only(info)["description"] == "Ends on 2026-10-16; use n."
