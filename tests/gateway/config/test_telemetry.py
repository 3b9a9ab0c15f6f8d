"""Whether telemetry is sent: by the config file, by OpenTelemetry's own variables, and by what is installed."""

import sys

import pytest

from gateway.config.loader import load
from tests.gateway.configs import with_account

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
TRACES = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}
METRICS = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:4318/v1/metrics"}
INSTALL = "install the extra otel: pip install 'sap-ai-core-llm-proxy[otel]'"


@pytest.fixture
def telemetry_settings(write_config):
    """Loads the settings of a config file with this section, in this environment."""

    def telemetry_settings(section, env):
        return load(write_config(with_account() | {"telemetry": section}), env, None)

    return telemetry_settings


@pytest.fixture
def without_the_extra(monkeypatch):
    """As if the exporter were not installed, but another package that brings a part of OpenTelemetry."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)


@pytest.mark.parametrize(
    ("section", "env", "is_sent"),
    [
        ({}, {}, False),
        ({}, ENDPOINT, True),
        ({}, TRACES, True),
        ({}, METRICS, True),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({}, ENDPOINT | {"OTEL_SDK_DISABLED": "True"}, False),
        ({}, ENDPOINT | {"OTEL_SDK_DISABLED": "false"}, True),
        ({"otlp": None}, ENDPOINT, True),
        ({"otlp": False}, ENDPOINT, False),
        ({"otlp": True}, {}, True),
        ({"otlp": True}, {"OTEL_SDK_DISABLED": "true"}, False),
        ({"otlp": False}, {"SAP_AI_PROXY_TELEMETRY__OTLP": "true"}, True),
    ],
)
def test_telemetry_is_sent_where_the_settings_or_else_the_environment_say_so(telemetry_settings, section, env, is_sent):
    settings = telemetry_settings(section, env)

    assert settings.telemetry is is_sent
    assert settings.warnings == ()


@pytest.mark.parametrize("env", [ENDPOINT, TRACES])
def test_a_collector_that_is_named_without_the_extra_is_warned_of_in_one_line(
    without_the_extra, telemetry_settings, env
):
    settings = telemetry_settings({}, env)

    assert settings.telemetry is False
    assert settings.warnings == (f"{next(iter(env))}: is set, but no traces and metrics are sent: {INSTALL}",)


def test_telemetry_that_is_configured_without_the_extra_is_a_mistake(without_the_extra, mistakes_in):
    found = mistakes_in(with_account() | {"telemetry": {"otlp": True}})

    assert found == {"telemetry.otlp": f"needs packages that are not installed; {INSTALL}"}


def test_nothing_is_said_of_the_extra_where_telemetry_is_switched_off(without_the_extra, telemetry_settings):
    assert telemetry_settings({"otlp": False}, ENDPOINT).warnings == ()


def test_a_protocol_that_the_proxy_does_not_speak_is_warned_of(telemetry_settings):
    settings = telemetry_settings({}, ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})

    assert settings.telemetry is True
    [warning] = settings.warnings
    assert warning.startswith("OTEL_EXPORTER_OTLP_PROTOCOL: is grpc, but the proxy sends http/protobuf; name the port")


@pytest.mark.parametrize(
    ("section", "where", "words"),
    [({"otlp": "perhaps"}, "telemetry.otlp", "must be true or false"), ([], "telemetry", "must be an object")],
)
def test_a_mistake_is_reported_where_it_stands_and_alone(mistakes_in, section, where, words):
    found = mistakes_in(with_account() | {"telemetry": section})

    assert list(found) == [where]
    assert words in found[where]
