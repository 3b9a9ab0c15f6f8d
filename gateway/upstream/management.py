"""What needs no haste, over requests: tokens, the management API, and whether an endpoint answers at all.

A management GET or HEAD whose connection broke before an answer came is sent once more, and a token is asked for up
to three times. Nothing else is sent twice.
"""

import logging
import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

import orjson
import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.config.network import DIRECT, Network, Proxies, Proxy
from gateway.config.service_keys import CertificateFiles, CertificateText, Secret, ServiceKey
from gateway.upstream.background import OUT_OF_DESCRIPTORS, is_out_of_descriptors
from gateway.upstream.certificates import issuer_at
from gateway.upstream.connection import KEEP_ALIVE, HttpProxy, target_of
from gateway.upstream.tokens import Token
from gateway.upstream.transport_faults import (
    BROKEN,
    NO_ANSWER_IN_TIME,
    NO_CONNECTION_IN_TIME,
    REDIRECT,
    TOO_MUCH,
    UNREACHABLE,
)
from gateway.upstream.trust import TrustStore
from gateway.upstream.unreachable import (
    PROXY_WANTS_PASSWORD,
    UNTRUSTED,
    ClientCertificateUnusableError,
    Reason,
    Unreachable,
    host_of,
    unreachable,
)

_log = logging.getLogger("sap_ai_proxy.management")

_READ_SIZE = 64 * 1024
_BODY_LIMIT = 64 * 1024 * 1024
_MOST_URLS = 1024
"""For how many URLs it is remembered how they are reached."""
_LONGEST = 60.0
"""Seconds that an answer may take to come in all, in however small pieces it comes."""
_CONNECTIONS = 16
"""How many connections to one host are kept."""
_HOSTS = 64
"""How many hosts keep their connections at the same time."""
_TOKEN_TIMEOUTS = (4.0, 15.0)
"""Seconds to connect, which is less than anybody waits for a token, so that they learn why; and to answer."""
_TOKEN_TRIES = 3
_TOKEN_LIFETIME = 3600.0
"""Assumed when the token service does not say, or says what cannot be."""
_TOKEN = re.compile(r"[!-~]+")
"""What a header can hold of a token: visible ASCII letters."""
_SERVICE = "SAP AI Core's token service"
_PAUSE = 0.3
"""Seconds before a token is asked for the second time, unless the service says otherwise."""
_LONGEST_HINT = 3600.0
"""What a token service may ask for at most."""
_PAUSE_CAP = 10.0
"""A token service that wants a longer pause than this is not waited for."""

_PAUSES: Final[Mapping[int, float]] = {
    # status   factor by which the pause before the next try grows
    408: 2.0,
    500: 3.0,
    502: 2.0,
    503: 3.0,
    504: 2.0,
}
_LOST = 2.0
"""The same factor, after the connection failed."""

_LASTING: Final = frozenset(
    {
        Reason.CLIENT_CERTIFICATE_REFUSED,
        Reason.CLIENT_CERTIFICATE_UNUSABLE,
        Reason.EXPIRED,
        Reason.NO_TLS,
        Reason.OTHER_HOST,
        Reason.PROXY_PASSWORD,
        Reason.TRUST_UNUSABLE,
        *UNTRUSTED,
    }
)
"""Why a server is not reached, and will not be in a second either."""

_HEADERS: Final = {"Accept-Encoding": "gzip, deflate", "User-Agent": "sap-ai-core-llm-proxy"}
"""What every request says, unless it says otherwise."""

