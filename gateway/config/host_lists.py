"""Lists of hosts and networks in the config file: how they may be written, and in which form they are kept."""

import re
from ipaddress import ip_network
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field

_HOST_NAME: Final = r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"
_Name = Annotated[str, Field(min_length=1)]


def _split(value: Any) -> Any:
    """Split a string at commas and blanks, as in NO_PROXY; return other values unchanged."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _network(text: str) -> str:
    try:
        ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is neither an address nor a network; write one such as 10.0.0.0/8") from None
    return text


def _host_name(text: str) -> str:
    """Return a host name as browsers send it in the header Host."""
    try:
        name = text.encode("idna").decode().lower().removesuffix(".")
    except UnicodeError:
        name = ""
    if not re.fullmatch(_HOST_NAME, name):
        raise ValueError(f"{text!r} is not a host name; write one such as proxy.example, without a scheme or a port")
    return name


def _host_or_network(text: str) -> str:
    """Return an entry of a list of hosts and networks, with names as in URLs."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        wildcard, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        name = _host_name(name)
    except ValueError:
        name = ""
    if not name or name.rpartition(".")[2].isdecimal():
        raise ValueError(
            f"{text!r} is neither a host name nor a network; write one such as docs.example, *.example or 10.0.0.0/8"
        )
    return wildcard + name


Hosts = Annotated[list[_Name], BeforeValidator(_split, json_schema_input_type=str | list[_Name])]
Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_network)], ...],
    BeforeValidator(_split, json_schema_input_type=str | list[_Name]),
]
HostNames = Annotated[
    tuple[Annotated[str, AfterValidator(_host_name)], ...],
    BeforeValidator(_split, json_schema_input_type=str | list[_Name]),
]
HostsAndNetworks = Annotated[
    tuple[Annotated[str, AfterValidator(_host_or_network)], ...],
    BeforeValidator(_split, json_schema_input_type=str | list[_Name]),
]
