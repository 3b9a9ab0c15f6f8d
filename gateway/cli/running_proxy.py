"""Asks a running proxy about itself, over HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from dialects.core.conversation import JSON
from gateway.cli.configuration import serving_at
from gateway.cli.demo import KEY

_PATIENCE: Final = 10.0
"""Seconds."""
_Found = TypeVar("_Found")


class RunningProxyError(Exception):
    """A running proxy cannot be asked; the message is one line that says what to do, *brief* what is wrong alone."""

    def __init__(self, message: str, brief: str = "not reachable") -> None:
        super().__init__(message)
        self.brief = brief


class RunningProxy:
    """The proxy at *url*, which *key* opens; raises `RunningProxyError` for what is no URL."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._key = key
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise RunningProxyError(f"{self.url!r} is no URL: give one such as http://127.0.0.1:3001 with --url")

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
            raise _refusal(self.url, error.code, about) from None
        except (OSError, IncompleteRead):
            raise RunningProxyError(
                f"no proxy answers at {self.url}: start it with `sap-ai-proxy`, "
                "or say where it is with --url URL, or with the --config FILE that it serves"
            ) from None
        except (HTTPException, ValueError, LookupError, TypeError, AttributeError):
            raise _something_else(self.url) from None


def running_proxy(config: Path | None, url: str | None, key: str | None) -> RunningProxy:
    """Give the proxy of a config file, unless *url* and *key* say otherwise; the demo's where nothing is configured."""
    if url is not None and key is not None:
        return RunningProxy(url, key)
    own = serving_at(config)
    return RunningProxy(url or own.url, key or own.key or KEY)


def _refusal(url: str, status: int, about: str) -> RunningProxyError:
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            what = "refuses the key"
            return RunningProxyError(
                f"the proxy at {url} {what}: give one of its secret_authentication_tokens with --key KEY, "
                "or name its config file with --config FILE",
                what,
            )
        case HTTPStatus.NOT_FOUND:
            return _something_else(url)
        case _:
            what = f"cannot say {about} (status {status})"
            return RunningProxyError(f"the proxy at {url} {what}: look into its log", what)


def _something_else(url: str) -> RunningProxyError:
    what = "is no SAP AI Core LLM proxy"
    return RunningProxyError(f"what answers at {url} {what}: say where it is with --url URL", what)


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Ask this machine itself without the proxy that the environment may name."""
    host = urlsplit(url).hostname or ""
    handlers = [urllib.request.ProxyHandler({})] if _is_local(host) else []
    return urllib.request.build_opener(_NoRedirects(), *handlers)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as the answer it is: the key is for whom it was given to."""

    def redirect_request(self, *_: object) -> None:
        """Ask nobody else."""


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
