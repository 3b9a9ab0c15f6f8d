"""Asks a running proxy which models it serves."""

from gateway.cli.running_proxy import Access, RunningProxyError
from gateway.tool_settings.deployed import read_models
from gateway.tool_settings.tool import ConnectError, Connection


def look_up(access: Access) -> Connection:
    """Ask a proxy for its models; raise `ConnectError` with one line that says what to do."""
    try:
        proxy = access.proxy()
        models = proxy.ask("/v1/models", read_models, "which models it serves")
    except RunningProxyError as error:
        raise ConnectError(str(error)) from None
    if not models:
        raise ConnectError(f"the proxy at {proxy.url} serves no model: run `sap-ai-proxy check` to see why")
    return Connection(proxy.url, access.key, models)
