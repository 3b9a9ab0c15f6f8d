"""What the settings say about orchestration: which models, whether on standby, and what it does around a model."""

import pytest

from dialects.orchestration.modules import Fallback, Modules
from gateway.config.orchestration import OrchestrationOptions
from gateway.config.settings import pools
from tests.gateway.configs import with_account

MASKING = {"providers": [{"type": "sap_data_privacy_integration", "method": "anonymization", "entities": []}]}
FILTERING = {"input": {"filters": []}, "output": {"filters": []}}
GROUNDING = {"type": "document_grounding_service", "config": {"placeholders": {"input": ["q"], "output": "found"}}}


@pytest.fixture
def modules_of(settings_of):
    """What orchestration does around a model, by a section of the config file."""

    def modules_of(section, model="gpt-5.5"):
        settings = settings_of(with_account(discovery=True) | {"orchestration": section})
        assert settings.warnings == ()
        return settings.orchestration.modules_for(model)

    return modules_of


def test_by_default_nothing_is_done_around_a_model_and_orchestration_stands_by(settings_of, modules_of):
    section = settings_of(with_account()).orchestration

    assert (section, section.standby, section.models) == (OrchestrationOptions(), True, None)
    assert modules_of({}) == Modules()


def test_modules_are_passed_in_the_shapes_that_the_service_documents(modules_of):
    around = {"masking": MASKING, "filtering": FILTERING, "grounding": GROUNDING, "translation": FILTERING}

    assert modules_of(around) == Modules(**around)


def test_the_rest_of_the_section_arrives(modules_of):
    section = {
        "template": "f2a",
        "placeholders": {"team": "a"},
        "version": "2024-11-20",
        "timeout": 60,
        "chunk_size": 500,
        "delimiters": ["\n"],
        "fallbacks": ["gpt-5.4", {"model": "gpt-5", "version": "1", "params": {"reasoning_effort": "low"}}],
    }

    assert modules_of(section) == Modules(
        template={"id": "f2a"},
        placeholders={"team": "a"},
        version="2024-11-20",
        timeout=60,
        chunk_size=500,
        delimiters=("\n",),
        fallbacks=(Fallback("gpt-5.4"), Fallback("gpt-5", "1", {"reasoning_effort": "low"})),
    )


def test_a_template_may_be_named_by_scenario_name_and_version(modules_of):
    named = {"scenario": "s", "name": "n", "version": "1.0.0"}

    assert modules_of({"template": named}).template == named


def test_what_is_said_of_one_model_replaces_what_is_said_of_all(modules_of):
    section = {
        "masking": MASKING,
        "timeout": 60,
        "per_model": {"claude-sonnet-4-5": {"masking": None, "filtering": FILTERING}, "gpt-5.5": {}},
    }

    assert modules_of(section, "anthropic--claude-4.5-sonnet") == Modules(filtering=FILTERING, timeout=60)
    assert modules_of(section, "gpt-5.5") == modules_of(section, "gpt-5.4") == Modules(masking=MASKING, timeout=60)


@pytest.mark.parametrize(
    ("section", "where", "words"),
    [
        ([], "", "must be an object"),
        ({"standby": "maybe"}, "standby", "must be true or false"),
        ({"models": "gpt-5.5"}, "models", "must be a list"),
        ({"masking": []}, "masking", "must be an object"),
        ({"masking": {"masking_providers": []}}, "masking", "it must have providers"),
        ({"filtering": {"filters": []}}, "filtering", "it must have input or output"),
        ({"translation": {}}, "translation", "it must have input or output"),
        ({"grounding": {"config": {}}}, "grounding", '"placeholders": {"input": ["question"], "output": "found"}'),
        ({"template": {"name": "n"}}, "template", "it must have id or name and scenario and version"),
        ({"template": 3}, "template", "must be an object"),
        ({"fallbacks": "gpt-5.4"}, "fallbacks", "must be a list"),
        ({"fallbacks": [{"version": "1"}]}, "fallbacks[0].model", "is missing"),
        ({"timeout": 0}, "timeout", "at least 1"),
        ({"timeout": 1201}, "timeout", "at most 1200"),
        ({"chunk_size": 10_001}, "chunk_size", "at most 10000"),
        ({"per_model": {"gpt-5.5": []}}, 'per_model."gpt-5.5"', "must be an object"),
        ({"per_model": {"gpt": {"masking": {}}}}, "per_model.gpt.masking", "it must have providers"),
    ],
)
def test_a_mistake_is_reported_where_it_stands_with_what_to_write(mistakes_in, section, where, words):
    found = mistakes_in(with_account() | {"orchestration": section})

    assert list(found) == [f"orchestration.{where}".rstrip(".")]
    assert words in next(iter(found.values()))


def test_a_mistake_in_a_module_hides_none_in_another(mistakes_in):
    section = {"masking": {}, "timeout": 0, "per_model": {"gpt": {"filtering": {}}}}

    assert set(mistakes_in(with_account() | {"orchestration": section})) == {
        "orchestration.masking",
        "orchestration.timeout",
        "orchestration.per_model.gpt.filtering",
    }


def test_an_unknown_key_is_told_with_what_may_be_meant(settings_of):
    section = {"stanby": True, "fallbacks": [{"model": "a", "parms": {}}], "per_model": {"m": {"maskin": MASKING}}}
    settings = settings_of(with_account() | {"orchestration": section})

    assert set(settings.warnings) == {
        'orchestration.stanby: this key is unknown and has no effect; did you mean "standby"?',
        'orchestration.fallbacks[0].parms: this key is unknown and has no effect; did you mean "params"?',
        'orchestration.per_model.m.maskin: this key is unknown and has no effect; did you mean "masking"?',
    }


@pytest.mark.parametrize(
    ("name", "section", "runs"),
    [
        ("claude-sonnet-4-5", {}, "anthropic--claude-4.5-sonnet"),
        ("Claude-4.6-Opus", {"models": ["anthropic--claude-4.6-opus"]}, "anthropic--claude-4.6-opus"),
        ("claude-sonnet-4-5", {"models": ["gpt-5"]}, "claude-sonnet-4-5"),
        ("claude", {}, "claude"),
    ],
)
def test_orchestration_is_asked_by_saps_own_name_of_a_model_also_where_nothing_is_looked_up(
    settings_of, name, section, runs
):
    listed = with_account(deployment_ids={name: [{"id": "d9", "orchestration": True}]})
    [endpoint] = pools(settings_of(listed | {"orchestration": section}))[name]

    assert (endpoint.model, endpoint.backend) == (name, runs)
