"""The fetcher of URLs that callers name: from permitted addresses only, within limits of size and time.

A host name is looked up once, and the connection goes to an address that was checked, so that a second look-up cannot
lead to another address. An HTTP proxy also gets the address and not the name, because it would look up the name again.

Callers get the same message whatever prevents a fetch, because the difference between an address that is not permitted,
a closed port and a missing page would show them the network of the proxy. Only what they can see in their own URL, and
a size limit, has a message of its own.
"""

import logging
import re
import time
from collections.abc import Callable, Container
from contextlib import closing
from typing import Final
from urllib.parse import urljoin, urlsplit

from dialects.core.faults import Fault, FaultError, FaultKind, invalid
from gateway.config.network import DIRECT, Network
from gateway.media.inline import Fetched
from gateway.media.networks import PUBLIC_ONLY
from gateway.requests.lifetime import Clock, Lifetime
from gateway.upstream.connection import HttpProxy, Resolve, Resolver, Route, Target, addresses_of, parse_target
from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.steps import Steps, ends_by, run
from gateway.upstream.transport import Call
from gateway.upstream.transport_faults import REDIRECT, TOO_MUCH
from gateway.upstream.trust import TrustStore

_log = logging.getLogger("sap_ai_proxy")
_COPIES: Final = 2
"""How often the bytes that were read are in memory."""
_MOST_BYTES: Final = 20 * 1024 * 1024
_SECONDS: Final = 15.0
_CONNECT_SECONDS: Final = 5.0
"""The time limit of connecting to one address of a host, in seconds."""
_REDIRECTS: Final = 3
_MOST_LOOKUPS: Final = 64
"""The maximum number of look-ups in progress. Each has a thread, which lasts for as long as the system's resolver."""
_LONGEST: Final = 16 * 1024
"""The maximum number of characters of a URL. Converting a host name takes time for each of them."""
_HOST: Final = re.compile(r"(?:[a-z0-9_-]+\.)*[a-z0-9_-]+\.?|[0-9a-f:.]+")
"""A host name or an IP address, without the zone of an IPv6 address. Some resolvers take others for a name that the
rules know."""
_OPEN_PORTS: Final = frozenset({80, 443})
_NOT_FETCHED: Final = "the proxy cannot reach it or must not fetch it; send its content in the request instead"

Allows = Callable[[str, str], bool]
"""Returns whether a host may be fetched from at one of its IP addresses."""


class _NotFetchedError(Exception):
    """Raised if a URL is not fetched. The text is for the log."""


