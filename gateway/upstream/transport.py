"""The only way out: HTTP calls to SAP AI Core, and every error of the network as a fault.

Nothing is sent twice behind the caller's back, with two exceptions that are safe to repeat: a management GET whose
connection broke before an answer came is sent once more, and a token is asked for up to three times. A POST is
never repeated here, even when a kept connection turns out to be dead: whether the other side had begun to work
cannot be known from here, and the caller, who can go elsewhere, decides. Kept connections are probed by the
operating system, so that a dead one is rarely chosen.
"""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

import orjson
import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.models import PreparedRequest
from requests.structures import CaseInsensitiveDict
from requests.utils import check_header_validity
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

from dialects.faults import Fault, FaultError, FaultKind
from gateway.config.service_keys import CertificateFiles, CertificateText, Secret, ServiceKey
from gateway.upstream.tokens import Token

_READ_SIZE = 64 * 1024
_BODY_LIMIT = 64 * 1024 * 1024
_HOSTS = 64
"""How many hosts keep their connections at the same time."""
_TOKEN_TIMEOUT = (5.0, 15.0)
_TOKEN_TRIES = 3
_TOKEN_LIFETIME = 3600.0
"""Assumed when the token service does not say."""
_PAUSE = 0.3
"""Seconds before a token is asked for the second time, unless the service says otherwise."""
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

_KEEP_ALIVE: Final = (
    # option                                   value
    ("SO_KEEPALIVE", socket.SOL_SOCKET, 1),
    ("TCP_KEEPIDLE", socket.IPPROTO_TCP, 45),  # below the idle limit of the load balancers in front of AI Core
    ("TCP_KEEPINTVL", socket.IPPROTO_TCP, 15),
    ("TCP_KEEPCNT", socket.IPPROTO_TCP, 3),
)

_HEADERS: Final = {"Accept-Encoding": "gzip, deflate", "User-Agent": "sap-ai-core-llm-proxy"}
"""What every request says, unless it says otherwise."""

_UNREACHABLE = Fault(FaultKind.UNREACHABLE, "SAP AI Core could not be reached.")
_NO_CONNECTION_IN_TIME = Fault(FaultKind.TIMEOUT, "No connection to SAP AI Core came about in time.")
_NO_ANSWER_IN_TIME = Fault(FaultKind.TIMEOUT, "SAP AI Core did not answer in time.")
_BROKEN = Fault(FaultKind.STREAM_BROKEN, "The answer of SAP AI Core broke off.")
_TOO_MUCH = Fault(FaultKind.STREAM_BROKEN, "The answer of SAP AI Core is larger than this proxy takes.")
_REFUSED_KEY = "SAP AI Core's token service refuses the service key of this subaccount."


