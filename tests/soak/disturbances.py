"""What goes wrong during the soak, by a seeded schedule: outages, reloads, operators, a worker that is killed.

A minute has one subaccount whose deployments may fail; those of the other are well, so that no client may see an error,
but for the windows that say so. The reload at the end of the minute gives the workers a fresh start.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.soak.asks import EMBEDDING, MODELS, TALKING
from tests.soak.outcomes import Result, Windows
from tests.soak.served import Served, nobodys_port, with_refused_endpoint
from tests.soak.traffic import Scene

RECOVERY = 9.0
"""Seconds after an outage within which every endpoint is used again: the longest cooldown, twice."""
TAKEN_OVER = 45.0
LONGEST = 55.0
"""Seconds after which a worker that was replaced has no request left, whatever happens to it."""
_STRATEGIES = ("round-robin", "weighted", "least-connections", "least-latency", "cache-affinity", "priority")
_UNCHANGED = "the settings are unchanged"
_ERRORS = frozenset({Result.ERROR, Result.STREAM_ERROR})
_LOST = frozenset({Result.CUT, Result.STREAM_ERROR, Result.ERROR})


@dataclass(frozen=True)
class Fault:
    """A way in which deployments of one subaccount fail, and what clients may see of it."""

    name: str
    body: dict[str, Any]
    most: int = 2
    """How many deployments of a model may have it, so that the attempts of a request are enough."""
    shown: bool = False
    """Whether streams break off when their clients have seen words of them."""
    of_account: bool = False
    """Whether it counts against the whole subaccount, so that no answer that was made there can be continued."""


FAULTS = (
    Fault("429 with Retry-After", {"kind": "429-quota", "retry_after": 2}),
    Fault("429 of the provider", {"kind": "429-provider"}),
    Fault("500", {"kind": "500"}),
    Fault("503", {"kind": "503"}),
    Fault("529", {"kind": "529"}),
    Fault("401", {"kind": "401"}, of_account=True),
    Fault("403", {"kind": "403"}),
    Fault("404", {"kind": "404"}),
    Fault("reset", {"kind": "reset"}),
    Fault("slow first byte", {"kind": "slow", "delay": 2.0}),
    Fault("hang", {"kind": "hang"}, most=1),
    Fault("malformed body", {"kind": "garbage"}),
    Fault("200, then the end", {"kind": "dead"}),
    Fault("error event", {"kind": "error-event"}),
    Fault("cut stream", {"kind": "cut", "after_events": 2}, shown=True),
    Fault("cut stream with an error", {"kind": "cut-error", "after_events": 2}, shown=True),
    Fault("stream that ends early", {"kind": "eof", "after_events": 2}, shown=True),
    Fault("stream that stalls", {"kind": "stall", "after_events": 1}, most=1, shown=True),
)
OUTAGES = ("500", "503", "429-provider", "429-quota", "reset")
"""What all deployments of a model have where nothing of it is well."""


class Disturbances:
    """The schedule, in a thread of its own. *minute* is the time of a round of outages, in seconds."""

    def __init__(self, scene: Scene, windows: Windows, minute: float, kills: int, *, reloads: bool) -> None:
        self._scene, self._windows, self._minute = scene, windows, minute
        self._rng = scene.rng("disturbances")
        self._kills, self._reloads = kills, reloads
        self._account = "eu"
        self._broken: list[int] = []
        """The windows of the faults that are on."""
        self._refused: list[int] = []
        """The window of an endpoint at which nobody listens."""
        self.counts: dict[str, int] = {}
        """What has happened, and how often."""

    def run(self) -> None:
        """Disturb until the soak is over."""
        served, number = self._scene.served, 0
        with nobodys_port() as port:
            while not self._scene.over.is_set():
                ends = self._scene.clock() + self._minute
                self._disturb(ends - min(5.0, self._minute / 5), kill=self._kills > 0 and number % 3 == 0)
                self._heal()
                if self._scene.over.wait(max(0.0, ends - self._scene.clock())):
                    return
                number += 1
                if self._reloads:
                    self._reload(number, port)
        served.cloud.heal()

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    @property
    def _served(self) -> Served:
        return self._scene.served

    def _pause(self, share: float) -> bool:
        """Wait for a share of a minute; whether the soak goes on."""
        return not self._scene.over.wait(share * self._minute)

    # Outages

    def _disturb(self, ends: float, *, kill: bool) -> None:
        """One outage after another, until *ends*."""
        self._pause(0.08)
        if kill:
            self._kill()
        while not self._scene.over.is_set() and self._scene.clock() < ends:
            happening = self._rng.choices(
                (self._partial, self._outage, self._revoke, self._no_tokens, self._drain, self._stopped),
                (60, 10, 8, 6, 10, 6),
            )[0]
            happening()
            self._pause(0.03)

    @contextmanager
    def _explained(
        self, name: str, results: frozenset[Result], models: tuple[str, ...], *, sticky_alone: bool = False
    ) -> Iterator[None]:
        number = self._windows.open(name, results, models, sticky_alone=sticky_alone)
        self._count(name)
        try:
            yield
        finally:
            self._windows.close(number, RECOVERY)

    def _partial(self) -> None:
        """Break deployments of two models, in the subaccount whose turn it is."""
        talking, other = self._rng.choice(TALKING), self._rng.choice(MODELS)
        for model in {talking, other}:
            fault = self._rng.choice(FAULTS[:11] if model in EMBEDDING else FAULTS)
            ids = self._rng.sample(self._ids(model), k=min(fault.most, len(self._ids(model))))
            # Whoever continues an answer has to go where it was made.
            concerned = MODELS if fault.of_account else (model,)
            self._broken.append(self._windows.open(fault.name, _ERRORS, concerned, sticky_alone=True))
            if fault.shown:
                self._broken.append(self._windows.open(fault.name, (Result.STREAM_ERROR,), (model,)))
            self._count(fault.name)
            for each in ids:
                self._served.cloud.ask("PUT", f"/admin/faults/{each}", fault.body)
        self._pause(self._rng.uniform(0.06, 0.15))
        self._heal()

    def _outage(self) -> None:
        """Break all deployments of one model."""
        model, kind = self._rng.choice(MODELS), self._rng.choice(OUTAGES)
        with self._explained(f"all of a model: {kind}", _ERRORS, (model,)):
            for account in self._served.endpoints[model]:
                for each in self._ids(model, account):
                    self._served.cloud.fault(each, kind, **({"retry_after": 1} if kind.startswith("429") else {}))
            self._pause(self._rng.uniform(0.04, 0.08))
            self._heal()
        self._pause(0.02)

    def _revoke(self) -> None:
        """Revoke all tokens, of both subaccounts, as happens when a key is renewed."""
        self._count("revoked tokens")
        self._served.cloud.ask("DELETE", "/admin/tokens")
        self._pause(0.03)

    def _no_tokens(self) -> None:
        """One subaccount gives no tokens, and the old ones are refused."""
        with self._explained("no tokens", _ERRORS, MODELS, sticky_alone=True):
            self._served.cloud.fault(f"token:{self._account}", "500")
            self._served.cloud.ask("DELETE", f"/admin/tokens/{self._account}")
            self._pause(0.08)
            self._heal()

    def _stopped(self) -> None:
        """A deployment is stopped, and runs again."""
        model = self._rng.choice(MODELS)
        [one] = self._rng.sample(self._ids(model), k=1)
        with self._explained("deployment gone", _ERRORS, (model,), sticky_alone=True):
            self._served.cloud.ask("PUT", f"/admin/deployments/{one}", {"status": "STOPPED"})
            self._pause(0.1)
            self._served.cloud.ask("PUT", f"/admin/deployments/{one}", {"status": "RUNNING"})

    def _drain(self) -> None:
        """An operator drains a deployment and restores it, and changes a strategy."""
        model = self._rng.choice(TALKING)
        [one] = self._rng.sample(self._ids(model), k=1)
        where = {"subaccount": self._account, "deployment": one, "model": model}
        self._act(action="drain", **where)
        self._pause(0.05)
        self._act(action="strategy", model=model, strategy=self._rng.choice(_STRATEGIES))
        self._act(action="restore", **where)

    def _act(self, **body: Any) -> None:
        self._count(f"operator: {body['action']}")
        try:
            status, said = self._served.act(**body)
        except OSError as error:
            if not self._served.killed:
                self._scene.ledger.problem(f"an operator's {body['action']} was not answered: {error!r}")
            return
        if status != 200:
            self._scene.ledger.problem(f"an operator's {body['action']} was answered with {status}: {said[:200]!r}")

    def _ids(self, model: str, account: str | None = None) -> list[str]:
        return self._served.endpoints[model][account or self._account]

    def _heal(self) -> None:
        self._served.cloud.heal()
        for number in self._broken:
            self._windows.close(number, RECOVERY)
        self._broken.clear()

    # Workers

    def _kill(self) -> None:
        """Kill a worker. What it was answering is lost."""
        victim = self._rng.choice(sorted(self._served.workers()))
        number = self._windows.open("killed worker", _LOST)
        self._kills -= 1
        self._count("killed worker")
        self._served.killed.add(victim)
        os.kill(victim, signal.SIGKILL)
        # Connections that it had not accepted go to another; what it had is gone at once.
        self._windows.close(number, 0.5)

    def _reload(self, number: int, port: int) -> None:
        """Read the config file again: as it is, changed, or with a mistake, with which nothing may change."""
        kind = ("unchanged", "changed", "broken", "refused endpoint")[number % 4]
        before = set(self._served.workers())
        if self._minute > LONGEST and (late := self._served.retiring()):
            self._scene.ledger.problem(f"workers that were replaced {self._minute:.0f} s ago still run: {late}")
        while self._refused:
            self._windows.close(self._refused.pop(), RECOVERY)
        account = "us" if self._account == "eu" else "eu"
        config = dict(self._served.config)
        if kind in ("changed", "refused endpoint"):
            config["routing"] = {**config["routing"], "strategy": self._rng.choice(_STRATEGIES)}
        if kind == "refused endpoint":
            model = self._rng.choice(TALKING[:5])
            config = with_refused_endpoint(config, account, model, port)
            # At another address it is another deployment, which has made no answers.
            self._refused.append(self._windows.open(kind, _ERRORS, (model,), sticky_alone=True))
        refusals = self._served.run.said.count(_UNCHANGED)
        self._served.write('{"subAccounts": {"eu": ' if kind == "broken" else config)
        self._count(f"reload: {kind}")
        self._served.reload()
        if kind == "broken":
            refused = "a broken config file was not refused"
            self._await(lambda: self._served.run.said.count(_UNCHANGED) > refusals, refused)
            if not before & set(self._served.workers()):
                self._scene.ledger.problem("a broken config file has replaced the workers")
            self._served.write(config)
            return
        self._await(lambda: not before & set(self._served.workers()), "a reload has not replaced the workers")
        self._account = account

    def _await(self, holds: Callable[[], bool], amiss: str) -> None:
        end = self._scene.clock() + TAKEN_OVER
        while not holds():
            if self._scene.clock() > end:
                self._scene.ledger.problem(amiss)
                return
            time.sleep(0.1)
