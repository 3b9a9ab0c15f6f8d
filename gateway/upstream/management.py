"""The blocking client for tokens, the management API and health probes, based on the library `requests`.

A management GET or HEAD is repeated once if its connection breaks before an answer. A token is requested up to three
times. Nothing else is sent twice.
"""

import logging
import math
import re
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
from urllib3.exceptions import HTTPError, ReadTimeoutError

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.config.network import DIRECT, Network, Proxies, Proxy
from gateway.config.service_keys import CertificateFiles, CertificateText, Secret, ServiceKey
from gateway.upstream.background import OUT_OF_DESCRIPTORS, is_out_of_descriptors
from gateway.upstream.certificates import issuer_at
from gateway.upstream.connection import HttpProxy, Resolve, addresses_of, target_of
from gateway.upstream.timed_connections import socket_options, timed_pools
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
_BODY_LIMIT = 8 * 1024 * 1024
"""The maximum size of an answer in bytes. A page of a hundred deployments has some hundred KB."""
_MOST_URLS = 1024
"""The number of URLs whose proxy is cached."""
_LONGEST = 60.0
"""Seconds within which the head of an answer must arrive, and the rest of it."""
_CONNECTIONS = 16
"""The number of kept connections to one host."""
_HOSTS = 64
"""The number of hosts whose connections are kept."""
_TOKEN_TIMEOUTS = (4.0, 15.0)
"""Seconds to connect and to answer. Connecting fails before requests stop waiting, so that they get the reason."""
_TOKEN_TRIES = 3
_TOKEN_LIFETIME = 3600.0
"""Seconds that a token is valid if the token service sends no valid lifetime."""
_TOKEN = re.compile(r"[!-~]+")
"""The tokens that an HTTP header can contain: visible ASCII characters."""
_SERVICE = "SAP AI Core's token service"
_PAUSE = 0.3
"""Seconds before the second request for a token, unless the service sends a hint."""
_LONGEST_HINT = 3600.0
"""The longest retry hint of a token service that is respected, in seconds."""
_PAUSE_CAP = 10.0
"""If the pause would be longer than this many seconds, the token is not requested again."""

_PAUSES: Final[Mapping[int, float]] = {
    # status   factor by which the pause before the next try grows
    408: 2.0,
    500: 3.0,
    502: 2.0,
    503: 3.0,
    504: 2.0,
}
_LOST = 2.0
"""The same factor after a failed connection."""

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
"""The reasons that last, so that trying again is useless."""

_HEADERS: Final = {"Accept-Encoding": "gzip, deflate", "User-Agent": "sap-ai-core-llm-proxy"}
"""The default headers of every request."""

