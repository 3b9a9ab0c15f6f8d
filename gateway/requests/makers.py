"""Makers: signs response ids and seals with the endpoint that made them, and finds it when a client sends them."""

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import chain, count
from operator import is_not

from dialects.adapt.signatures import Open
from dialects.core.conversation import Conversation, Family, Opaque, Part, Thinking
from dialects.interface import Origin
from gateway.requests.signed_ids import Signed, maker_of, read_id, read_seal, sign_id, sign_seal
from routing.endpoint import Endpoint

_MOST_MAKERS = 4096
"""The number of cached names of deployments."""
_MOST_UNKNOWN = 1000
"""The maximum number of seals of unknown makers in one request that are verified with every key."""
_FOR_SIGNING = b"response ids and seals"
_READ_BY_ALL = frozenset({Family.CLAUDE, Family.GEMINI})
"""The families whose deployments can read each other's seals. OpenAI's seals can be read only by their maker.

https://docs.claude.com/en/docs/build-with-claude/extended-thinking: signatures are compatible across platforms.
"""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys that sign ids and seals: the *configured* ones, or else one *derived* key for each subaccount."""

    configured: Sequence[bytes] = ()
    derived: Mapping[str, bytes] = field(default_factory=dict)

    def of(self, subaccount: str) -> Sequence[bytes]:
        """Return the keys for a subaccount: the first one signs, all are accepted."""
        return self.configured or (self.derived[subaccount],)

    def all(self) -> Iterable[bytes]:
        """Return all keys that are accepted."""
        return self.configured or self.derived.values()


def derived_key(secret: str) -> bytes:
    """Derive a signing key from a secret that all processes share."""
    return hmac.digest(secret.encode(), _FOR_SIGNING, "sha256")


@dataclass(frozen=True, slots=True)
class Made:
    """An id or seal as the backend wrote it, and its maker; *endpoint* is None if it is not served any more."""

    text: str
    endpoint: Endpoint | None


_Named = Mapping[bytes, tuple[Endpoint, bytes]]
"""The endpoints by their names in ids and seals, each with the key of that name."""


class Makers:
    """Signs ids and seals with the name of the endpoint that made them, and finds the endpoint from them.

    *pools* returns the served endpoints, one tuple for each model. A tuple is the same object until it changes.
    """

    def __init__(self, keys: SigningKeys, pools: Callable[[], Sequence[tuple[Endpoint, ...]]]) -> None:
        self._keys = keys
        self._pools = pools
        self._maker_of = lru_cache(_MOST_MAKERS)(maker_of)
        self._latest: tuple[Sequence[tuple[Endpoint, ...]], _Named] = (), {}
        """The latest pools and the names of their endpoints. The pair is replaced, never changed."""

    def origin(self, endpoint: Endpoint, caller: str) -> Origin:
        """Return the functions that sign ids and seals of *endpoint* for *caller*."""
        key = self._keys.of(endpoint.subaccount)[0]
        maker = self._maker_of(key, endpoint.url)
        return Origin(id=partial(sign_id, key, maker, caller), seal=partial(sign_seal, key, maker, caller))

    def of_response(self, id: object, caller: str) -> Made | None:
        """Return the maker of a response of *caller*; None if *id* is not signed for this caller."""
        signed = read_id(id) if isinstance(id, str) else None
        return self._made(signed, caller, self._named()) if signed else None

    def of_seals(self, conversation: Conversation, caller: str) -> "BroughtSeals":
        """Return the seals in a conversation of *caller*."""
        parts = (part for message in conversation.messages for part in message.parts)
        thoughts = [sealed for part in parts if (sealed := _sealed(part)) is not None]
        if not thoughts:
            return BroughtSeals((), lambda _: None)
        named, unknown = self._named(), count()

        def find(signed: Signed) -> Made | None:
            if signed.maker not in named and next(unknown) >= _MOST_UNKNOWN:
                return None
            return self._made(signed, caller, named)

        return BroughtSeals(thoughts, find)

    def _named(self) -> _Named:
        """Return the served endpoints by name; the mapping is rebuilt when the pools have changed."""
        pools = self._pools()
        before, named = self._latest
        # Endpoints that compare equal may have different resource groups.
        if len(pools) != len(before) or any(map(is_not, pools, before)):
            named = {
                self._maker_of(key, endpoint.url): (endpoint, key)
                for endpoint in chain.from_iterable(pools)
                for key in self._keys.of(endpoint.subaccount)
            }
            self._latest = pools, named
        return named

    def _made(self, signed: Signed, caller: str, named: _Named) -> Made | None:
        """Return the maker of an id or seal; None if it is not signed for *caller*."""
        endpoint, key = named.get(signed.maker, (None, None))
        keys = self._keys.all() if key is None else (key,)
        return Made(signed.text, endpoint) if any(signed.is_signed(each, caller) for each in keys) else None


def _sealed(part: Part) -> Thinking | None:
    """Return the part as thinking if it may have a seal: thinking, or a compaction with encrypted content."""
    match part:
        case Thinking():
            return part
        case Opaque(payload={"type": "compaction" | "compaction_summary", "encrypted_content": str(seal)}):
            return Thinking(signature=seal, family=Family.OPENAI)
        case _:
            return None


class BroughtSeals:
    """The seals in the *thoughts* of one request. Each is verified once.

    A seal is sent without its signature, and only to endpoints that can read it. A seal with a signature for another
    caller or of an unknown key is not sent. A seal without a signature was made elsewhere: it is sent only if all
    deployments of its family can read it.
    """

    def __init__(self, thoughts: Sequence[Thinking], find: Callable[[Signed], Made | None]) -> None:
        self._thoughts = thoughts
        self._find = find
        self._made: dict[str, Made | None] = {}

    def __bool__(self) -> bool:
        return bool(self._thoughts)

    @property
    def maker(self) -> Endpoint | None:
        """The maker of the last seal that only its maker can read; None if there is none that is still served."""
        sealed = [each for each in self._thoughts if each.family not in _READ_BY_ALL]
        proofs = chain.from_iterable((each.signature, each.redacted) for each in reversed(sealed))
        makers = (made.endpoint for proof in proofs if (made := self._read(proof)) is not None)
        return next((endpoint for endpoint in makers if endpoint is not None), None)

    def open_at(self, endpoint: Endpoint) -> Open:
        """Return the function that opens seals for an endpoint, or drops them."""

        def opened(family: Family, seal: str) -> str | None:
            made = self._read(seal)
            if read_seal(seal) is None:
                return seal if family in _READ_BY_ALL else None
            if made is None:
                return None
            is_maker = made.endpoint is not None and made.endpoint.url == endpoint.url
            return made.text if is_maker or family in _READ_BY_ALL else None

        return opened

    def _read(self, seal: str) -> Made | None:
        if seal not in self._made:
            signed = read_seal(seal)
            self._made[seal] = self._find(signed) if signed is not None else None
        return self._made[seal]