_REFUSED_KEY = "SAP AI Core's token service refuses the service key of this subaccount."
_NO_PLACE_FOR_CERTIFICATE = Fault(
    # Of the kind that puts the whole subaccount in cooldown: no other endpoint of it can be asked either.
    FaultKind.REFUSED_CREDENTIALS,
    "The client certificate of this subaccount cannot be used: the proxy cannot write to a folder for temporary files.",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Stumble:
    """Why a token did not come, and how long to wait before asking again; never, if there is no pause."""

    fault: Fault
    pause: float | None


class ManagementClient:
    """Sends requests whose sender may block, over connections that are kept.

    It is used by many threads at once and closed by one. The environment is not asked, nor is any .netrc. *wait* lets
    a pause before another try pass.
    """

    def __init__(
        self,
        *,
        network: Network = DIRECT,
        token_timeouts: tuple[float, float] = _TOKEN_TIMEOUTS,
        wait: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._destination = lru_cache(_MOST_URLS)(partial(_Destination.of, network.proxies))
        self._trust = TrustStore(network.trust)
        self._token_timeouts = token_timeouts
        self._session = self._new_session(self._trust.context)
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait
        self._clock = clock

    def get(self, url: str, headers: Mapping[str, str], timeout: float = 15.0) -> Answer:
        """Send one management request; it is repeated once when its connection breaks before the answer."""
        return self._ask("GET", url, headers, timeout)

    def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: float = 15.0) -> Answer:
        """Send one request that may make something; it is never repeated: it may have been heard."""
        return self._send(self._session, "POST", url, (timeout, timeout), headers, body)

    def head(self, url: str, headers: Mapping[str, str], timeout: float = 5.0) -> int:
        """Ask whether a URL answers at all, and with which status; it is repeated as `get` is."""
        return self._ask("HEAD", url, headers, timeout).status

    def fetch_token(self, key: ServiceKey) -> Token:
        """Ask the token service for a new access token, again if it stumbles."""
        tries = 0
        while True:
            outcome = self._try_for_token(key, tries)
            if isinstance(outcome, Token):
                return outcome
            tries += 1
            if tries == _TOKEN_TRIES or outcome.pause is None or outcome.pause > _PAUSE_CAP:
                raise FaultError(outcome.fault)
            self._wait(outcome.pause)

    def close(self) -> None:
        """Close the kept connections and cut pauses short."""
        self._closing.set()
        self._session.close()

    def _new_session(self, tls: Callable[[], ssl.SSLContext]) -> requests.Session:
        """Build a session that keeps connections, and nothing else: no cookies, no environment."""
        session = requests.Session()
        session.trust_env = False
        session.headers.clear()
        session.headers.update(_HEADERS)
        session.cookies = _NoCookies()
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Adapter(tls))
        return session

    def _ask(self, method: str, url: str, headers: Mapping[str, str], timeout: float) -> Answer:
        """Send a request that changes nothing, once more if its connection breaks before the answer."""
        try:
            return self._send(self._session, method, url, (timeout, timeout), headers)
        except FaultError as error:
            if error.fault.kind is not FaultKind.UNREACHABLE:
                raise
        return self._send(self._session, method, url, (timeout, timeout), headers)

    def _send(
        self,
        session: requests.Session,
        method: str,
        url: str,
        timeouts: tuple[float, float],
        headers: Mapping[str, str],
        body: Mapping[str, str] | bytes | None = None,
    ) -> Answer:
        """Send one request, *body* as a form or as it is, and read the answer.

        A redirect is refused, since it would carry a token elsewhere.
        """
        until = self._clock() + _LONGEST
        there = self._destination(url)
        with _as_faults(there):
            response = session.request(
                method,
                url,
                headers=headers,
                data=body,
                timeout=timeouts,
                stream=True,
                allow_redirects=False,
                proxies=dict.fromkeys(("http", "https"), there.proxy_url) if there.proxy_url else None,
            )
        with response:
            if there.proxy is not None and response.status_code == requests.codes.proxy_authentication_required:
                raise FaultError(replace(UNREACHABLE, cause=there.unreachable(PROXY_WANTS_PASSWORD)))
            if 300 <= response.status_code < 400:
                raise FaultError(REDIRECT)
            return Answer(response.status_code, response.headers, self._body(response, until))

    def _body(self, response: requests.Response, until: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while part := response.raw.read1(_READ_SIZE, decode_content=True):
                size += len(part)
                if size > _BODY_LIMIT:
                    raise FaultError(TOO_MUCH)
                if self._clock() >= until:
                    raise FaultError(NO_ANSWER_IN_TIME)
                parts.append(part)
        except (HTTPError, OSError, ValueError) as error:
            raise FaultError(NO_ANSWER_IN_TIME if _is_time_out(error) else BROKEN) from None
        return b"".join(parts)

    def _try_for_token(self, key: ServiceKey, tries: int) -> "Token | _Stumble":
        """Ask once; *tries* is how often that was done before."""
        try:
            answer = self._ask_for_token(key)
        except FaultError as error:
            pause = _PAUSE * _LOST**tries if _may_pass(error.fault) else None
            return _Stumble(_of_token_service(error.fault), pause)
        if answer.status == requests.codes.ok:
            return _token(answer.body)
        pause = _pause(answer.status, answer.headers, tries)
        return _Stumble(_token_fault(answer.status, pause), pause)

    def _ask_for_token(self, key: ServiceKey) -> Answer:
        """Send one token request: credentials in the form body, or in the TLS handshake."""
        form = {"grant_type": "client_credentials", "client_id": key.client_id}
        if isinstance(key.proof, Secret):
            form["client_secret"] = key.proof.reveal()
        with ExitStack() as owned:
            tls = self._trust.context
            if (files := _certificate(key, owned)) is not None:
                tls = partial(_with_certificate, self._trust, files)
            # A session of its own: the certificate's files live no longer than the call.
            session = owned.enter_context(self._new_session(tls))
            return self._send(
                session, "POST", key.token_url, self._token_timeouts, {"Accept": "application/json"}, form
            )


class _Adapter(HTTPAdapter):
    """Connections whose other end is probed while they are idle; what *tls* gives says whom they trust."""

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        self._tls = tls
        super().__init__(pool_connections=_HOSTS, pool_maxsize=_CONNECTIONS, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, socket_options=_socket_options())

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, socket_options=_socket_options())

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Show the proxy a user and a password beyond ASCII in UTF-8, as every way out does."""
        authorization = HttpProxy.of(Proxy(Secret(proxy))).authorization
        return {"Proxy-Authorization": authorization} if authorization else {}

    def build_connection_pool_key_attributes(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> Any:
        host, _settings = super().build_connection_pool_key_attributes(request, verify=True)
        return host, {"ssl_context": self._tls()} if host["scheme"] == "https" else {}

    def cert_verify(self, *_: Any) -> None:
        """Leave to the context whom to trust: requests would add certifi's authorities to it."""