_REFUSED_KEY = "SAP AI Core's token service refuses the service key of this subaccount."
_NO_PLACE_FOR_CERTIFICATE = Fault(
    # This kind puts the whole subaccount in cooldown, because none of its endpoints can be called.
    FaultKind.REFUSED_CREDENTIALS,
    "The client certificate of this subaccount cannot be used: the proxy cannot write to a folder for temporary files.",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Stumble:
    """A failed request for a token, and the seconds before the next one; None if it should not be repeated."""

    fault: Fault
    pause: float | None


class ManagementClient:
    """Sends blocking requests over kept connections.

    Many threads may use it at once, and one closes it. It reads neither environment variables nor a .netrc. *wait*
    sleeps between two requests for a token. *longest* is the time limit of the head of an answer, and that of the rest.
    """

    def __init__(
        self,
        *,
        network: Network = DIRECT,
        token_timeouts: tuple[float, float] = _TOKEN_TIMEOUTS,
        wait: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        resolve: Resolve = addresses_of,
        longest: float = _LONGEST,
    ) -> None:
        self._pools = timed_pools(resolve, longest)
        self._longest = longest
        self._destination = lru_cache(_MOST_URLS)(partial(_Destination.of, network.proxies))
        self._trust = TrustStore(network.trust)
        self._token_timeouts = token_timeouts
        self._session = self._new_session(self._trust.context)
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait
        self._clock = clock

    def get(self, url: str, headers: Mapping[str, str], timeout: float = 15.0) -> Answer:
        """Send a GET request, and repeat it once if its connection breaks before the answer; raises `FaultError`."""
        return self._ask("GET", url, headers, timeout)

    def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: float = 15.0) -> Answer:
        """Send a POST request once; raises `FaultError`. It is not repeated, because it may have had an effect."""
        return self._send(self._session, "POST", url, (timeout, timeout), headers, body)

    def head(self, url: str, headers: Mapping[str, str], timeout: float = 5.0) -> int:
        """Send a HEAD request and return its status; it is repeated as in `get`; raises `FaultError`."""
        return self._ask("HEAD", url, headers, timeout).status

    def fetch_token(self, key: ServiceKey) -> Token:
        """Request a new access token, up to three times; raises `FaultError`."""
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
        """Close the kept connections and end all pauses."""
        self._closing.set()
        self._session.close()

    def _new_session(self, tls: Callable[[], ssl.SSLContext]) -> requests.Session:
        """Build a session that keeps connections, ignores cookies and does not read the environment."""
        session = requests.Session()
        session.trust_env = False
        session.headers.clear()
        session.headers.update(_HEADERS)
        session.cookies = _NoCookies()
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Adapter(tls, self._pools))
        return session

    def _ask(self, method: str, url: str, headers: Mapping[str, str], timeout: float) -> Answer:
        """Send a request without side effects, and repeat it once if its connection breaks before the answer."""
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
        """Send one request and read the answer; *body* is a form or bytes. Raises `FaultError` on any error.

        A redirect is an error, because following it would send a token to another server.
        """
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
            return Answer(response.status_code, response.headers, self._body(response, self._clock() + self._longest))

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
        """Request a token once, after *tries* failures."""
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
        """Send one token request, with the secret in the form or a client certificate in the TLS handshake."""
        form = {"grant_type": "client_credentials", "client_id": key.client_id}
        if isinstance(key.proof, Secret):
            form["client_secret"] = key.proof.reveal()
        with ExitStack() as owned:
            tls = self._trust.context
            if (files := _certificate(key, owned)) is not None:
                tls = partial(_with_certificate, self._trust, files)
            # A session of its own, because the files of the certificate are deleted after the call.
            session = owned.enter_context(self._new_session(tls))
            return self._send(
                session, "POST", key.token_url, self._token_timeouts, {"Accept": "application/json"}, form
            )