class Upstream:
    """One answer of SAP AI Core, whose body is still to come.

    One thread reads; any thread may call `shutdown()`, which ends a read that waits. The connection goes back
    to the pool in `close()` and nowhere else, so that a late `shutdown()` never hits another request. `_lock`
    guards `_stopped` and `_closed`, and the two calls on the socket that must agree with them; they do not block.
    """

    def __init__(self, response: requests.Response) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._raw: Any = response.raw
        self._pool = self._raw._pool  # noqa: SLF001 - without a pool, urllib3 leaves giving back to us
        self._raw._pool = None  # noqa: SLF001 - as above
        self._lock = threading.Lock()
        self._stopped = False
        self._closed = False
        self._finished = False

    @property
    def content_type(self) -> str:
        """The media type, in lower case and without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def read(self, limit: int = _BODY_LIMIT, *, late: Callable[[], bool] = lambda: False) -> bytes:
        """Read the whole body and close; more than *limit* bytes, or bytes when it is too *late*, are a fault."""
        parts: list[bytes] = []
        size = 0
        with self:
            for chunk in self:
                size += len(chunk)
                if size > limit:
                    raise FaultError(_TOO_MUCH)
                if late():
                    raise FaultError(_NO_ANSWER_IN_TIME)
                parts.append(chunk)
        return b"".join(parts)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body as it arrives, without waiting for more than there is; its end closes."""
        while chunk := self._next():
            yield chunk

    def _next(self) -> bytes:
        """Wait for the next bytes; none means that the body is complete."""
        if self._finished:
            return b""
        if self._was_stopped():
            raise FaultError(_BROKEN)
        try:
            chunk: bytes = self._raw.read1(_READ_SIZE, decode_content=True)
        except ReadTimeoutError:
            raise FaultError(_NO_ANSWER_IN_TIME) from None
        except (HTTPError, OSError, ValueError, AttributeError):
            # The last two are how http.client meets a file that another thread has closed.
            raise FaultError(_BROKEN) from None
        if not chunk and self._was_stopped():
            raise FaultError(_BROKEN)
        if not chunk:
            self._finished = True
            self.close()
        return chunk

    def _was_stopped(self) -> bool:
        """Tell whether somebody ended the answer before its body did."""
        return self._stopped or self._closed

    def wait_at_most(self, seconds: float) -> None:
        """Set how long each further read may wait; a connection that ends with this answer keeps its first limit."""
        connection = self._raw.connection
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(seconds)

    def shutdown(self) -> None:
        """Stop the answer from any thread: a read that waits ends at once."""
        with self._lock:
            if self._closed or self._stopped:
                return
            self._stopped = True
            self._end_read()

    def close(self) -> None:
        """Give the connection back if the body was read to its end, and drop it otherwise."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            reusable = self._finished and not self._stopped
        if reusable:
            self._raw._pool = self._pool  # noqa: SLF001 - see __init__
            self._raw.release_conn()
        else:
            # A reader in another thread holds the file until its read ends.
            self._end_read()
        self._raw.close()

    def _end_read(self) -> None:
        with suppress(OSError, ValueError, RuntimeError):  # already gone, which is what was wanted
            self._raw.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class _Stumble:
    """Why a token did not come, and how long to wait before asking again; never, if there is no pause."""

    fault: Fault
    pause: float | None


class Transport:
    """Sends requests to SAP AI Core over connections that are kept.

    It is used by many threads at once and closed by one. *proxy* is the URL of an HTTP proxy; the environment is
    not asked. *ca_bundle* names a file of trusted certificates.
    """

    def __init__(
        self,
        *,
        connections: int = 64,
        proxy: Secret | None = None,
        ca_bundle: Path | None = None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._connections = connections
        self._proxy = proxy
        self._verify: bool | str = str(ca_bundle) if ca_bundle else True
        self._session = self._new_session()
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait

    def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        stream: bool = False,
        connect_timeout: float = 5.0,
        read_timeout: float = 600.0,
    ) -> Upstream:
        """Send one inference request and return when status and headers are there.

        With *stream* the body may be compressed by nobody on its way: a compressor holds bytes back.
        """
        encoding = {} if not stream else {"Accept-Encoding": "identity"}
        return self.send("POST", url, {**headers, **encoding}, body, (connect_timeout, read_timeout))

    def get(self, url: str, headers: Mapping[str, str], timeout: float = 15.0) -> Upstream:
        """Send one management request; it is repeated once when its connection breaks before the answer."""
        try:
            return self.send("GET", url, headers, None, (timeout, timeout))
        except FaultError as error:
            if error.fault.kind is not FaultKind.UNREACHABLE:
                raise
        return self.send("GET", url, headers, None, (timeout, timeout))

    def head(self, url: str, headers: Mapping[str, str], timeout: float = 5.0) -> int:
        """Ask whether a URL answers at all, and with which status."""
        upstream = self.send("HEAD", url, headers, None, (timeout, timeout))
        upstream.read()
        return upstream.status

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

    def _new_session(self) -> requests.Session:
        """Build a session that keeps connections, and nothing else: no cookies, no environment."""
        session = requests.Session()
        session.trust_env = False
        session.headers.clear()
        session.headers.update(_HEADERS)
        session.cookies = _NoCookies()
        session.verify = self._verify
        if self._proxy is not None:
            session.proxies = dict.fromkeys(("http", "https"), self._proxy.reveal())
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Adapter(pool_connections=_HOSTS, pool_maxsize=self._connections, max_retries=0))
        return session

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeouts: tuple[float, float]
    ) -> Upstream:
        """Send one request; a redirect is refused, since it would carry a token elsewhere."""
        with _as_faults():
            request = self._written(method, url, headers, body)
            # Not by the session, which works out for each request what is the same for all of ours.
            response = self._session.get_adapter(url).send(
                request, stream=True, timeout=timeouts, verify=self._verify, proxies=self._session.proxies
            )
        upstream = Upstream(response)
        if 300 <= upstream.status < 400:
            upstream.close()
            raise FaultError(
                Fault(FaultKind.SERVER_ERROR, "SAP AI Core answered with a redirect, which is not followed.")
            )
        return upstream

    def _written(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> PreparedRequest:
        """Write down one request; raises what `requests` raises for one that cannot be sent."""
        request = PreparedRequest()
        request.method, request.url, request.body = method, _checked_url(url), body
        request.headers = CaseInsensitiveDict({**_HEADERS, **headers})
        if body is not None:
            request.headers["Content-Length"] = str(len(body))
        for header in request.headers.items():
            check_header_validity(header)
        return request

    def _try_for_token(self, key: ServiceKey, tries: int) -> "Token | _Stumble":
        """Ask once; *tries* is how often that was done before."""
        try:
            status, headers, body = self._ask_for_token(key)
        except FaultError as error:
            return _Stumble(error.fault, _PAUSE * _LOST**tries)
        if status == requests.codes.ok:
            return _token(body)
        pause = _pause(status, headers, tries)
        return _Stumble(_token_fault(status, pause), pause)

    def _ask_for_token(self, key: ServiceKey) -> tuple[int, Mapping[str, str], bytes]:
        """Send one token request: credentials in the form body, or in the TLS handshake."""
        form = {"grant_type": "client_credentials", "client_id": key.client_id}
        if isinstance(key.proof, Secret):
            form["client_secret"] = key.proof.reveal()
        with ExitStack() as owned:
            # A session of its own: the certificate's files live no longer than the call.
            session = owned.enter_context(self._new_session())
            session.cert = _certificate(key, owned)
            with _as_faults():
                response = session.post(
                    key.token_url,
                    data=form,
                    headers={"Accept": "application/json"},
                    timeout=_TOKEN_TIMEOUT,
                    stream=True,
                    allow_redirects=False,
                )
            upstream = Upstream(response)
            return upstream.status, upstream.headers, upstream.read()


@lru_cache(maxsize=1024)
def _checked_url(url: str) -> str | None:
    """Write a URL as it goes over the wire; the same few are called again and again."""
    request = PreparedRequest()
    request.prepare_url(url, None)
    return request.url


class _Adapter(HTTPAdapter):
    """Connections whose other end is probed while they are idle."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        options["socket_options"] = [
            *HTTPConnection.default_socket_options,
            *((level, getattr(socket, name), value) for name, level, value in _KEEP_ALIVE if hasattr(socket, name)),
        ]
        super().init_poolmanager(*args, **options)