def _socket_options() -> list[tuple[int, int, int | bytes]]:
    kept = ((level, getattr(socket, name), value) for name, level, value in KEEP_ALIVE if hasattr(socket, name))
    return [*HTTPConnection.default_socket_options, *kept]


class _NoCookies(RequestsCookieJar):
    """Keeps nothing: what one tenant's gateway sets must not go out with another tenant's request."""

    def set_cookie(self, *_: Any, **__: Any) -> None:
        """Let it fall."""


@dataclass(frozen=True, slots=True)
class _Destination:
    """How a host is reached, and why it is not."""

    host: str
    """Its name and port."""
    proxy: HttpProxy | None = None
    proxy_url: str = field(default="", repr=False)

    @classmethod
    def of(cls, proxies: Proxies, url: str) -> Self:
        """Find the proxy; a URL that leads nowhere is left to whoever goes there."""
        try:
            target = target_of(url)
            proxy = proxies.to(target.host, target.port, secure=target.secure)
            return cls(host_of(url)) if proxy is None else cls(host_of(url), HttpProxy.of(proxy), proxy.url.reveal())
        except ValueError:
            return cls(host_of(url))

    def unreachable(self, error: BaseException) -> Unreachable:
        """Find out why it was not reached, from an *error*; for what is not trusted, that asks for its certificate."""
        found = unreachable(error, self.host) if self.proxy is None else self.proxy.unreachable(error, self.host)
        return replace(found, issuer=issuer_at(self.host, self.proxy)) if found.reason in UNTRUSTED else found


@contextmanager
def _as_faults(there: _Destination) -> Iterator[None]:
    """Turn every error before the headers into a fault whose message names no host; its cause does."""
    try:
        yield
    except requests.ConnectTimeout:
        raise FaultError(replace(NO_CONNECTION_IN_TIME, cause=there.unreachable(TimeoutError()))) from None
    except requests.Timeout:
        raise FaultError(replace(NO_ANSWER_IN_TIME, cause=Unreachable(Reason.SILENT, there.host))) from None
    except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
        if _is_ours(error):
            raise FaultError(OUT_OF_DESCRIPTORS) from None
        raise FaultError(replace(UNREACHABLE, cause=there.unreachable(error))) from None


def _may_pass(fault: Fault) -> bool:
    """Whether it makes sense to ask for a token again after *fault*."""
    lasts = isinstance(fault.cause, Unreachable) and fault.cause.reason in _LASTING
    return fault not in (_NO_PLACE_FOR_CERTIFICATE, REDIRECT) and fault.kind is not FaultKind.TIMEOUT and not lasts


