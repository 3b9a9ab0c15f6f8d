"""Lists of models in Anthropic's words, held against the types of its SDK."""

from datetime import UTC, date, datetime

import pytest

from dialects import anthropic_messages
from dialects.capabilities.model_info import ModelInfo, built_in
from dialects.capabilities.models import profile_for
from tests.oracles.sdks import sdk


def described(info):
    return sdk("anthropic.types").ModelInfo.model_validate(
        anthropic_messages.render_model(info, 1_700_000_000), strict=False
    )


def test_a_claude_is_described_with_all_that_the_sdk_knows():
    model = described(built_in("anthropic--claude-4.8-opus"))

    assert (model.max_input_tokens, model.max_tokens) == (1_000_000, 128_000)
    assert (model.lifecycle, model.line, model.retires_at) == ("active", "opus", None)
    assert (model.capabilities.image_input.supported, model.capabilities.effort.max.supported) == (True, True)
    assert (model.capabilities.thinking.types.adaptive.supported, model.capabilities.batch.supported) == (True, False)
    assert model.capabilities.thinking.types.enabled.supported is False


@pytest.mark.parametrize("name", ["gpt-5", "gemini-3.5-flash", "amazon--nova-micro", "text-embedding-3-small", "odd"])
def test_every_field_of_the_sdks_type_is_there_for_any_model(name):
    said = anthropic_messages.render_model(built_in(name), 0)

    assert set(said) == set(sdk("anthropic.types").ModelInfo.model_fields)
    assert set(said["capabilities"]) == set(type(described(built_in(name)).capabilities).model_fields)
    assert described(built_in(name)).id == name


def test_what_is_not_known_is_null():
    model = described(built_in("odd"))

    assert (model.max_input_tokens, model.max_tokens, model.line) == (None, None, None)


def test_a_model_past_its_end_is_deprecated_and_has_its_day():
    model = described(ModelInfo("m", profile_for("m"), ends=date(2026, 10, 16)))

    assert (model.lifecycle, model.retires_at) == ("deprecated", datetime(2026, 10, 16, tzinfo=UTC))


@pytest.mark.parametrize(
    ("name", "efforts"),
    [
        ("anthropic--claude-4.5-sonnet", (False, False, False)),
        ("anthropic--claude-4.6-sonnet", (True, False, True)),
        ("anthropic--claude-4.7-opus", (True, True, True)),
        ("gpt-5.4", (True, True, False)),
        ("gpt-5", (True, False, False)),
        ("amazon--nova-pro", (False, False, False)),
    ],
)
def test_efforts_are_supported_by_those_that_think_by_them(name, efforts):
    effort = described(built_in(name)).capabilities.effort

    assert (effort.supported, effort.xhigh.supported, effort.max.supported) == efforts


def test_a_list_names_its_edges_and_is_the_last_page():
    listed = anthropic_messages.render_models([built_in("a"), built_in("b")], 0)

    assert [model["id"] for model in listed["data"]] == ["a", "b"]
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("a", "b", False)
    assert anthropic_messages.render_models([], 0)["first_id"] is None
