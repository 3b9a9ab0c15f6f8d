"""Authentication: who may call, by which key."""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_ANONYMOUS = "anonymous"


def headers_in(environ: Mapping[str, Any]) -> dict[str, str]:
    """List the headers of a request in a WSGI environment, names in lower case."""
    return {_lower(name): value for name, value in environ.items() if name[:5] == "HTTP_"}


def keys_in(headers: Mapping[str, str], query: Mapping[str, str]) -> tuple[str, ...]:
    """Find the keys a caller sent, wherever its SDK puts them; the names of *headers* are in lower case."""
    found = [_bare(key) for name in _HEADERS if (key := headers.get(name, "").strip())]
    return (*found, *filter(None, [query.get("key")]))


def why_refused(keys: Collection[str]) -> str:
    """Say to a caller who may not come in, and has sent these *keys*, what is wrong."""
    if keys:
        return "Incorrect API key provided."
    return "This request has no API key: send a key of this proxy as `Authorization: Bearer KEY` or `x-api-key: KEY`."


class Auth:
    """The keys that open the proxy; none means that everyone may call.

    Keys are kept and compared as digests, each whole, all of them every time:
    how long a refusal takes says nothing about how near a guess was.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(_digest(key) for key in keys)

    @property
    def is_open(self) -> bool:
        """Whether no key is asked for."""
        return not self._digests

    def admit(self, keys: Iterable[str]) -> str | None:
        """Name the caller whose key is among *keys*, or None if none of them opens the proxy.

        The name is for logs and metrics: it tells callers apart, and does not tell their keys.
        """
        admitted = None
        for key in keys:
            offered = _digest(key)
            if any([hmac.compare_digest(offered, known) for known in self._digests]):  # noqa: C419 - compare with all
                admitted = offered.hex()[:8]
        return _ANONYMOUS if self.is_open else admitted


@lru_cache(256)
def _lower(name: str) -> str:
    """Write the name of a header, as WSGI spells it, in lower case; callers send the same ones all the time."""
    return name[5:].replace("_", "-").lower()


def _bare(value: str) -> str:
    scheme, _, rest = value.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else value


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
