"""Asks a running proxy which models it serves."""

from gateway.cli.connect.deployed import read_models
from gateway.cli.connect.tool import ConnectError, Connection
from gateway.cli.running_proxy import RunningProxy, RunningProxyError


def look_up(url: str, key: str) -> Connection:
    """Ask the proxy at *url* for its models; raise `ConnectError` with one line that says what to do."""
    try:
        proxy = RunningProxy(url, key)
        models = proxy.ask("/v1/models", read_models, "which models it serves")
    except RunningProxyError as error:
        raise ConnectError(str(error)) from None
    if not models:
        raise ConnectError(f"the proxy at {proxy.url} serves no model: `sap-ai-proxy check` says why")
    return Connection(proxy.url, key, models)