def _of_token_service(fault: Fault) -> Fault:
    """Say of the token service what a request of it says of SAP AI Core."""
    return replace(fault, message=fault.message.replace("SAP AI Core ", f"{_SERVICE} "))


def _is_time_out(error: Exception) -> bool:
    return isinstance(error, TimeoutError | ReadTimeoutError)


def _is_ours(error: BaseException | None) -> bool:
    """Whether the process was out of descriptors, however deep the error that says so is wrapped."""
    while error is not None:
        if is_out_of_descriptors(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _certificate(key: ServiceKey, owned: ExitStack) -> tuple[str, str] | None:
    """Give the client certificate as two files, which OpenSSL insists on; raises `FaultError`."""
    match key.proof:
        case Secret():
            return None
        case CertificateFiles(certificate, private):
            return str(certificate), str(private)
        case CertificateText(text, secret):
            try:
                return _written(text, secret, owned)
            except OSError as error:
                _log.warning(
                    "the client certificate of %s cannot be written to a folder for temporary files (%s): "
                    "set TMPDIR to one that can be written to, or name files in cert_file_path and key_file_path",
                    key.client_id,
                    error.strerror or type(error).__name__,
                )
                fault = OUT_OF_DESCRIPTORS if is_out_of_descriptors(error) else _NO_PLACE_FOR_CERTIFICATE
                raise FaultError(fault) from None


def _with_certificate(trust: TrustStore, files: tuple[str, str]) -> ssl.SSLContext:
    """Build a context that shows a client certificate; raises `OSError`."""
    context = trust.new_context()
    try:
        context.load_cert_chain(*files, password="")
    except OSError as error:
        raise error if is_out_of_descriptors(error) else ClientCertificateUnusableError from error
    return context


def _written(certificate: str, key: Secret, owned: ExitStack) -> tuple[str, str]:
    """Write a certificate and its key to files that only we may read, for as long as *owned* is open."""
    folder = Path(owned.enter_context(TemporaryDirectory(prefix="sap-ai-proxy-")))
    paths = folder / "certificate.pem", folder / "key.pem"
    for path, content in zip(paths, (certificate, key.reveal()), strict=True):
        path.touch(mode=0o600)
        path.write_text(content, encoding="ascii")
    return str(paths[0]), str(paths[1])


def _token(body: bytes) -> Token:
    """Read the answer of the token service."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    match answer:
        case {"access_token": str(value)} if _TOKEN.fullmatch(value):
            return Token(value, _lifetime(answer.get("expires_in")))
        case {"access_token": str(value)} if value:
            what = "sent a token with a character that an HTTP header cannot have"
        case {"access_token": _}:
            what = "sent an access_token that is empty or not a string"
        case dict():
            what = "sent a response without a token"
        case _:
            what = "sent a response that is not a JSON object: the token URL in the service key may be wrong"
    raise FaultError(Fault(FaultKind.SERVER_ERROR, f"{_SERVICE} {what}."))


def _lifetime(said: object) -> float:
    """Read for how many seconds a token is good; a number may be written as a text."""
    try:
        seconds = float(said) if isinstance(said, int | float | str) and not isinstance(said, bool) else 0.0
    except (ValueError, OverflowError):
        seconds = 0.0
    return seconds if 0.0 < seconds < math.inf else _TOKEN_LIFETIME


def _pause(status: int, headers: Mapping[str, str], tries: int) -> float | None:
    """Say how long to wait before asking again, or that asking again is of no use."""
    if status == requests.codes.too_many_requests:
        hint = headers.get("retry-after", "")
        return min(float(hint), _LONGEST_HINT) if hint.isascii() and hint.isdigit() else 1.0
    return _PAUSE * _PAUSES[status] ** tries if status in _PAUSES else None


def _token_fault(status: int, pause: float | None) -> Fault:
    """Say what a refusal by the token service means."""
    if status == requests.codes.too_many_requests:
        return Fault(
            FaultKind.OVERLOADED, "SAP AI Core's token service has too many requests. Try again later.", status, pause
        )
    if 400 <= status < 500 and status not in _PAUSES:
        return Fault(FaultKind.REFUSED_CREDENTIALS, _REFUSED_KEY, status)
    return Fault(FaultKind.SERVER_ERROR, "SAP AI Core's token service failed.", status)