class _Adapter(HTTPAdapter):
    """An adapter with TCP keep-alive, with the TLS context that *tls* returns, and with classes of connection pools."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], pools: Mapping[str, Any]) -> None:
        self._tls = tls
        self._pools = pools
        super().__init__(pool_connections=_HOSTS, pool_maxsize=_CONNECTIONS, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, socket_options=socket_options())
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options, socket_options=socket_options())
        manager.pool_classes_by_scheme = self._pools
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the proxy's authorization with user and password in UTF-8, as the other clients do."""
        authorization = HttpProxy.of(Proxy(Secret(proxy))).authorization
        return {"Proxy-Authorization": authorization} if authorization else {}

    def build_connection_pool_key_attributes(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> Any:
        host, _settings = super().build_connection_pool_key_attributes(request, verify=True)
        return host, {"ssl_context": self._tls()} if host["scheme"] == "https" else {}

    def cert_verify(self, *_: Any) -> None:
        """Do nothing: the TLS context verifies certificates, and requests would add certifi's authorities to it."""


class _NoCookies(RequestsCookieJar):
    """A cookie jar that stores nothing, so that no cookie of one tenant is sent in a request for another tenant."""

    def set_cookie(self, *_: Any, **__: Any) -> None:
        """Ignore the cookie."""


@dataclass(frozen=True, slots=True)
class _Destination:
    """A host and the proxy through which it is reached."""

    host: str
    """The name and the port of the host."""
    proxy: HttpProxy | None = None
    proxy_url: str = field(default="", repr=False)

    @classmethod
    def of(cls, proxies: Proxies, url: str) -> Self:
        """Return the destination of *url*. For a URL that is not valid, the request itself raises the error."""
        try:
            target = target_of(url)
            proxy = proxies.to(target.host, target.port, secure=target.secure)
            return cls(host_of(url)) if proxy is None else cls(host_of(url), HttpProxy.of(proxy), proxy.url.reveal())
        except ValueError:
            return cls(host_of(url))

    def unreachable(self, error: BaseException) -> Unreachable:
        """Return why the host was not reached, from an *error*; reads the issuer of an untrusted certificate."""
        found = unreachable(error, self.host) if self.proxy is None else self.proxy.unreachable(error, self.host)
        return replace(found, issuer=issuer_at(self.host, self.proxy)) if found.reason in UNTRUSTED else found


@contextmanager
def _as_faults(there: _Destination) -> Iterator[None]:
    """Convert every error before the headers into a fault. Its cause names the host; its message does not."""
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
    """Return whether another request for a token may succeed after *fault*."""
    lasts = isinstance(fault.cause, Unreachable) and fault.cause.reason in _LASTING
    return fault not in (_NO_PLACE_FOR_CERTIFICATE, REDIRECT) and fault.kind is not FaultKind.TIMEOUT and not lasts


def _of_token_service(fault: Fault) -> Fault:
    """Return *fault* with a message that names the token service."""
    return replace(fault, message=fault.message.replace("SAP AI Core ", f"{_SERVICE} "))


def _is_time_out(error: Exception) -> bool:
    return isinstance(error, TimeoutError | ReadTimeoutError)


def _is_ours(error: BaseException | None) -> bool:
    """Return whether the process ran out of descriptors, by the error or any error that it wraps."""
    while error is not None:
        if is_out_of_descriptors(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _certificate(key: ServiceKey, owned: ExitStack) -> tuple[str, str] | None:
    """Return the files of client certificate and key, which OpenSSL needs; None without; raises `FaultError`."""
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
    """Build a TLS context with a client certificate; raises `OSError` if it cannot be loaded."""
    context = trust.new_context()
    try:
        context.load_cert_chain(*files, password="")
    except OSError as error:
        raise error if is_out_of_descriptors(error) else ClientCertificateUnusableError from error
    return context


def _written(certificate: str, key: Secret, owned: ExitStack) -> tuple[str, str]:
    """Write a certificate and its key to files that only this user may read; they are deleted when *owned* closes."""
    folder = Path(owned.enter_context(TemporaryDirectory(prefix="sap-ai-proxy-")))
    paths = folder / "certificate.pem", folder / "key.pem"
    for path, content in zip(paths, (certificate, key.reveal()), strict=True):
        path.touch(mode=0o600)
        # OpenSSL refuses a text with a character beyond ASCII.
        path.write_text(content, encoding="ascii", errors="replace")
    return str(paths[0]), str(paths[1])


def _token(body: bytes) -> Token:
    """Parse the answer of the token service; raises `FaultError`."""
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
    """Parse the lifetime of a token in seconds, which may be a number or a text."""
    try:
        seconds = float(said) if isinstance(said, int | float | str) and not isinstance(said, bool) else 0.0
    except (ValueError, OverflowError):
        seconds = 0.0
    return seconds if 0.0 < seconds < math.inf else _TOKEN_LIFETIME


def _pause(status: int, headers: Mapping[str, str], tries: int) -> float | None:
    """Return the seconds before the next request for a token; None if it should not be repeated."""
    if status == requests.codes.too_many_requests:
        hint = headers.get("retry-after", "")
        return min(float(hint), _LONGEST_HINT) if hint.isascii() and hint.isdigit() else 1.0
    return _PAUSE * _PAUSES[status] ** tries if status in _PAUSES else None


def _token_fault(status: int, pause: float | None) -> Fault:
    """Return the fault for an error status of the token service."""
    if status == requests.codes.too_many_requests:
        return Fault(
            FaultKind.OVERLOADED, "SAP AI Core's token service has too many requests. Try again later.", status, pause
        )
    if 400 <= status < 500 and status not in _PAUSES:
        return Fault(FaultKind.REFUSED_CREDENTIALS, _REFUSED_KEY, status)
    return Fault(FaultKind.SERVER_ERROR, "SAP AI Core's token service failed.", status)
