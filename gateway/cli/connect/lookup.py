"""Asks a running proxy which models it serves."""

import json
import urllib.error
import urllib.request
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from gateway.cli.connect.deployed import read_models
from gateway.cli.connect.tool import ConnectError, Connection

_PATIENCE: Final = 10.0
"""Seconds."""


def look_up(url: str, key: str) -> Connection:
    """Ask the proxy at *url* for its models; raise `ConnectError` with one line that says what to do."""
    url = url.rstrip("/").removesuffix("/v1")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ConnectError(f"{url!r} is no URL: give one such as http://127.0.0.1:3001 with --url")
    # S310: the scheme has just been looked at.
    request = urllib.request.Request(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    try:
        with _opener(url).open(request, timeout=_PATIENCE) as answer:
            models = read_models(json.load(answer))
    except urllib.error.HTTPError as error:
        error.close()
        raise ConnectError(_refusal(url, error.code)) from None
    except OSError:
        raise ConnectError(
            f"no proxy answers at {url}: start it with `sap-ai-proxy`, or say where it is with --url URL"
        ) from None
    except (ValueError, LookupError, TypeError):
        raise ConnectError(
            f"what answers at {url} is no SAP AI Core LLM proxy: say where it is with --url URL"
        ) from None
    if not models:
        raise ConnectError(f"the proxy at {url} serves no model: `sap-ai-proxy check` says why")
    return Connection(url, key, models)


def _refusal(url: str, status: int) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return f"the proxy at {url} refuses the key: give one of its secret_authentication_tokens with --key KEY"
        case HTTPStatus.NOT_FOUND:
            return f"what answers at {url} is no SAP AI Core LLM proxy: say where it is with --url URL"
        case _:
            return f"the proxy at {url} cannot say which models it serves (status {status}): look into its log"


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
