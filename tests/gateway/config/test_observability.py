"""What SAP AI Core is asked to note of each request: how it is configured, and the headers that say so."""

import pytest

from gateway.config.loader import load
from gateway.config.observability import Observability
from gateway.config.observability_section import ObservabilitySection
from tests.gateway.configs import with_account

LABELS = "ai-inference-observability-labels"
SIXTEEN = {f"l{number}": "x" for number in range(16)}


def section(**keys) -> Observability:
    return ObservabilitySection.model_validate(keys).resolved()


def test_each_setting_becomes_a_header_and_labels_get_their_prefix():
    configured = section(
        labels={"team": "search", "ext.ai.sap.com/cost-center": "4711 EU"},
        persistence_mode="metadata",
        object_store_secret="records",
    )

    assert configured.headers() == {
        LABELS: "ext.ai.sap.com/team=search,ext.ai.sap.com/cost-center=4711 EU",
        "ai-inference-observability-persistence-mode": "metadata",
        "ai-object-store-secret-name": "records",
    }


def test_nothing_is_sent_where_nothing_is_configured():
    assert section().headers() == {}
    assert section().headers_for("ada") == {}


def test_the_callers_name_is_one_more_label():
    configured = section(labels={"team": "search"}, caller_label="caller")

    assert configured.headers_for("0a1b2c3d") == {LABELS: "ext.ai.sap.com/team=search,ext.ai.sap.com/caller=0a1b2c3d"}


@pytest.mark.parametrize(
    ("caller", "sent"),
    [("a,b=c\r\nd", "a_b_c__d"), (" ada ", "ada"), ("Zoë", "Zo_"), ("", "_"), ("a" * 300, "a" * 256)],
)
def test_a_callers_name_that_a_label_cannot_carry_is_sent_without_what_does_not_fit(caller, sent):
    assert section(caller_label="by").headers_for(caller) == {LABELS: f"ext.ai.sap.com/by={sent}"}


@pytest.mark.parametrize(
    ("keys", "where", "words"),
    [
        ({"labels": {"a b": "x"}}, '.labels."a b"', "is not the name of a label"),
        ({"labels": {"": "x"}}, '.labels.""', "is not the name of a label"),
        ({"labels": {"a": "x,y"}}, ".labels.a", "without commas and equals signs"),
        ({"labels": {"a": "x\r\nb"}}, ".labels.a", "is not the value of a label"),
        ({"labels": {"a": "Zürich"}}, ".labels.a", "ASCII characters"),
        ({"labels": {"a": " x"}}, ".labels.a", "is not the value of a label"),
        ({"labels": {"a": ""}}, ".labels.a", "is not the value of a label"),
        ({"labels": {"a": "x" * 257}}, ".labels.a", "at most 256 characters"),
        ({"labels": {"a": 3}}, ".labels.a", "must be a string, not a number"),
        ({"labels": SIXTEEN | {"one": "more"}}, ".labels", "write at most 16"),
        ({"labels": SIXTEEN, "caller_label": "by"}, "", "16 labels and caller_label"),
        ({"labels": {"by": "x"}, "caller_label": "ext.ai.sap.com/by"}, "", "has the label by twice"),
        ({"labels": []}, ".labels", "must be an object"),
        ({"caller_label": "a b"}, ".caller_label", "is not the name of a label"),
        ({"persistence_mode": "all"}, ".persistence_mode", "write 'full' or 'metadata'"),
        ({"object_store_secret": "a b"}, ".object_store_secret", "is not the name of an object store secret"),
    ],
)
def test_a_mistake_is_reported_where_it_stands_and_alone(mistakes_in, keys, where, words):
    found = mistakes_in(with_account() | {"upstream": {"observability": keys}})

    assert list(found) == [f"upstream.observability{where}"]
    assert words in next(iter(found.values()))


def test_a_label_may_come_from_an_environment_variable(write_config):
    env = {"SAP_AI_PROXY_UPSTREAM__OBSERVABILITY__LABELS__STAGE": "production"}

    settings = load(write_config(with_account()), env, None)

    assert settings.observability.headers() == {LABELS: "ext.ai.sap.com/stage=production"}
