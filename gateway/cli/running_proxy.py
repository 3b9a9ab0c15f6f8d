"""Asks a running proxy about itself, over HTTP."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from dialects.core.conversation import JSON
from gateway.cli.configuration import ServingAt, serving_at
from gateway.cli.demo import KEY
from gateway.config.caller_keys import fits_header, key_for_models, key_for_operations
from gateway.config.network import is_this_machine
from gateway.config.service_keys import is_url
from gateway.tool_settings import KEY_VARIABLE

_PATIENCE: Final = 10.0
"""Seconds."""
_Found = TypeVar("_Found")


class RunningProxyError(Exception):
    """A running proxy does not answer; the message is one line with what to do, *brief* is what is wrong."""

    def __init__(self, message: str, brief: str = "not reachable") -> None:
        super().__init__(message)
        self.brief = brief


class KeySource(Enum):
    """Where a key comes from, as messages name it."""

    OPTION = "the key"
    ENVIRONMENT = f"the key in {KEY_VARIABLE}"
    CONFIG = "the key in the configuration"
    DEMO = "the demo's key"


class RunningProxy:
    """The proxy at *url*, asked with *key*; raises `RunningProxyError` for an invalid URL or key.

    A message says by *source* which key that is.
    """

    def __init__(self, url: str, key: str, source: KeySource = KeySource.OPTION) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._key = key
        self._source = source
        if "@" in self.url:
            what = "has a user or a password, which the proxy does not read; leave them out, and give --key KEY"
            raise RunningProxyError(f"the URL {what}")
        if not is_url(self.url):
            raise RunningProxyError(f"{self.url!r} is not a URL: give one such as http://127.0.0.1:3001 with --url")
        if not fits_header(key):
            what = "cannot be sent: it has a line break or a character that HTTP headers cannot have"
            raise RunningProxyError(f"{source.value} {what}; give another with --key KEY")

    def ask(self, path: str, read: Callable[[JSON], _Found], about: str, seconds: float = _PATIENCE) -> _Found:
        """Ask for a *path*, and give what *read* makes of the JSON; *about* says in a message what was asked for.

        Raises `RunningProxyError`, also where *read* raises because what answers is something else.
        """
        # S310: the scheme has been looked at.
        request = urllib.request.Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {self._key}"})  # noqa: S310
        try:
            with _opener(self.url).open(request, timeout=seconds) as answer:
                return read(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            error.close()
            raise _refusal(self.url, error.code, about, self._source) from None
        except (OSError, IncompleteRead) as error:
            if isinstance(getattr(error, "reason", error), TimeoutError):
                raise _silence(self.url, seconds) from None
            raise RunningProxyError(
                f"no proxy answers at {self.url}: start it with `sap-ai-proxy`, "
                "or give its address with --url URL, or the config file that it serves with --config FILE"
            ) from None
        except (HTTPException, ValueError, LookupError, TypeError, AttributeError):
            raise _something_else(self.url) from None


@dataclass(frozen=True, slots=True)
class Access:
    """Where a proxy is and what opens it; *config* is the config file that the key is from, if it is from one."""

    url: str
    key: str = field(repr=False)
    source: KeySource
    config: Path | None = None

    def proxy(self) -> RunningProxy:
        """Give the proxy that is there; raises `RunningProxyError` for what is no URL."""
        return RunningProxy(self.url, self.key, self.source)


def access(
    config: Path | None,
    url: str | None,
    key: str | None,
    env: Mapping[str, str] = os.environ,
    *,
    for_operations: bool = False,
) -> Access:
    """Find out whom to ask, and with which key: what *url* and *key* say goes first, the demo's are last.

    A config file is read only for what they do not say. A *key* that *env* has in its variable comes from there. Of
    several keys in the file, an admin key is used *for_operations*, and otherwise only where every key is one. Raises
    `RunningProxyError` where the file has keys, but holds none that may be used.
    """
    own = None if url is not None and key is not None else serving_at(config)
    at = url or (own.url if own else "")
    if key is not None:
        return Access(at, key, KeySource.ENVIRONMENT if key == env.get(KEY_VARIABLE) else KeySource.OPTION)
    if own is None or not own.keys:
        return Access(at, KEY, KeySource.DEMO)
    found = (key_for_operations if for_operations else key_for_models)(own.keys)
    if found is None:
        raise _no_key(own, for_operations=for_operations)
    return Access(at, found.reveal(), KeySource.CONFIG, own.path)


def running_proxy(config: Path | None, url: str | None, key: str | None) -> RunningProxy:
    """Give the proxy of a config file, unless *url* and *key* say otherwise; the demo's where nothing is configured.

    Of the keys in the file, an admin key is used if there is one. Raises `RunningProxyError` as `access` does.
    """
    return access(config, url, key, for_operations=True).proxy()


def _no_key(own: ServingAt, *, for_operations: bool) -> RunningProxyError:
    """Say that the configuration has keys, but only the hashes of those that are wanted."""
    which = "admin keys" if for_operations and any(key.is_admin for key in own.keys) else "callers' keys"
    what = f"{own.path or 'the environment'} has only the hashes of its {which}, which open nothing"
    return RunningProxyError(
        f"{what}: give the key itself with --key KEY or in {KEY_VARIABLE}", "has only hashes of keys"
    )


def _refusal(url: str, status: int, about: str, source: KeySource) -> RunningProxyError:
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            wanted = "an admin key of it" if status == HTTPStatus.FORBIDDEN else "one of its keys"
            own = "or name its config file with --config FILE"
            unset = f" and unset {KEY_VARIABLE}" if source is KeySource.ENVIRONMENT else ""
            advice = f"give {wanted} with --key KEY, {own}{unset}"
            return RunningProxyError(f"the proxy at {url} refuses {source.value}: {advice}", "refuses the key")
        case HTTPStatus.NOT_FOUND:
            return _something_else(url)
        case _:
            what = f"cannot report {about} (status {status})"
            return RunningProxyError(f"the proxy at {url} {what}: see its log", what)


def _silence(url: str, seconds: float) -> RunningProxyError:
    what = f"does not answer within {seconds:g} s"
    return RunningProxyError(f"the proxy at {url} {what}: see its log, or give its address with --url URL", what)


def _something_else(url: str) -> RunningProxyError:
    what = "is not an SAP AI Core LLM proxy"
    return RunningProxyError(f"the server at {url} {what}: give the address of the proxy with --url URL", what)


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Ask this machine itself without the proxy that the environment may name."""
    host = urlsplit(url).hostname or ""
    handlers = [urllib.request.ProxyHandler({})] if is_this_machine(host) else []
    return urllib.request.build_opener(_NoRedirects(), *handlers)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, so that the key is sent to no other server."""

    def redirect_request(self, *_: object) -> None:
        """Ask nobody else."""
