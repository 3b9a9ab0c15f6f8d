"""Break one of two deployments in every way there is, and see what clients see.

Twenty requests, one after another, stream and not, through a served proxy in
front of the emulator; deployment A is broken, B is fine.
"""

import json
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import emulator
from tests.support.running import Cloud, Proxy, config_of, running_proxy

REQUESTS = 20
MODEL = "anthropic--claude-4.5-sonnet"
PATIENT = {"breaker": {"timeout": 300}, "cooldown": {"base": 60}}
"""A deployment that is out stays out until all has been asked, however slow the machine is."""
HASTY = {"timeouts": {"first_event": 2.0, "answer": 2.0}}
"""A deployment that hangs is given up; one that is well answers long before that."""


@dataclass(frozen=True)
class Row:
    """One way to break a deployment, and how many requests may be spent on it."""

    name: str
    fault: dict[str, Any] | None
    most: int
    shown: bool = False
    """Whether a stream breaks when its client has seen words of it, so that nobody can hide it."""


ROWS = (
    Row("always 500", {"kind": "500"}, 5),
    Row("always 503", {"kind": "503"}, 5),
    Row("always 529", {"kind": "529"}, 5),
    Row("429, with a hint", {"kind": "429-quota", "retry_after": 30}, 1),
    Row("429, without a hint", {"kind": "429-quota"}, 1),
    Row("429 of the provider", {"kind": "429-provider"}, 1),
    Row("401", {"kind": "401"}, 2),
    Row("403", {"kind": "403"}, 5),
    Row("403 of the provider", {"kind": "403-provider"}, 5),
    Row("403 of a firewall", {"kind": "403-html"}, 5),
    Row("404", {"kind": "404"}, 5),
    Row("404 of the provider", {"kind": "404-provider"}, 5),
    Row("refused", None, 5),
    # A kept connection that ends before a byte of an answer may have been dead before: once more, on a fresh one.
    Row("reset", {"kind": "reset"}, 10),
    Row("hang before the first event", {"kind": "hang"}, 5),
    Row("200, then the end", {"kind": "dead"}, 5),
    Row("200, then an error event", {"kind": "error-event"}, 5),
    Row("200, then garbage", {"kind": "garbage"}, 5),
    Row("first words, then a reset", {"kind": "cut", "after_events": 1}, 5, shown=True),
    Row("first words, then an error", {"kind": "cut-error", "after_events": 1}, 5, shown=True),
)


@dataclass(frozen=True)
class Result:
    """What came of one row."""

    row: Row
    stream: bool
    complete: int
    spent: int

    @property
    def is_good(self) -> bool:
        return self.complete >= self.wanted and self.spent <= self.row.most

    @property
    def wanted(self) -> int:
        """How many answers must be complete at least: all, but for those that clients saw words of."""
        return REQUESTS - (self.spent if self.stream and self.row.shown else 0)


@contextmanager
def two_deployments(
    cloud: Cloud, folder: Path, *, refused: bool = False, **routing: Any
) -> Iterator[tuple[Proxy, str, str]]:
    """Serve one model from A in one subaccount and B in another; with *refused*, nobody listens at A."""
    config = config_of(cloud, {MODEL: []})
    first, second = (account["deployment_models"] for account in config["subAccounts"].values())
    a, b = first[MODEL][0], second[MODEL][0]
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = a.replace(cloud.url, f"http://127.0.0.1:{nobody.getsockname()[1]}")
        first[MODEL], second[MODEL] = [closed if refused else a], [b]
        settings = {"health_check_interval": 0, "discovery_interval": 0, **routing}
        with running_proxy(cloud, folder, **config, routing=settings) as proxy:
            yield proxy, a.rpartition("/")[2], b.rpartition("/")[2]


def ask(proxy: Proxy, *, stream: bool) -> bool:
    """Ask once; whether the answer was complete."""
    body = {"model": MODEL, "max_tokens": 100, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]}
    told = proxy.ask("POST", "/v1/messages", body)
    if told.status != 200:
        return False
    if stream:
        return b"event: message_stop" in told.body and b"event: error" not in told.body
    return json.loads(told.body)["stop_reason"] == "end_turn"


def run(row: Row, *, stream: bool) -> Result:
    """Carry out one row."""
    with emulator.serve() as running, tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(running.url)
        hangs = row.fault is not None and row.fault["kind"] == "hang"
        routing = {**PATIENT, **(HASTY if hangs else {})}
        with two_deployments(cloud, Path(folder), refused=row.fault is None, **routing) as (proxy, a, _):
            if row.fault:
                cloud.fault(a, **row.fault)
            complete = sum(ask(proxy, stream=stream) for _ in range(REQUESTS))
            return Result(row, stream, complete, spent_on(proxy, cloud, a))


def spent_on(proxy: Proxy, cloud: Cloud, deployment: str) -> int:
    """How many requests a deployment got, or, where nobody listens, would have got."""
    seen = len(cloud.requests(deployment))
    tried = proxy.ask("GET", "/metrics").body.decode().split("\n")
    outcomes = [
        line
        for line in tried
        if line.startswith("aicore_proxy_outcomes_total{") and f'deployment="{deployment}"' in line
    ]
    return seen or int(sum(float(line.rpartition(" ")[2]) for line in outcomes))


def main() -> int:
    """Print the table; the exit code says whether every row held."""
    print(f"{'A is broken by':30} {'':8} {'complete':>8} {'spent on A':>10}  at most")
    good = True
    for row in ROWS:
        for stream in (False, True):
            result = run(row, stream=stream)
            good = good and result.is_good
            print(
                f"{row.name:30} {'stream' if stream else 'whole':8} {result.complete:5d}/{REQUESTS}"
                f" {result.spent:10d} {row.most:8d}  {'' if result.is_good else '<-- !!'}",
                flush=True,
            )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
