"""The reasons why a server could not be reached, from the errors of sockets, TLS and HTTP proxies."""

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import urlsplit


class Reason(Enum):
    """The reasons, as far as their remedies differ."""

    UNKNOWN_HOST = "the name of its host is unknown"
    REFUSED = "the connection was refused"
    NO_ROUTE = "there is no route to its host"
    TIMED_OUT = "the connection timed out"
    SILENT = "it accepted the connection and did not answer in time"
    BROKEN = "the connection broke before an answer arrived"
    NO_TLS = "it does not speak TLS"
    UNTRUSTED = "its certificate is not trusted"
    EXPIRED = "its certificate has expired"
    OTHER_HOST = "its certificate is for another host"
    NOT_STRICT = (
        "its certificate, or that of its authority, violates RFC 5280, which upstream.strict_certificates enforces"
    )
    TRUST_UNUSABLE = "the file of trusted certificates cannot be read"
    CLIENT_CERTIFICATE_REFUSED = "it refuses the client certificate"
    CLIENT_CERTIFICATE_UNUSABLE = "the client certificate cannot be read, or does not belong to its key"
    PROXY_PASSWORD = "the HTTP proxy requires a user and a password"  # noqa: S105 - no password
    PROXY_REFUSED = "the HTTP proxy refuses to connect to it"


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Why a server was not reached: the cause of a fault, which is logged and not sent to callers."""

    reason: Reason
    host: str
    """The host that was not reached, with its port; the proxy itself if `is_proxy`."""
    detail: str = ""
    """The original message, if there is one."""
    is_proxy: bool = False
    """Whether the HTTP proxy itself was not reached."""
    proxy_in: str = ""
    """The setting or the environment variable that names the HTTP proxy; empty if there is none."""
    issuer: str = ""
    """The issuer of a certificate that is not trusted; empty if it is unknown."""

    @property
    def what(self) -> str:
        """The reason as text, with the issuer of an untrusted certificate."""
        if self.issuer and self.reason is Reason.UNTRUSTED:
            return f"its certificate, signed by {self.issuer}, is not trusted"
        return self.reason.value

    def __str__(self) -> str:
        """Return the reason without the host, for logs."""
        proxy = f", of the HTTP proxy that {self.proxy_in} names" if self.is_proxy else ""
        return f"{self.what}{f' ({self.detail})' if self.detail else ''}{proxy}"


class TrustUnusableError(OSError):
    """Raised if the trusted certificates cannot be read; the message names the setting with their path."""


class ClientCertificateUnusableError(OSError):
    """Raised if a client certificate or its key cannot be read, or they do not belong together."""


class ProxyRefusedError(OSError):
    """Raised if an HTTP proxy did not open a tunnel; the message contains its status line."""


PROXY_WANTS_PASSWORD: Final = ProxyRefusedError("HTTP/1.1 407")
"""The error of an HTTP proxy that requires a user and a password."""
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})|HTTP/1\.[01] (\d{3})")
_PROXY_PASSWORD = "407"  # noqa: S105 - an HTTP status
_NO_ROUTE: Final = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}
_VERIFIED: Final = {
    # OpenSSL's code of what is wrong with a certificate
    10: Reason.EXPIRED,
    62: Reason.OTHER_HOST,  # by its name
    64: Reason.OTHER_HOST,  # by its IP address
}
_STRICT: Final = range(80, 94)
"""OpenSSL's codes of the checks that it makes only in strict mode."""
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")
_FILES: Final = {"PEM", "X509", "ASN1"}
"""The libraries of OpenSSL that read certificates and keys."""
UNTRUSTED: Final = frozenset({Reason.UNTRUSTED, Reason.NOT_STRICT})
"""The reasons for which the issuer of the certificate is looked up."""
_AT_CONNECTING: Final = {Reason.UNKNOWN_HOST, Reason.REFUSED, Reason.NO_ROUTE, Reason.TIMED_OUT}
"""The reasons that concern the first hop, which is the proxy if there is one."""


def unreachable(error: BaseException, host: str, proxy: str = "", proxy_in: str = "") -> Unreachable:
    """Return why *host* was not reached, from an *error* that came before its answer.

    *host* and *proxy*, the HTTP proxy if there is one, have the form `name:port`. *proxy_in* is the setting or the
    environment variable that names the proxy.
    """
    reason, detail = Reason.BROKEN, ""
    for each in _chain(error):
        if (found := _reason(each)) is not None:
            reason, detail = found
            break
    is_proxy = bool(proxy) and reason in _AT_CONNECTING
    return Unreachable(reason, proxy if is_proxy else host, detail, is_proxy, proxy_in)


def host_of(url: str) -> str:
    """Return host and port of a URL as `name:port`; empty if it is not valid."""
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.hostname:
            name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            return f"{name}:{parts.port or {'http': 80}.get(parts.scheme, 443)}"
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors that it wraps, each once, the innermost first."""
    seen: list[BaseException] = []
    pending: list[object] = [error]
    while pending:
        each = pending.pop()
        if isinstance(each, BaseException) and not any(each is other for other in seen):
            seen.append(each)
            pending += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
    return reversed(seen)


def _reason(error: BaseException) -> tuple[Reason, str] | None:
    """Return the reason and the detail of one error; None if it gives no reason."""
    match error:
        case socket.gaierror():
            return Reason.UNKNOWN_HOST, ""
        case ssl.SSLCertVerificationError():
            strict = Reason.NOT_STRICT if error.verify_code in _STRICT else Reason.UNTRUSTED
            return _VERIFIED.get(error.verify_code, strict), error.verify_message
        case ssl.SSLError():
            return _of_tls(error)
        case TrustUnusableError():
            return Reason.TRUST_UNUSABLE, str(error)
        case ClientCertificateUnusableError():
            return Reason.CLIENT_CERTIFICATE_UNUSABLE, ""
        case ConnectionRefusedError():
            return Reason.REFUSED, ""
        case TimeoutError():
            return Reason.TIMED_OUT, ""
        case OSError() if error.errno in _NO_ROUTE:
            return Reason.NO_ROUTE, ""
        case OSError() if found := _TUNNEL.search(str(error)):
            status = found[1] or found[2]
            return Reason.PROXY_PASSWORD if status == _PROXY_PASSWORD else Reason.PROXY_REFUSED, f"HTTP {status}"
        case _:
            return None


def _of_tls(error: ssl.SSLError) -> tuple[Reason, str] | None:
    said = error.reason or str(error)
    if "ALERT" in said and ("CERTIFICATE" in said or "UNKNOWN_CA" in said):
        return Reason.CLIENT_CERTIFICATE_REFUSED, said.partition("ALERT_")[2].replace("_", " ").lower()
    if any(name in said for name in _NO_TLS):
        return Reason.NO_TLS, ""
    if error.library in _FILES or "PEM" in said:
        return Reason.CLIENT_CERTIFICATE_UNUSABLE, ""
    return None