class _NoCookies(RequestsCookieJar):
    """Keeps nothing: what one tenant's gateway sets must not go out with another tenant's request."""

    def set_cookie(self, *_: Any, **__: Any) -> None:
        """Let it fall."""


@contextmanager
def _as_faults() -> Iterator[None]:
    """Turn every error before the headers into a fault that names no host."""
    try:
        yield
    except requests.ConnectTimeout:
        raise FaultError(_NO_CONNECTION_IN_TIME) from None
    except requests.Timeout:
        raise FaultError(_NO_ANSWER_IN_TIME) from None
    except (requests.RequestException, HTTPError, OSError):
        raise FaultError(_UNREACHABLE) from None


def _certificate(key: ServiceKey, owned: ExitStack) -> tuple[str, str] | None:
    """Give the client certificate as two files, which OpenSSL insists on."""
    match key.proof:
        case Secret():
            return None
        case CertificateFiles(certificate, private):
            return str(certificate), str(private)
        case CertificateText(text, secret):
            folder = Path(owned.enter_context(TemporaryDirectory(prefix="sap-ai-proxy-")))
            paths = folder / "certificate.pem", folder / "key.pem"
            for path, content in zip(paths, (text, secret.reveal()), strict=True):
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
        case {"access_token": str(value), "expires_in": int() | float() as lifetime} if value:
            return Token(value, float(lifetime))
        case {"access_token": str(value)} if value:
            return Token(value, _TOKEN_LIFETIME)
        case _:
            raise FaultError(Fault(FaultKind.SERVER_ERROR, "SAP AI Core's token service sent no token."))


def _pause(status: int, headers: Mapping[str, str], tries: int) -> float | None:
    """Say how long to wait before asking again, or that asking again is of no use."""
    if status == requests.codes.too_many_requests:
        hint = headers.get("retry-after", "")
        return float(hint) if hint.isdigit() else 1.0
    return _PAUSE * _PAUSES[status] ** tries if status in _PAUSES else None


def _token_fault(status: int, pause: float | None) -> Fault:
    """Say what a refusal by the token service means."""
    if status == requests.codes.too_many_requests:
        return Fault(FaultKind.OVERLOADED, "SAP AI Core's token service is busy.", status, pause)
    if 400 <= status < 500 and status not in _PAUSES:
        return Fault(FaultKind.REFUSED_CREDENTIALS, _REFUSED_KEY, status)
    return Fault(FaultKind.SERVER_ERROR, "SAP AI Core's token service is out of order.", status)
