"""Who made what a request brings along: ids of kept responses, and seals that only their makers can read."""

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
"""For how many deployments and keys it is remembered how they are named."""
_MOST_UNKNOWN = 1000
"""How many seals of one request are tried with every key because nobody who is served made them."""
_FOR_SIGNING = b"response ids and seals"
_READ_BY_ALL = frozenset({Family.CLAUDE, Family.GEMINI})
"""Families whose deployments all read one another's seals; OpenAI's are read where they were made alone.

https://docs.claude.com/en/docs/build-with-claude/extended-thinking: signatures are compatible across platforms.
"""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What ids and seals are signed with: the first of *configured*, or else what is *derived* for each subaccount."""

    configured: Sequence[bytes] = ()
    derived: Mapping[str, bytes] = field(default_factory=dict)

    def of(self, subaccount: str) -> Sequence[bytes]:
        """Give the keys for what is made in a subaccount: the first one signs, all are accepted."""
        return self.configured or (self.derived[subaccount],)

    def all(self) -> Iterable[bytes]:
        """Give every key that is accepted."""
        return self.configured or self.derived.values()


def derived_key(secret: str) -> bytes:
    """Derive a signing key from a secret that every process has."""
    return hmac.digest(secret.encode(), _FOR_SIGNING, "sha256")


@dataclass(frozen=True, slots=True)
class Made:
    """What a backend wrote, and where: no *endpoint* is one that is not served any more."""

    text: str
    endpoint: Endpoint | None


_Named = Mapping[bytes, tuple[Endpoint, bytes]]
"""Endpoints by what they are called in ids and seals, each with the key of that."""


class Makers:
    """Writes into ids and seals which endpoint made them, and finds it there.

    *pools* gives the endpoints that are served, those of each model in one tuple: the same one until they change.
    """

    def __init__(self, keys: SigningKeys, pools: Callable[[], Sequence[tuple[Endpoint, ...]]]) -> None:
        self._keys = keys
        self._pools = pools
        self._maker_of = lru_cache(_MOST_MAKERS)(maker_of)
        self._latest: tuple[Sequence[tuple[Endpoint, ...]], _Named] = (), {}
        """The pools as they were last, and what is named in them. It is replaced, never changed."""

    def origin(self, endpoint: Endpoint, caller: str) -> Origin:
        """Sign what *endpoint* makes for *caller*."""
        key = self._keys.of(endpoint.subaccount)[0]
        maker = self._maker_of(key, endpoint.url)
        return Origin(id=partial(sign_id, key, maker, caller), seal=partial(sign_seal, key, maker, caller))

    def of_response(self, id: object, caller: str) -> Made | None:
        """Find who made a response for *caller*; None for an id that is not known to be the caller's own."""
        signed = read_id(id) if isinstance(id, str) else None
        return self._made(signed, caller, self._named()) if signed else None

    def of_seals(self, conversation: Conversation, caller: str) -> "BroughtSeals":
        """Read the seals that a conversation of *caller* brings along."""
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
        """Name the endpoints that are served; they are mapped anew when they have changed."""
        pools = self._pools()
        before, named = self._latest
        # Equal endpoints may still be of other resource groups.
        if len(pools) != len(before) or any(map(is_not, pools, before)):
            named = {
                self._maker_of(key, endpoint.url): (endpoint, key)
                for endpoint in chain.from_iterable(pools)
                for key in self._keys.of(endpoint.subaccount)
            }
            self._latest = pools, named
        return named

    def _made(self, signed: Signed, caller: str, named: _Named) -> Made | None:
        """Find the maker of what was signed for *caller*; None for what was not."""
        endpoint, key = named.get(signed.maker, (None, None))
        keys = self._keys.all() if key is None else (key,)
        return Made(signed.text, endpoint) if any(signed.is_signed(each, caller) for each in keys) else None


def _sealed(part: Part) -> Thinking | None:
    """Read what only its maker may be able to read: thoughts, or the conversation that a compaction stands for."""
    match part:
        case Thinking():
            return part
        case Opaque(payload={"type": "compaction" | "compaction_summary", "encrypted_content": str(seal)}):
            return Thinking(signature=seal, family=Family.OPENAI)
        case _:
            return None


class BroughtSeals:
    """The seals that one request brings along, in its *thoughts*; each is verified once.

    A seal is sent to an endpoint that can read it, and without what was written into it. One that was signed for
    another caller, or by nobody we know, goes nowhere. One without a signature of ours has been made elsewhere, or by
    a proxy that did not sign: where not every deployment of the family can read it, it goes nowhere either.
    """

    def __init__(self, thoughts: Sequence[Thinking], find: Callable[[Signed], Made | None]) -> None:
        self._thoughts = thoughts
        self._find = find
        self._made: dict[str, Made | None] = {}

    def __bool__(self) -> bool:
        return bool(self._thoughts)

    @property
    def maker(self) -> Endpoint | None:
        """Who made the last seal that no other can read; None if there is none, or if it is not served any more."""
        sealed = [each for each in self._thoughts if each.family not in _READ_BY_ALL]
        proofs = chain.from_iterable((each.signature, each.redacted) for each in reversed(sealed))
        makers = (made.endpoint for proof in proofs if (made := self._read(proof)) is not None)
        return next((endpoint for endpoint in makers if endpoint is not None), None)

    def open_at(self, endpoint: Endpoint) -> Open:
        """Open seals for an endpoint."""

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
