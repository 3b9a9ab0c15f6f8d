"""Checks of callers' keys that others may know or guess. They are refused or warned about before the proxy serves."""

from dataclasses import replace
from typing import Final

from gateway.config.caller_keys import CallerKey, digest_of
from gateway.config.mistakes import Mistake
from gateway.config.network import is_loopback
from gateway.config.settings import Settings, SettingsError

PLACEHOLDER_KEYS: Final = ("sk-demo", "sk-choose-your-own", "sk-mine", "CHANGE-ME")
"""The keys that the documentation and its examples show, which everybody can read."""
_PLACEHOLDER_DIGESTS: Final = frozenset(map(digest_of, PLACEHOLDER_KEYS))
_SHORTEST: Final = 16
"""The minimum length, in characters, of a key that causes no warning."""
_PLACEHOLDER: Final = "is an example key of the documentation, which everybody can read"
_SHORT: Final = f"is shorter than {_SHORTEST} characters, so it can be guessed"
_REMEDY: Final = 'write another one, as `echo "sk-$(openssl rand -hex 24)"` prints'


def with_judged_keys(settings: Settings) -> Settings:
    """Add a warning for each key that others may know or guess.

    Raises `SettingsError` for an example key of the documentation if other machines can reach the proxy. The demo is
    exempt, because it uses such a key.
    """
    if settings.is_demo:
        return settings
    is_exposed = not is_loopback(settings.host)
    examples = [key for key in settings.keys if key.digest in _PLACEHOLDER_DIGESTS]
    short = [key for key in settings.keys if _is_short(key) and key not in examples]
    mistakes = [Mistake(key.where, f"{_PLACEHOLDER}; {_REMEDY}") for key in examples if is_exposed]
    odd = [(key, _PLACEHOLDER) for key in examples if not is_exposed] + [(key, _SHORT) for key in short]
    warnings = (*settings.warnings, *(f"{key.where}: {what}; {_REMEDY}" for key, what in odd))
    if mistakes:
        raise SettingsError(str(settings.source or "environment"), mistakes, warnings)
    return replace(settings, warnings=warnings)


def _is_short(key: CallerKey) -> bool:
    return key.secret is not None and len(key.secret.reveal()) < _SHORTEST