class MediaFetcher:
    """Fetches URLs, without keeping connections. Many threads may use it at once.

    *most* is the maximum size in bytes, and *seconds* the time limit of one fetch, which includes looking up the host.
    *ports* are the allowed ports: those of web servers, because others belong to other services. *network* has the
    proxies and the trusted certificates.
    """

    def __init__(
        self,
        *,
        network: Network = DIRECT,
        resolve: Resolve = addresses_of,
        allows: Allows = PUBLIC_ONLY.allows,
        ports: Container[int] = _OPEN_PORTS,
        most: int = _MOST_BYTES,
        seconds: float = _SECONDS,
        most_lookups: int = _MOST_LOOKUPS,
        clock: Clock = time.monotonic,
    ) -> None:
        self._proxies = network.proxies
        self._trust = TrustStore(network.trust)
        self._resolver = Resolver(resolve, clock, most_lookups)
        self._pool = ConnectionPool(clock, most=0)
        self._allows = allows
        self._ports = ports
        self._most = most
        self._seconds = seconds

    def __call__(self, url: str, room: int, lifetime: Lifetime) -> Fetched:
        """Fetch *url* with at most *room* bytes, within *lifetime*, and reserve its memory for them.

        Raises a `FaultError`, whose message is for the caller.
        """
        target = self._target(url)
        until = lifetime.clock() + self._seconds
        try:
            return run(ends_by(self._fetched(url, target, room, lifetime), until, lifetime.clock), lifetime)
        except TimeoutError:
            why = f"it took longer than {self._seconds:g} seconds"
        except (_NotFetchedError, OSError, ValueError) as error:
            why = str(error)
        _log.info("a URL in a request was not fetched: %s", why)
        _log.debug("the host of that URL: %.200r", target.host)
        raise _refused(url, _NOT_FETCHED)

    def _target(self, url: str) -> Target:
        """Parse a URL; raises `FaultError` for one that is not fetched from anywhere."""
        if len(url) > _LONGEST:
            raise _refused(url, f"it is longer than {_LONGEST} characters")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _refused(url, "it is not a URL") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise _refused(url, "only http and https URLs are supported")
        try:
            target = parse_target(url)
        except ValueError:
            raise _refused(url, "it is not a URL") from None
        if not _HOST.fullmatch(target.host):
            raise _refused(url, "it is not a URL")
        if port == 0 or target.port not in self._ports:
            raise _refused(url, "only ports 80 and 443 are allowed")
        return target

    def _fetched(self, url: str, target: Target, room: int, lifetime: Lifetime) -> Steps[Fetched]:
        """Fetch a URL and follow its redirects."""
        place = url
        for _ in range(_REDIRECTS + 1):
            found = yield from self._answer(url, target, room, lifetime)
            if isinstance(found, Fetched):
                return found
            place = urljoin(place, found)
            try:
                target = self._target(place)
            except FaultError as error:
                raise _NotFetchedError(f"it redirects to another place: {error.fault.message}") from None
        raise _NotFetchedError("it redirects too often")

    def _answer(self, url: str, target: Target, room: int, lifetime: Lifetime) -> Steps[Fetched | str]:
        """Send one request; return the answer, or the target of a redirect."""
        until, caller = lifetime.clock() + self._seconds, lifetime.memory.caller
        addresses = yield from self._resolver.addresses(target.host, target.port, until, caller)
        if not all(self._allows(target.host, address) for address in addresses):
            raise _NotFetchedError("an address of its host is not public, or is denied by upstream.media_deny")
        found = self._proxies.to(target.host, target.port, secure=target.secure)
        proxy = HttpProxy.of(found) if found is not None else None
        route = Route(target, proxy, _CONNECT_SECONDS, self._trust.context, tuple(addresses))
        with closing(Call(self._pool, self._resolver, route, (_head(target), b""), lifetime.clock)) as call:
            try:
                yield from call.answered()
                if call.status != 200:
                    raise _NotFetchedError(f"the server answered with status {call.status}")
                data = yield from call.rest(
                    min(self._most, room), hold=lambda size: lifetime.memory.take(_COPIES * size)
                )
                return Fetched(call.content_type or "application/octet-stream", data)
            except FaultError as error:
                if error.fault is REDIRECT and (to := call.headers.get("location")):
                    return to
                raise self._failure(url, room, error.fault) from None

    def _failure(self, url: str, room: int, fault: Fault) -> Exception:
        """Return the exception for the *fault* of a call."""
        if fault is TOO_MUCH and room < self._most:
            return _refused(url, f"it is larger than {room} bytes, which is the room left in this request")
        if fault is TOO_MUCH:
            return _refused(url, f"it is larger than {self._most} bytes")
        if fault.kind in {FaultKind.UNAVAILABLE, FaultKind.TOO_LARGE}:  # the proxy lacks descriptors, threads or memory
            return FaultError(fault)
        return _NotFetchedError(str(fault.cause or fault.kind.value))


def _head(target: Target) -> bytes:
    lines = (
        f"GET {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        "User-Agent: sap-ai-core-llm-proxy",
        "Accept-Encoding: identity",
        "Connection: close",
    )
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _refused(url: str, why: str) -> FaultError:
    return invalid(f"Cannot fetch {url[:200]!r}: {why}.")
