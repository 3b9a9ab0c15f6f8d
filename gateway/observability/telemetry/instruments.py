"""The OpenTelemetry metrics of requests, calls and endpoints."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from dialects.core.conversation import Usage
from gateway.observability.metrics import ExchangeRecord
from gateway.observability.telemetry import names
from routing.availability import EndpointState
from routing.endpoint import Endpoint
from routing.events import Circuit

_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_SECONDS_TO_FIRST: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0),
)
_TOKENS: Final = tuple(4.0**power for power in range(14))
_UNKNOWN: Final = "unknown"
"""The model of a request for which no endpoint was selected."""

Snapshot = Callable[[], Sequence[EndpointState]]
"""A function that returns the state of every endpoint."""


class Instruments:
    """Records requests and calls, with the buckets of the semantic conventions.

    *snapshot* is called at each export of the metrics.
    """

    def __init__(self, meter: Meter, snapshot: Snapshot) -> None:
        def histogram(name: str, unit: str, description: str, buckets: Sequence[float]) -> Histogram:
            return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=buckets)

        self._requests = histogram(names.REQUEST_DURATION, "s", "Seconds until the last byte of an answer", _SECONDS)
        self._first = histogram(
            names.TIME_TO_FIRST_TOKEN, "s", "Seconds until the first content of an answer", _SECONDS_TO_FIRST
        )
        self._calls = histogram(names.CALL_DURATION, "s", "Seconds that a call of a deployment took", _SECONDS)
        self._tokens = histogram(names.TOKEN_USAGE, "{token}", "Tokens that a request used", _TOKENS)
        self._snapshot = snapshot
        meter.create_observable_up_down_counter(
            names.IN_FLIGHT, [self._in_flight], "{request}", "Requests that an endpoint is answering"
        )
        meter.create_observable_gauge(
            names.CIRCUITS, [self._circuits], "1", "1 for the state that the circuit of an endpoint is in, 0 for others"
        )
        meter.create_observable_gauge(
            names.COOLDOWN, [self._cooldowns], "s", "Seconds until the cooldown of an endpoint ends"
        )

    def request_over(self, record: ExchangeRecord) -> None:
        """Record a completed request."""
        model = record.model or _UNKNOWN
        attributes = _attributes(names.operation_of(record.client), model)
        if record.first_content is not None and record.outcome == "ok":
            self._first.record(record.first_content, attributes)
        self._count_tokens(record.usage, attributes)
        self._requests.record(record.duration, _with_error(attributes, record.outcome))

    def call_over(self, operation: str, endpoint: Endpoint, seconds: float, outcome: str) -> None:
        """Record a completed call of a deployment. *outcome* is the kind of its fault, or "ok"."""
        attributes = {
            **_attributes(operation, endpoint.model, endpoint.backend),
            names.SUBACCOUNT: endpoint.subaccount,
            names.DEPLOYMENT: endpoint.deployment,
        }
        self._calls.record(seconds, _with_error(attributes, outcome))

    def _count_tokens(self, usage: Usage, attributes: dict[str, str]) -> None:
        for kind, tokens in (("input", usage.prompt), ("output", usage.output)):
            if tokens:
                self._tokens.record(tokens, {**attributes, names.TOKEN_TYPE: kind})

    def _in_flight(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(each.in_flight, _place(each.endpoint)) for each in self._snapshot()]

    def _circuits(self, _: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(int(each.circuit is circuit), {**_place(each.endpoint), names.CIRCUIT: circuit.value})
            for each in self._snapshot()
            for circuit in Circuit
        ]

    def _cooldowns(self, _: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(each.seconds if each.cooldown is not None else 0.0, _place(each.endpoint))
            for each in self._snapshot()
        ]


def _attributes(operation: str, model: str, backend: str = "") -> dict[str, str]:
    return {
        names.OPERATION: operation,
        names.PROVIDER: names.provider_of(backend or model),
        names.REQUEST_MODEL: model,
        names.RESPONSE_MODEL: model,
    }


def _with_error(attributes: dict[str, str], outcome: str) -> dict[str, str]:
    return attributes if outcome == "ok" else {**attributes, names.ERROR_TYPE: outcome}


def _place(endpoint: Endpoint) -> dict[str, str]:
    return {
        names.SUBACCOUNT: endpoint.subaccount,
        names.DEPLOYMENT: endpoint.deployment,
        names.MODEL: endpoint.model,
    }
