"""Checks for connections to other machines that are not encrypted."""

from collections.abc import Collection, Iterator
from typing import Final
from urllib.parse import urlsplit

from gateway.config.mistakes import spelled
from gateway.config.network import Proxies, is_this_machine
from gateway.config.subaccounts import SubAccount

_ADDRESSES: Final = "begins with http:// and leads to another machine"
_REMEDY: Final = "unencrypted; write https://"


def unencrypted(accounts: Collection[SubAccount], proxies: Proxies) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of a warning for each setting that sends secrets or prompts unencrypted.

    Connections within this machine are fine. The texts contain no URL, which may have a password in it.
    """
    for account in accounts:
        where = spelled(("subAccounts", account.name))
        if _is_exposed(account.key.token_url):
            yield where, f"the token URL of its service key {_ADDRESSES}, so its credentials are sent {_REMEDY}"
        if _is_exposed(account.key.api_url):
            yield where, f"AI_API_URL of its service key {_ADDRESSES}, so tokens and prompts are sent {_REMEDY}"
        else:
            for each in _exposed_deployments(account):
                yield where, f"the URL of the deployment {each} {_ADDRESSES}, so tokens and prompts are sent {_REMEDY}"
    for proxy in dict.fromkeys(filter(None, (proxies.https, proxies.http))):
        url = proxy.url.reveal()
        if urlsplit(url).username is not None and _is_exposed(url):
            what = (
                "its user and password are sent to the HTTP proxy unencrypted; use a proxy that needs none, or one on "
                "this machine"
            )
            yield proxy.named_in, what


def _exposed_deployments(account: SubAccount) -> list[str]:
    listed = (each for deployments in account.deployments.values() for each in deployments)
    return list(dict.fromkeys(each.id for each in listed if _is_exposed(each.url)))


def _is_exposed(url: str) -> bool:
    """Return whether what is sent to *url* leaves this machine unencrypted."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_this_machine((parts.hostname or "").removesuffix("."))
