"""The registry of the protocols that extensions add for certain models."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from dialects.capabilities.model_identity import LONGEST_NAME, bare, may_name_a_model
from dialects.capabilities.models import profile_for
from dialects.registry import BACKENDS
from routing.protocols.base import ProtocolHandler
from routing.protocols.embeddings import EmbeddingsProtocol


class ProtocolRegistry:
    """Finds the protocol that is registered for a model; the latest registration wins.

    Thread-safe without a lock: the table is replaced in one step.
    """

    def __init__(self) -> None:
        self._table: tuple[tuple[str, ProtocolHandler], ...] = ()

    def register(self, pattern: str, protocol: ProtocolHandler) -> None:
        """Add a row; raises `TypeError` or `ValueError` if *pattern* or *protocol* is not valid."""
        self._table = ((_pattern(pattern), _protocol(protocol)), *self._table)

    def find(
        self, names: Sequence[str], runs: str, client: str, same: Callable[[str], str | None]
    ) -> ProtocolHandler | None:
        """Return the protocol for a model with any of *names*, else for the model that its deployment *runs*, or None.

        *client* is the dialect of the client. *same* returns the deployed model that a name means.
        """
        for called in (names, (runs,)):
            for pattern, protocol in self._table:
                if _suits(protocol, runs, client) and _is_named(pattern, called, same):
                    return protocol
        return None


_DIALECTS = (*BACKENDS, EmbeddingsProtocol.dialect)


def _suits(protocol: ProtocolHandler, runs: str, client: str) -> bool:
    """Return whether client and protocol are both for embeddings, or neither of them nor the model is."""
    embeds = EmbeddingsProtocol.dialect
    if client == embeds:
        return protocol.dialect == embeds
    return protocol.dialect != embeds and not profile_for(runs).embeds


def _is_named(pattern: str, names: Sequence[str], same: Callable[[str], str | None]) -> bool:
    """Return whether a pattern matches any of *names*, with or without a vendor prefix, or is a name of that model."""
    if any(fnmatchcase(form, pattern) for name in names for form in (name.strip().lower(), bare(name))):
        return True
    meant = same(pattern)
    return meant is not None and meant in names


def _pattern(given: object) -> str:
    """Return a valid pattern in lower case; raises `TypeError` or `ValueError` for any other."""
    if not isinstance(given, str):
        raise TypeError(f"pattern must be a text such as 'future-model-*', not {given!r}")
    if not given.strip() or not may_name_a_model(given):
        raise ValueError(f"pattern must be a name of at most {LONGEST_NAME} characters, not {given[:LONGEST_NAME]!r}")
    return given.strip().lower()


def _protocol(given: object) -> ProtocolHandler:
    """Return a valid protocol; raises `TypeError` or `ValueError` for anything else."""
    if not isinstance(given, ProtocolHandler):
        instead = f"; write {given.__name__}()" if isinstance(given, type) else ""
        raise TypeError(f"protocol must be an object of a class derived from ProtocolHandler, not {given!r}{instead}")
    kind = type(given).__name__
    for name in ("name", "dialect"):
        if not isinstance(getattr(given, name, None), str):
            raise TypeError(f"{kind}.{name} must be a text")
    if given.dialect not in _DIALECTS:
        raise ValueError(f"{kind}.dialect must be one of {', '.join(_DIALECTS)}, not {given.dialect!r}")
    return given
