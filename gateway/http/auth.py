"""Authentication: which API keys are accepted, and which callers they belong to."""

import hmac
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from gateway.config.caller_keys import ANONYMOUS, CallerKey, digest_of

_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


def headers_in(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers in a WSGI environment, with their names in lower case."""
    return {_lower(name): value for name, value in environ.items() if name[:5] == "HTTP_"}


def keys_in(headers: Mapping[str, str], query: Mapping[str, str]) -> tuple[str, ...]:
    """Return the API keys in a request, from all the places where SDKs send them.

    The names of *headers* are in lower case.
    """
    found = [_bare(key) for name in _HEADERS if (key := headers.get(name, "").strip())]
    return tuple(filter(None, (*found, query.get("key"))))


def why_refused(keys: Collection[str]) -> str:
    """Return the message for a caller that is refused after it sent *keys*."""
    if keys:
        return "Incorrect API key provided."
    return "This request has no API key: send a key of this proxy as `Authorization: Bearer KEY` or `x-api-key: KEY`."


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request: the name of its key, and whether that is an admin key."""

    name: str
    is_admin: bool = False


ANONYMOUS_CALLER: Final = Caller(ANONYMOUS)
"""The caller of every request if the proxy has no keys, and of a request whose key has not been checked yet."""


class Auth:
    """The accepted API keys. Without any, every caller is accepted.

    Keys are stored and compared as digests. Every digest is compared completely each time, so the time a refusal takes
    reveals nothing about a key.
    """

    def __init__(self, keys: Iterable[CallerKey]) -> None:
        self._callers = tuple((key.digest, Caller(key.name, key.is_admin)) for key in keys)
        self.has_admins = any(caller.is_admin for _, caller in self._callers)
        """Whether at least one key is an admin key."""

    @property
    def is_open(self) -> bool:
        """Whether requests need no key."""
        return not self._callers

    def admit(self, keys: Iterable[str]) -> Caller | None:
        """Return the caller whose key is among *keys*, or None if none of them is accepted."""
        admitted = None
        for key in keys:
            offered = digest_of(key)
            for known, caller in self._callers:
                if hmac.compare_digest(offered, known):
                    admitted = caller
        return ANONYMOUS_CALLER if self.is_open else admitted


@lru_cache(256)
def _lower(name: str) -> str:
    """Convert a header's name from WSGI's form to lower case. The cache helps because clients send the same headers."""
    return name[5:].replace("_", "-").lower()


def _bare(value: str) -> str:
    scheme, _, rest = value.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else value
