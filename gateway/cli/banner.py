"""The banner at the start: what is served, with which key, and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.cli.configuration import command
from gateway.cli.demo import KEY
from gateway.config.caller_keys import key_for_models
from gateway.config.settings import Settings, pools
from gateway.model_families import by_family, enumerated
from gateway.version import VERSION
from routing.policy import Policy

_MOST_NAMED: Final = 3
"""How many models of a family are named."""
_LABEL, _PLAIN = "\x1b[2m", "\x1b[0m"
_TITLE, _WARNING = "\x1b[1m", "\x1b[33m"
_DEMO: Final = """\
This is a demo: an emulated SAP AI Core, with no model behind it; every answer has the header x-proxy-demo.
To use your own: sap-ai-proxy init writes a config.json, and --config FILE names one.
"""
_TRY: Final = """
Try it:

  curl -s {url}/v1/chat/completions -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d '{{"model": "gpt-5.5", "messages": [{{"role": "user", "content": "Hello"}}]}}'

  curl -s {url}/v1/messages -H "x-api-key: {key}" -H "anthropic-version: 2023-06-01" \\
    -H "Content-Type: application/json" \\
    -d '{{"model": "claude-sonnet-4-6", "max_tokens": 200, "messages": [{{"role": "user", "content": "Hello"}}]}}'

  python3 -c 'import json, urllib.request as u; print(json.load(u.urlopen(u.Request("{url}/v1/chat/completions",
    json.dumps({{"model": "gemini-3.5-flash", "messages": [{{"role": "user", "content": "Hello"}}]}}).encode(),
    {{"Authorization": "Bearer {key}"}})))["choices"][0]["message"]["content"])'
"""


@dataclass(frozen=True, slots=True)
class Banner:
    """The banner of a proxy with *settings* at *url*, which this machine reaches as *base*; it makes no request."""

    settings: Settings
    url: str
    base: str

    def text(self, *, coloured: bool = False) -> str:
        """Write it for people."""
        lines = [f"SAP AI Core LLM proxy {VERSION} on {self.url}", ""]
        if coloured:
            lines[0] = f"{_TITLE}{lines[0]}{_PLAIN}"
        if self.settings.is_demo:
            demo = _DEMO.splitlines()
            lines += [f"{_WARNING}{demo[0]}{_PLAIN}" if coloured else demo[0], *demo[1:], ""]
        for label, text in self._rows():
            lines.append(f"  {_LABEL}{label:9}{_PLAIN} {text}" if coloured else f"  {label:9} {text}")
        if self.settings.is_demo:
            lines += _TRY.format(url=self.base, key=KEY).splitlines()
        return "\n".join([*lines, ""])

    def fields(self) -> Mapping[str, Any]:
        """Give it for programs, as the fields of a log line."""
        return {
            "message": "serving starts",
            "version": VERSION,
            "url": self.url,
            "demo": self.settings.is_demo,
            "subaccounts": list(self.settings.subaccounts),
            "looked_up": self._looked_up(),
            "models": sorted(pools(self.settings)),
            "keys": len(self.settings.keys),
            "strategy": self.settings.policy.strategy,
        }

    def _rows(self) -> list[tuple[str, str]]:
        """List the labelled lines; an empty label continues the line above."""
        rows = [("base URL", f"{self.base}/v1  (OpenAI)   {self.base}  (Anthropic, Google)"), ("key", self._key())]
        rows += self._models()
        policy = self.settings.policy
        if policy.strategy != Policy().strategy:
            rows.append(("strategy", policy.strategy))
        return [
            *rows,
            ("next", f"{self._command('connect')}, which sets up Claude Code, Codex and other tools"),
            ("", f"{self.base} in a browser"),
        ]

    def _key(self) -> str:
        keys = self.settings.keys
        if self.settings.is_demo:
            return KEY
        if not keys:
            return "any: no key is configured"
        which = f"one of your {len(keys)} configured keys" if len(keys) > 1 else "your configured key"
        if key_for_models(keys) is None:
            return which
        return f"{which}; `{self._command('connect key')}` prints {'the first' if len(keys) > 1 else 'it'}"

    def _command(self, rest: str) -> str:
        return command(rest, None if self.settings.is_demo else self.settings.source)

    def _models(self) -> list[tuple[str, str]]:
        """Count what is configured, and name some of each family; say what is still to be looked up."""
        models, looked_up = pools(self.settings), self._looked_up()
        listed = [name for name, account in self.settings.subaccounts.items() if account.deployments]
        rows = [("models", f"{len(models)} in {enumerated(listed)}")] if models else []
        rows += [("", line) for line in by_family(models, _MOST_NAMED)]
        if looked_up:
            also = "also what" if models else "what"
            rows.append(
                ("" if models else "models", f"{also} runs in {enumerated(looked_up)}, where discovery is under way")
            )
        return rows

    def _looked_up(self) -> list[str]:
        return [name for name, account in self.settings.subaccounts.items() if account.discovery]
