"""Redaction: removes addresses, keys and tokens, which callers must not see, from the texts of upstreams.

The message, code and parameter of every upstream failure go through `redacted`, in responses and in streams. Everything
that is not clearly public is removed: links to a vendor's documentation stay, all other addresses are removed. Each
pattern is linear in the length of the text; `tests/test_patterns.py` counts the steps.
"""

import base64
import binascii
import ipaddress
import re
from urllib.parse import unquote

LONGEST = 2000
"""The length of a text, in characters, to which it is cut before any pattern is applied."""

_GONE = "…"

_SCHEME = r"[a-z][a-z0-9+.-]{1,15}(?::|%3a)(?:\\?/|%2f){2}"
_URL = re.compile(rf"{_SCHEME}[^\s\"'<>]*", re.IGNORECASE)
_HOST = re.compile(
    r"(?<![\w.-])(?:[\w-]{1,63}\.)+[a-z]{2,24}(?![\w-])(?::[0-9]{1,5})?(?:/[^\s\"'<>]*)?"
    r"|(?<![\w.-])localhost(?![\w-])(?::[0-9]{1,5})?(?:/[^\s\"'<>]*)?"
    r"|(?<![\w.-])[\w-]{1,63}:[0-9]{2,5}/[^\s\"'<>]*",
    re.IGNORECASE,
)
_PATH = re.compile(r"(?<![\w/])/v2/(?:inference|lm)/[^\s\"'<>]*", re.IGNORECASE)
"""A path of SAP AI Core's API, without its host."""
_NAME_AND_PORT = re.compile(r"([\w.-]+)(:[0-9]{1,5})?(.*)", re.DOTALL)
_IPV4 = re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9])(?::[0-9]{1,5})?(?:/[^\s\"'<>]*)?")
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-f]{0,4}:)(?P<ip>[0-9a-f:]{2,39}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?)(?![\w:]|\.[0-9])"
    r"(?:%\w{1,15})?(?:\]:[0-9]{1,5})?(?:/[^\s\"'<>]*)?",
    re.IGNORECASE,
)
_DOCUMENTED = re.compile(
    r"(?:https?://)?(?:docs|help|learn|support|platform|developers?|status|aka|go)"
    r"(?:\.[a-z0-9-]{1,63}){1,4}(?:/[\w./#?=&-]*)?",
    re.IGNORECASE,
)
"""A link to documentation, of a form that cannot name an endpoint or contain a key."""
_ENDINGS = re.compile(
    r"ai|app|arpa|azure|ch|cloud|cn|com|corp|de|dev|eu|example|fr|internal|intranet|invalid|io|jp|lan|local|localdomain"
    r"|net|org|svc|uk|us",
    re.IGNORECASE,
)
"""The last part of host names. Other words with dots are taken for names of fields, models or files."""
_PRIVATE = frozenset({"corp", "internal", "intranet", "lan", "local", "localdomain", "svc"})
_API = re.compile(r"/v[0-9]|/deployments/|/inference|/openai/")

_SPACE = r"(?:\s|%20|\+|\\[nt])"
_BEARER = re.compile(rf"bearer(?:{_SPACE}|=|:|%3a)+[\"']?[\w.~+/=%:-]+", re.IGNORECASE)
_BASIC = re.compile(rf"basic{_SPACE}+([\w+/=%-]{{4,}})", re.IGNORECASE)
_TOKEN = re.compile(
    r"(?:eyJ|QmVhcmVy|QmFzaWMg)[\w+/=-]{5,}(?:\.[\w-]*)*"
    r"|(?<![\w-])sk-[\w-]{16,}|(?<!\w)(?:AKIA|ASIA)[A-Z0-9]{12,}|(?<!\w)AIza[\w-]{20,}"
)
"""Tokens that are recognised by their beginning: JWTs, "Bearer" and "Basic" in base64, and keys of several vendors."""
_QUERY = re.compile(
    r"(?<![\w-])([\w-]{0,40}(?:key|token|secret|passw(?:or)?d|pwd|sig|signature|credentials?|authorization))"
    r"(=|%3d)(?!bearer|basic)[\"']?[^\s\"'&<>]+",
    re.IGNORECASE,
)
_FIELD = re.compile(
    r"(?<![\w-])([\w-]{0,40}(?:api[-_]?key|subscription[-_]key|access[-_]?key|secret|passw(?:or)?d|access[-_]?token"
    r"|refresh[-_]token|id[-_]token|security[-_]token|authorization))"
    r"(\\?[\"']?\s{0,4}(?::|%3a)\s{0,4}\\?[\"']?)(?!bearer|basic|\s)[^\s\"'&<>]+",
    re.IGNORECASE,
)


def cut(text: str) -> str:
    """Cut *text* to `LONGEST` characters, between two words if possible, because half an address is not recognised."""
    if len(text) <= LONGEST:
        return text
    end = text.rfind(" ", LONGEST - 200, LONGEST)
    return text[: end if end >= 0 else LONGEST]


def redacted(text: str) -> str:
    """Return *text* without addresses, keys and tokens, cut to `LONGEST` characters."""
    text = cut(text)
    text = _BEARER.sub(f"Bearer {_GONE}", text)
    text = _BASIC.sub(_basic, text)
    text = _TOKEN.sub(_GONE, text)
    text = _QUERY.sub(rf"\1\2{_GONE}", text)
    text = _FIELD.sub(rf"\1\2{_GONE}", text)
    text = _URL.sub(_url, text)
    text = _IPV6.sub(_ipv6, text)
    text = _IPV4.sub(_address, text)
    text = _HOST.sub(_host, text)
    return _PATH.sub(_address, text)[:LONGEST]


def _basic(found: re.Match[str]) -> str:
    """Remove the value after the word "basic" if it is a user name and a password, rather than a word of a sentence."""
    value = unquote(found[1]).rstrip("=")
    try:
        decoded = base64.b64decode(value + "=" * (-len(value) % 4), altchars=None if {"+", "/"} & {*value} else b"-_")
    except binascii.Error:
        return found[0]
    return f"Basic {_GONE}" if b":" in decoded else found[0]


def _url(found: re.Match[str]) -> str:
    address, rest = _unpunctuated(found[0])
    return found[0] if _is_documented(address) else _GONE + rest


def _host(found: re.Match[str]) -> str:
    address, rest = _unpunctuated(found[0])
    split = _NAME_AND_PORT.fullmatch(address)
    if split is None or _is_documented(address):
        return found[0]
    name, port, path = split.groups()
    is_host = name.lower() == "localhost" or _ENDINGS.fullmatch(name.rpartition(".")[2])
    return _GONE + rest if is_host or port or _API.search(path) else found[0]


def _ipv6(found: re.Match[str]) -> str:
    try:
        ipaddress.IPv6Address(found["ip"])
    except ValueError:
        return found[0]
    return _address(found) if len(found["ip"]) > len("::") else found[0]


def _address(found: re.Match[str]) -> str:
    return _GONE + _unpunctuated(found[0])[1]


def _unpunctuated(text: str) -> tuple[str, str]:
    """Split *text* into an address and the punctuation after it."""
    address = text.rstrip(".,;:!?)]}`\\")
    return address, text[len(address) :]


def _is_documented(address: str) -> bool:
    """Return whether an address is a link to public documentation."""
    host = address.rpartition("://")[2].partition("/")[0]
    return bool(_DOCUMENTED.fullmatch(address)) and host.rpartition(".")[2].lower() not in _PRIVATE
