"""Which deployed model answers for one that is not: the newest of its kind, then the list of its family."""

import pytest

from routing.load_balancer import NoEndpointError
from routing.model_names import How, ModelNames, Resolution

SONNET = "anthropic--claude-4.5-sonnet"


@pytest.mark.parametrize(
    ("name", "deployed", "newest"),
    [
        ("claude-opus-9", ["anthropic--claude-4-opus", "anthropic--claude-4.6-opus", SONNET], 1),
        ("claude-3-opus-20240229", ["anthropic--claude-4.5-opus", "anthropic--claude-4.10-opus", SONNET], 1),
        ("claude-haiku-9", [SONNET, "anthropic--claude-3-haiku"], 1),
        ("claude-sonnet-9", [SONNET, "anthropic--claude-4.6-sonnet", "anthropic--claude-4.9-opus"], 1),
        ("gemini-9-flash", ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.0-flash"], 1),
        ("gemini-9-flash-lite", ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"], 2),
        ("gpt-9", ["gpt-4.1", "gpt-5", "gpt-5-mini"], 1),
        ("gpt-9-mini", ["gpt-4.1", "gpt-4.1-mini", "gpt-5-mini", "gpt-5"], 2),
        ("gpt-9o", ["gpt-4.1", "gpt-4o"], 1),
        ("o9-mini", ["gpt-4.1", "o3", "o3-mini", "o4-mini"], 3),
        ("openai/gpt-9-2031-01-01", ["gpt-4.1", "gpt-5"], 1),
        ("4.9-opus", [SONNET, "4.5-opus"], 1),
        ("gpt-9", ["gpt-5", "gpt-5-latest"], 0),
    ],
)
def test_the_newest_model_of_the_same_kind_answers_first(name, deployed, newest):
    assert ModelNames(deployed).resolve(name) == Resolution(deployed[newest], name, How.FALLBACK)


@pytest.mark.parametrize(
    ("name", "deployed", "listed"),
    [
        ("claude-opus-9", [SONNET, "anthropic--claude-4.5-haiku"], SONNET),
        ("claude-haiku-9", ["anthropic--claude-4.5-opus", "anthropic--claude-4-sonnet"], "anthropic--claude-4-sonnet"),
        ("gemini-9-flash", ["gemini-2.5-pro", "gemini-2.5-flash-image"], "gemini-2.5-pro"),
        ("gpt-9-nano", ["gpt-4.1", "gpt-5"], "gpt-5"),
        ("gemini-9-flash", ["gemini-2.5-pro", "gemini-3.1-flash-lite"], "gemini-3.1-flash-lite"),
    ],
)
def test_where_none_of_its_kind_is_deployed_the_familys_list_is_asked(name, deployed, listed):
    assert ModelNames(deployed).resolve(name) == Resolution(listed, name, How.FALLBACK)


@pytest.mark.parametrize(
    ("name", "deployed", "last"),
    [
        ("gpt-9-nano", ["gpt-4o", "gpt-4.1", "gpt-5-mini"], "gpt-4.1"),
        ("gpt-9", ["gpt-4.1-mini", "gpt-5-mini", "gpt-5-nano"], "gpt-5-mini"),
        ("chatgpt-9-latest", ["gpt-5.3-codex"], "gpt-5.3-codex"),
        ("gemini-9-nano", ["gemini-2.0-flash", "gemini-2.5-pro"], "gemini-2.5-pro"),
        ("claude-opus-9", ["gpt-5", "anthropic--claude-4.5-haiku", "anthropic--claude-4-sonnet"], "4-sonnet"),
        ("claude-sonnet-9", ["anthropic--claude-2", "gpt-5"], "anthropic--claude-2"),
    ],
)
def test_where_nothing_listed_is_deployed_the_plainest_of_the_family_answers_and_its_newest(name, deployed, last):
    found = ModelNames(deployed).resolve(name)

    assert found == Resolution(next(model for model in deployed if model.endswith(last)), name, How.FALLBACK)


@pytest.mark.parametrize("listed", [[], ["gpt-9"]])
def test_a_list_of_the_settings_is_all_that_may_answer_besides_the_same_kind(listed):
    names = ModelNames(["gpt-5-mini", "anthropic--claude-4-sonnet"], fallbacks={"gpt": listed})

    assert names.resolve("gpt-9-mini").model == "gpt-5-mini"
    assert names.resolve("claude-opus-9").model == "anthropic--claude-4-sonnet"
    with pytest.raises(NoEndpointError, match="is not deployed"):
        names.resolve("gpt-9")


@pytest.mark.parametrize(
    ("name", "deployed"),
    [
        ("claude-opus-9", ["gpt-5", "gemini-2.5-pro"]),
        ("claude-sonnet-9", ["anthropic--claude-4.5-opus"]),
        ("gemini-9-pro", ["gpt-5", SONNET, "gemini-2.5-flash-image", "gemini-embedding"]),
        ("gpt-9", ["gemini-2.5-pro", "gpt-realtime", "gpt-image-1"]),
        ("text-embedding-9-large", ["text-embedding-3-large", "text-embedding-3-small"]),
        ("gpt-image-9", ["gpt-image-1", "gpt-5"]),
        ("mistral-9-small", ["mistralai--mistral-small"]),
    ],
)
def test_no_model_of_another_family_answers_and_none_that_makes_something_else(name, deployed):
    with pytest.raises(NoEndpointError, match="is not deployed"):
        ModelNames(deployed).resolve(name)


def test_a_target_of_an_alias_has_a_kind_too():
    assert ModelNames(["gpt-4.1", "gpt-5-mini"], {"fast": "gpt-9-mini"}).resolve("fast").model == "gpt-5-mini"
