"""Reader of the telemetry settings, from the config file and from the environment variables of OpenTelemetry."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from gateway.config.mistakes import Findings

_ENDPOINTS: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
_PROTOCOLS: Final = (
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
)
_DISABLED: Final = "OTEL_SDK_DISABLED"
_ONLY_PROTOCOL: Final = "http/protobuf"
_NEEDED: Final = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_INSTALL: Final = "install the extra otel: pip install 'sap-ai-core-llm-proxy[otel]'"


def read_telemetry(otlp: bool | None, findings: Findings) -> bool:
    """Return whether to send traces and metrics; report mistakes and warnings to *findings*.

    *otlp* is the setting. If it is None, they are sent if the environment names a collector.
    """
    endpoint = _first(findings.env, _ENDPOINTS)
    wanted = endpoint is not None if otlp is None else otlp
    if not wanted or findings.env.get(_DISABLED, "").strip().lower() == "true":
        return False
    if not is_installed():
        if otlp:
            findings.wrong("telemetry.otlp", f"needs packages that are not installed; {_INSTALL}")
        elif endpoint is not None:
            findings.odd(endpoint, f"is set, but no traces and metrics are sent: {_INSTALL}")
        return False
    protocol = _first(findings.env, _PROTOCOLS)
    if protocol is not None and (asked := findings.env[protocol].strip()) != _ONLY_PROTOCOL:
        what = f"is {asked}, but the proxy sends {_ONLY_PROTOCOL}; name the port for that, which is 4318 by default"
        findings.odd(protocol, what)
    return True


def is_installed() -> bool:
    """Return whether the packages of the extra otel are installed.

    At most the packages that contain them are imported.
    """
    try:
        return all(find_spec(name) is not None for name in _NEEDED)
    except ModuleNotFoundError:
        return False


def _first(env: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if env.get(name, "").strip()), None)
