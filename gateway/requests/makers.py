"""Makers: signs response ids and thoughts with the endpoint that made them, and finds it when a client sends them."""

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import chain, count
from operator import is_not

from dialects.adapt.signatures import Verify
from dialects.core.conversation import Conversation, Family, Opaque, Part, Thinking
from dialects.interface import Origin
from gateway.requests.signed_ids import Signed, maker_of, read_id, read_thought, sign_id, sign_thought
from routing.endpoint import Endpoint

_MOST_MAKERS = 4096
"""The number of cached names of deployments."""
_MOST_UNKNOWN = 1000
"""The maximum number of signatures of unknown makers in one request that are verified with every key."""
_FOR_SIGNING = b"response ids and seals"
"""The purpose from which keys are derived. Another text would invalidate all ids and signatures that clients have."""
_READ_BY_ALL = frozenset({Family.CLAUDE, Family.GEMINI})
"""The families whose deployments can read each other's signatures. OpenAI's are read by their maker only.

https://docs.claude.com/en/docs/build-with-claude/extended-thinking: signatures are compatible across platforms.
"""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys that sign ids and signatures: the *configured* ones, or else one *derived* key for each subaccount."""

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
    """An id or signature as the backend wrote it, and its maker; *endpoint* is None if it is not served any more."""

    text: str
    endpoint: Endpoint | None


_Named = Mapping[bytes, tuple[Endpoint, bytes]]
"""The endpoints by their names in ids and signatures, each with the key of that name."""


class Makers:
    """Signs ids and signatures with the name of the endpoint that made them, and finds the endpoint from them.

    *pools* returns the served endpoints, one tuple for each model. A tuple is the same object until it changes.
    """

    def __init__(self, keys: SigningKeys, pools: Callable[[], Sequence[tuple[Endpoint, ...]]]) -> None:
        self._keys = keys
        self._pools = pools
        self._maker_of = lru_cache(_MOST_MAKERS)(maker_of)
        self._latest: tuple[Sequence[tuple[Endpoint, ...]], _Named] = (), {}
        """The latest pools and the names of their endpoints. The pair is replaced, never changed."""

    def origin(self, endpoint: Endpoint, caller: str) -> Origin:
        """Return the functions that sign ids and signatures of *endpoint* for *caller*."""
        key = self._keys.of(endpoint.subaccount)[0]
        maker = self._maker_of(key, endpoint.url)
        return Origin(id=partial(sign_id, key, maker, caller), signature=partial(sign_thought, key, maker, caller))

    def of_response(self, id: object, caller: str) -> Made | None:
        """Return the maker of a response of *caller*; None if *id* is not signed for this caller."""
        signed = read_id(id) if isinstance(id, str) else None
        return self._made(signed, caller, self._named()) if signed else None

    def of_thoughts(self, conversation: Conversation, caller: str) -> "ReturnedThoughts":
        """Return the thoughts in a conversation of *caller*."""
        parts = (part for message in conversation.messages for part in message.parts)
        thoughts = [thought for part in parts if (thought := _thought(part)) is not None]
        if not thoughts:
            return ReturnedThoughts((), lambda _: None)
        named, unknown = self._named(), count()

        def find(signed: Signed) -> Made | None:
            if signed.maker not in named and next(unknown) >= _MOST_UNKNOWN:
                return None
            return self._made(signed, caller, named)

        return ReturnedThoughts(thoughts, find)

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
        """Return the maker of an id or signature; None if it is not signed for *caller*."""
        endpoint, key = named.get(signed.maker, (None, None))
        keys = self._keys.all() if key is None else (key,)
        return Made(signed.text, endpoint) if any(signed.is_signed(each, caller) for each in keys) else None


def _thought(part: Part) -> Thinking | None:
    """Return the part as thinking if it may be signed: thinking, or a compaction with encrypted content."""
    match part:
        case Thinking():
            return part
        case Opaque(payload={"type": "compaction" | "compaction_summary", "encrypted_content": str(signed)}):
            return Thinking(signature=signed, family=Family.OPENAI)
        case _:
            return None


class ReturnedThoughts:
    """The signed *thoughts* that a client returns in one request. Each signature is verified once.

    A signature is sent without its MAC, and only to endpoints that can read it. One with a MAC for another caller or of
    an unknown key is not sent. One without a MAC was made elsewhere: it is sent only if all deployments of its family
    can read it.
    """

    def __init__(self, thoughts: Sequence[Thinking], find: Callable[[Signed], Made | None]) -> None:
        self._thoughts = thoughts
        self._find = find
        self._made: dict[str, Made | None] = {}

    def __bool__(self) -> bool:
        return bool(self._thoughts)

    @property
    def maker(self) -> Endpoint | None:
        """The maker of the last signature that only its maker can read; None if there is none that is still served."""
        bound = [each for each in self._thoughts if each.family not in _READ_BY_ALL]
        proofs = chain.from_iterable((each.signature, each.redacted) for each in reversed(bound))
        makers = (made.endpoint for proof in proofs if (made := self._read(proof)) is not None)
        return next((endpoint for endpoint in makers if endpoint is not None), None)

    def verify_at(self, endpoint: Endpoint) -> Verify:
        """Return the function that verifies signatures for an endpoint, or drops them."""

        def verify(family: Family, signed: str) -> str | None:
            made = self._read(signed)
            if read_thought(signed) is None:
                return signed if family in _READ_BY_ALL else None
            if made is None:
                return None
            is_maker = made.endpoint is not None and made.endpoint.url == endpoint.url
            return made.text if is_maker or family in _READ_BY_ALL else None

        return verify

    def _read(self, signed: str) -> Made | None:
        if signed not in self._made:
            parsed = read_thought(signed)
            self._made[signed] = self._find(parsed) if parsed is not None else None
        return self._made[signed]
