"""Advice about a fault: one line with what is wrong, and one with what to do."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Self

from dialects.core.faults import Fault, FaultKind
from gateway.config.network import PROXY, Network, Proxies, is_this_machine
from gateway.config.service_keys import Proof, Secret
from gateway.upstream.certificates import issuer_at
from gateway.upstream.connection import target_and_proxy
from gateway.upstream.provisioning import STARTING
from gateway.upstream.unreachable import UNTRUSTED, Reason, Unreachable

_AGAIN: Final = "try again in a few minutes"
LAUNCHPAD: Final = "SAP AI Launchpad (ML Operations, Deployments)"
NEW_KEY: Final = "create a new service key for this instance in the BTP cockpit, and put it into the config file"
API_URL: Final = "serviceurls.AI_API_URL in the service key"
"""Where the URL of the AI API is set."""
_BLOCKED: Final = frozenset({Reason.UNKNOWN_HOST, Reason.REFUSED, Reason.NO_ROUTE, Reason.TIMED_OUT})
"""The reasons that occur in networks that can be left only through an HTTP proxy."""

_REASONS: Final[Mapping[Reason, tuple[str, str]]] = {
    # reason: the kind of finding, and what to do. {place} is what is configured, {host} whom it names.
    Reason.UNKNOWN_HOST: ("unreachable", "correct {place}"),
    Reason.REFUSED: ("unreachable", "correct {place}"),
    Reason.NO_ROUTE: ("unreachable", "connect this machine to a network that reaches {host}"),
    Reason.TIMED_OUT: ("unreachable", "allow connections to {host} in the firewall"),
    Reason.SILENT: ("unreachable", f"{_AGAIN}; if it still does not answer, correct {{place}}"),
    Reason.BROKEN: ("unreachable", "find out what cuts connections on the way to {host}, such as a firewall"),
    Reason.NO_TLS: ("unreachable", "correct {place}: its port, or its scheme"),
    Reason.UNTRUSTED: (
        "certificate",
        "set upstream.ca_bundle to a file of the certificates that this network trusts, including {issuer}",
    ),
    Reason.EXPIRED: (
        "certificate",
        "correct the clock of this machine if it is wrong; otherwise {host} needs a new certificate",
    ),
    Reason.OTHER_HOST: ("certificate", "correct {place}: the certificate there is for another host"),
    Reason.NOT_STRICT: (
        "certificate",
        "set upstream.strict_certificates to false, or ask {issuer} for certificates that comply with RFC 5280",
    ),
    Reason.TRUST_UNUSABLE: ("certificate", "name a file of certificates in PEM format, each of them complete"),
    Reason.CLIENT_CERTIFICATE_REFUSED: ("client_certificate", "{new_key}"),
    Reason.CLIENT_CERTIFICATE_UNUSABLE: (
        "client_certificate",
        "copy the certificate and its key again, both from the same service key",
    ),
    Reason.PROXY_PASSWORD: (
        "proxy",
        "write both into {proxy} as http://USER:PASSWORD@HOST:PORT; write %40 for an @ in the password",
    ),
    Reason.PROXY_REFUSED: ("proxy", "allow {host} in that proxy, or set {proxy} to another one"),
}


@dataclass(frozen=True, slots=True)
class Advice:
    """What is wrong, in a word that does not change and in a line, and what to do about it."""

    code: str
    what: str
    fix: str


class Adviser:
    """Gives advice about faults.

    *proxies* are the HTTP proxies by which the network is left, and *issuer* finds out who signed the certificate of a
    server that is not trusted. *new_key* says how to get another service key, and *options* are those of the command
    line by the settings that they stand for.
    """

    def __init__(
        self,
        proxies: Proxies,
        *,
        issuer: Callable[[Unreachable], str],
        new_key: str = NEW_KEY,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._new_key = new_key
        self._options = options or {}
        self._proxies = proxies
        self._issuer = issuer

    @classmethod
    def in_network(cls, network: Network, **words: Any) -> Self:
        """Give the advice for this network."""
        return cls(network.proxies, issuer=partial(_issuer, network.proxies), **words)

    def unreachable(self, why: Unreachable, place: str) -> Advice:
        """Give advice about a server that cannot be reached; its URL is configured at *place*."""
        place = why.proxy_in if why.is_proxy else place
        issuer = why.issuer or (self._issuer(why) if why.reason in UNTRUSTED else "")
        why = replace(why, issuer=issuer)
        code, fix = _REASONS[why.reason]
        fix = fix.format(
            place=place,
            host=why.host,
            issuer=issuer or "the authority that signed it",
            new_key=self._new_key,
            proxy=why.proxy_in or PROXY,
        )
        if why.reason in _BLOCKED and not why.proxy_in:
            fix = f"{fix}, or {self._through_a_proxy(why)}"
        for setting, option in self._options.items():
            fix = fix.replace(setting, f"{setting} ({option})")
        who = f"the HTTP proxy {why.host}" if why.is_proxy else why.host
        detail = f" ({why.detail})" if why.detail else ""
        return Advice(code, f"{who} cannot be reached: {why.what}{detail}", fix)

    def token(self, fault: Fault, place: str) -> Advice:
        """Give advice about a missing access token; the URL of the token service is configured at *place*."""
        match fault:
            case Fault(cause=Unreachable() as why):
                return self.unreachable(why, place)
            case Fault(kind=FaultKind.REFUSED_CREDENTIALS):
                reasons = ": it was deleted, has expired or was copied in part" if fault.status else ""
                return Advice("service_key", f"{_clause(fault)}{reasons}", self._new_key)
            case Fault(kind=FaultKind.NO_TOKEN):
                return Advice("unreachable", _clause(fault), f"{_AGAIN}; if it still does not answer, correct {place}")
            case Fault(kind=FaultKind.OVERLOADED):
                return Advice("token", _clause(fault), _AGAIN)
            case _:
                return Advice("token", _clause(fault), f"{_AGAIN}; if it keeps failing, correct {place}")

    def listing(self, fault: Fault, place: str) -> Advice:
        """Give advice about deployments that cannot be listed; the URL of the AI API is configured at *place*."""
        match fault:
            case Fault(cause=Unreachable() as why):
                return self.unreachable(why, place)
            case Fault(status=401 | 403 | 404):
                what = f"SAP AI Core answers the request for deployments with status {fault.status}"
                return replace(self.management(fault, place), what=what)
            case _:
                advice = self.management(fault, place)
                return replace(advice, code="listing", what=f"the deployments cannot be listed: {advice.what}")

    def management(self, fault: Fault, place: str) -> Advice:
        """Give advice about a refusal of the AI API, whose URL is configured at *place*."""
        match fault:
            case Fault(cause=Unreachable() as why):
                return self.unreachable(why, place)
            case Fault(status=401 | 403):
                fix = f"correct {place} and the resource group, or {self._new_key}"
                return Advice("forbidden", _clause(fault), fix)
            case Fault(status=404):
                return Advice("url", _clause(fault), f"correct {place} and the resource group")
            case Fault(status=int(status)) if 400 <= status < 500 and fault.kind is not FaultKind.RATE_LIMITED:
                return Advice("management", _clause(fault), "")
            case _:
                return Advice("management", _clause(fault), _AGAIN)

    def inference(self, fault: Fault, place: str) -> Advice | None:
        """Give advice about a deployment that refuses requests; its URL is configured at *place*.

        None where *fault* is what its model says to an empty request.
        """
        match fault:
            case Fault(cause=Unreachable() as why):
                return self.unreachable(why, place)
            case Fault(status=400) if "Subpath" in fault.message:
                return Advice(
                    "path", f"SAP AI Core does not support this protocol: {_clause(fault)}", f"correct {place}"
                )
            case Fault(kind=FaultKind.INVALID_REQUEST, status=400 | 422):
                return None
            case Fault(kind=FaultKind.CONTENT_FILTERED | FaultKind.CONTEXT_LENGTH_EXCEEDED):
                return None
            case Fault(kind=FaultKind.DEPLOYMENT_FORBIDDEN):
                plan = "change the service plan of the instance to extended, which generative AI needs"
                fix = f"{plan}; if it is extended already, {self._new_key}"
                return Advice("forbidden", _answered(fault, "the service key may not use it"), fix)
            case Fault(status=403):
                fix = (
                    "allow it in the firewall or HTTP proxy of this network; if the provider refuses it, deploy another"
                )
                return Advice("forbidden", _answered(fault, _clause(fault)), fix)
            case Fault(status=401):
                return Advice(
                    "forbidden", _answered(fault, "the access token is not accepted here"), f"correct {place}"
                )
            case Fault(status=404 | 405):
                fix = f"correct {place}; if it is correct, see in {LAUNCHPAD} whether the deployment runs"
                return Advice("url", _answered(fault, "its URL does not lead to a running deployment"), fix)
            case Fault(kind=FaultKind.RATE_LIMITED):
                return Advice("quota", _answered(fault, "its quota is used up, so it could not be tried"), _AGAIN)
            case _:
                fix = f"{_AGAIN}; if it keeps failing, deploy the model again in {LAUNCHPAD}"
                return Advice("failing", _answered(fault, _clause(fault)), fix)

    def _through_a_proxy(self, why: Unreachable) -> str:
        """Give advice for a network that can be left only through an HTTP proxy."""
        if self._proxies.unused:
            return f"remove {PROXY}, which keeps {self._proxies.unused} from being used"
        name = why.host.rpartition(":")[0]
        if self._proxies.https is not None and not is_this_machine(name):
            return f"remove {name} from {self._proxies.exempt_in} if it can be reached only through the HTTP proxy"
        return f"set {PROXY} if this network needs an HTTP proxy"


def token_place(proof: Proof) -> str:
    """Say where the URL of the token service is set, for a key that has this *proof*."""
    return f"{'url' if isinstance(proof, Secret) else 'certurl'} in the service key"


def _issuer(proxies: Proxies, why: Unreachable) -> str:
    """Name who signed the certificate of a server that is not trusted; empty where that cannot be found out."""
    with suppress(ValueError):
        return issuer_at(why.host, target_and_proxy(f"https://{why.host}", proxies)[1])
    return ""


def _answered(fault: Fault, meaning: str) -> str:
    return f"requests are answered with status {fault.status}: {meaning}" if fault.status else meaning


def _clause(fault: Fault) -> str:
    """Write the message of a fault as part of a sentence."""
    return fault.message.strip().removesuffix(".")


def not_running(status: str) -> str:
    """Say what to do about a deployment that is listed with a *status* and does not run."""
    if status in STARTING:
        return "wait until it runs, which takes some minutes, and check again"
    # SAP AI Core starts no deployment again.
    return f"deploy its model again in {LAUNCHPAD} and use the new id, or remove this one from the config file"
