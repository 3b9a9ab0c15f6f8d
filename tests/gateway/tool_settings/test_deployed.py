"""Which of the deployed models fits a tool."""

import pytest

from gateway.tool_settings.deployed import (
    DeployedModel,
    best,
    best_claude,
    best_gemini,
    best_gpt,
    best_opus,
    read_models,
    smallest,
)

CLAUDES = ("anthropic--claude-4.5-sonnet", "anthropic--claude-4.6-sonnet", "anthropic--claude-4.8-opus")
SELECTED = [
    # by              deployed                                                                  selected
    (best_claude, CLAUDES, "anthropic--claude-4.6-sonnet"),
    (best_claude, ("anthropic--claude-4.5-haiku", "anthropic--claude-4.8-opus"), "anthropic--claude-4.8-opus"),
    (best_claude, ("gemini-3.5-flash", "gpt-5.5"), "gpt-5.5"),
    (best_opus, CLAUDES, "anthropic--claude-4.8-opus"),
    (best_opus, CLAUDES[:2], "anthropic--claude-4.6-sonnet"),
    (best_gpt, ("gpt-5", "gpt-5.3-codex", "gpt-5.5-mini"), "gpt-5.3-codex"),
    (best_gpt, ("gpt-5.3", "gpt-5.3-codex"), "gpt-5.3-codex"),
    (best_gpt, ("gpt-5.3-codex", "gpt-5.5"), "gpt-5.5"),
    (best_gpt, ("gpt-5-mini", "gemini-2.5-pro"), "gpt-5-mini"),
    (best_gpt, ("gemini-2.5-pro", *CLAUDES), "anthropic--claude-4.6-sonnet"),
    (best_gemini, ("gemini-2.5-flash", "gemini-2.5-pro", "gpt-5.5"), "gemini-2.5-pro"),
    (best_gemini, ("gemini-2.5-pro", "gemini-3.5-flash", "gemini-3.5-flash-lite"), "gemini-3.5-flash"),
    (smallest, ("gpt-5-mini", "anthropic--claude-4.5-haiku"), "anthropic--claude-4.5-haiku"),
    (smallest, (*CLAUDES, "gpt-5-mini"), "gpt-5-mini"),
    (smallest, (*CLAUDES, "gemini-3.5-flash"), "gemini-3.5-flash"),
    (smallest, CLAUDES, "anthropic--claude-4.6-sonnet"),
    (best, ("amazon--nova-pro",), "amazon--nova-pro"),
    (best, ("amazon--nova-pro", "gemini-3.5-flash"), "gemini-3.5-flash"),
]


@pytest.mark.parametrize(("select", "deployed", "selected"), SELECTED)
def test_a_tool_gets_the_latest_model_of_its_vendor_or_the_best_of_the_others(select, deployed, selected):
    models = [DeployedModel(name) for name in deployed]

    assert select(models).name == selected
    assert select(models[::-1]).name == selected


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("anthropic--claude-4.6-sonnet", "claude-sonnet-4-6"),
        ("anthropic--claude-4-sonnet", "claude-sonnet-4"),
        ("anthropic--claude-4.5-haiku", "claude-haiku-4-5"),
        ("gpt-5.5", "gpt-5.5"),
        ("our-claude", "our-claude"),
    ],
)
def test_a_claude_is_named_as_anthropic_names_it(name, own):
    assert DeployedModel(name).anthropic_id == own


def test_a_list_of_models_is_read_without_those_that_make_embeddings():
    body = {
        "data": [
            {"id": "gpt-5.5", "context_window": 9, "max_output_tokens": 3, "input_modalities": ["text", "image"]},
            {"id": "text-embedding-3-small", "context_window": 9},
            {"id": "ours"},
        ]
    }

    assert read_models(body) == (DeployedModel("gpt-5.5", 9, 3, sees_images=True), DeployedModel("ours"))
