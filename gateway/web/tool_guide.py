"""Instructions of the web page for each tool.

They are those of ``sap-ai-proxy connect``, with a placeholder for the key.
"""

import re
import shlex
from typing import Final

from dialects.core.conversation import JSON
from dialects.core.faults import invalid
from gateway.tool_settings import KEY_VARIABLE
from gateway.tool_settings.deployed import DeployedModel, best
from gateway.tool_settings.registry import GROUPS, key_line
from gateway.tool_settings.tool import Connection, Tool
from gateway.version import VERSION

PLACEHOLDER: Final = "YOUR-KEY"
"""The text that the page replaces by the visitor's key. The key itself is not sent to the proxy for this."""
_URL: Final = re.compile(r"https?://(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?(?:/[\w.~%-]+)*", re.ASCII)
_URL_LENGTH: Final = 300


def guide(url: str, models: tuple[DeployedModel, ...]) -> JSON:
    """Return instructions to connect each tool to the proxy, for these *models*.

    *url* is the URL under which the visitor's browser reaches the proxy. Raises `FaultError` if *url* is invalid, or if
    it has more than a scheme, a host, a port and a path.
    """
    if len(url) > _URL_LENGTH or not _URL.fullmatch(url):
        raise invalid("url must be where the proxy is, such as http://127.0.0.1:3001.", "url")
    to = Connection(url, PLACEHOLDER, models, in_browser=True)
    return {
        "version": VERSION,
        "placeholder": PLACEHOLDER,
        "key_line": key_line(PLACEHOLDER),
        "chat_models": [each.name for each in models],
        "best_model": best(models).name if models else None,
        "groups": [
            {"title": title, "tools": [_described(tool, to) for tool in tools]}
            for title, tools in (GROUPS.items() if models else ())
        ],
    }


def _described(tool: Tool, to: Connection) -> JSON:
    snippet = tool.snippet(to)
    return {
        "name": tool.name,
        "title": tool.title,
        "source": tool.source,
        "into": snippet.into,
        "body": snippet.body,
        "is_shell": snippet.is_shell,
        "takes_variable": KEY_VARIABLE in snippet.body + snippet.into,
        "command": f"sap-ai-proxy connect {tool.name} --write --url {shlex.quote(to.url)}" if tool.places else None,
    }
