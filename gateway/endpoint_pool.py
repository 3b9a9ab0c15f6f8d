"""The deployments that the proxy serves: configured ones and those that discovery finds, with health checks."""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial

from dialects.core.faults import FaultError
from gateway.config.model_overrides import unguarded, unmatched
from gateway.config.settings import Settings, pools, with_discovered
from gateway.config.subaccounts import SubAccount
from gateway.upstream.discovery import (
    Get,
    Models,
    Orchestration,
    is_named,
    listing,
    merge_listing,
    named,
    statuses,
    versions_of,
)
from gateway.upstream.single_flight import SingleFlight
from routing.endpoint import Endpoint
from routing.events import RoutingEvent
from routing.health import HealthChecker
from routing.health_checker import deployments_heard_from
from routing.load_balancer import LoadBalancer
from routing.model_names import Unlisted

_log = logging.getLogger("sap_ai_proxy.endpoint_pool")
_PATIENCE = 10.0
_BRIEFLY = 1.0
"""Seconds that the start waits for the catalogue after all deployments are listed. Without it, the built-in list is
used."""
_FIRST_PAUSE = 1.0
"""Seconds until subaccounts that could not be listed are asked again. The pause doubles each time, up to the
interval."""
_LONGEST_PAUSE = 60.0
"""The longest such pause in seconds, if the discovery interval is 0, which means that discovery is not repeated."""
_AT_ONCE = 16
"""The number of subaccounts that are asked at the same time."""


class EndpointPool:
    """Fills the pools of the load balancer by discovery, and checks the health of the endpoints.

    Discovery lists the deployments of a subaccount if its settings ask for that. If a listing fails or is empty, the
    earlier one is kept, so the proxy starts even if some subaccounts cannot be reached. Until every subaccount has been
    listed once, discovery is repeated more often, and `unlisted` returns those that are missing.

    The models of orchestration deployments are looked up in a second step, for which the first does not wait. Until its
    result is known, the pool serves those that *orchestration* knows.

    *probe* requests one endpoint and returns the HTTP status. *patience* is how many seconds the start waits for
    discovery.

    One thread does discovery, and one thread at a time drains endpoints. They share references that are replaced in one
    step. A subaccount is removed from `unlisted` only after its deployments are served.
    """

    def __init__(
        self,
        settings: Settings,
        balancer: LoadBalancer,
        get: Get,
        probe: Callable[[Endpoint], int],
        clock: Callable[[], float],
        *,
        orchestration: Orchestration | None = None,
        patience: float = _PATIENCE,
        stop: threading.Event | None = None,
    ) -> None:
        self._settings = settings
        self._balancer = balancer
        self._get = get
        self._orchestration = orchestration or Orchestration()
        self._clock = clock
        self._patience = patience
        self._found: dict[str, Models] = {}
        """The latest listing of each subaccount."""
        self._served: Mapping[str, Models] = {}
        """The part of the latest listings that is served, with the models of orchestration filled in."""
        self.drained: frozenset[Endpoint] = frozenset()
        """The endpoints that `drain` has excluded from selection."""
        self._looked_up = [account for account in settings.subaccounts.values() if account.discovery]
        self._unlisted = tuple(account.name for account in self._looked_up)
        self._versions: dict[str, Mapping[str, frozenset[str]]] = {account.name: {} for account in self._looked_up}
        self._due = clock()
        self._stop = stop or threading.Event()
        self._is_listed = threading.Event()
        """Set once every subaccount was listed, or failed to be, for the first time."""
        self._thread: threading.Thread | None = None
        once = OneProbe(probe, clock, settings.policy.health_check_interval / 2)
        self._checker = HealthChecker(balancer, once, list_running=self._statuses, clock=clock, stop=self._stop)

    def start(self) -> None:
        """Fill the pools, start the health checks, and start discovery.

        Results of discovery that are late are added later.
        """
        self._stop.clear()
        self._fill_pools()
        self._checker.start()
        if not self._looked_up:
            self._say_what_may_not_be_meant()
        else:
            first = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(first,), name="discovery", daemon=True)
            self._thread.start()
            if self._is_listed.wait(self._patience):
                first.wait(_BRIEFLY)

    def stop(self) -> None:
        """Stop discovery and health checks, and wait until their threads have ended."""
        self._checker.stop()
        if self._thread is not None:
            self._thread.join()

    def refresh(self) -> None:
        """List the deployments of all subaccounts concurrently, and serve each result as soon as it is there.

        A subaccount takes two steps: its deployments, and the models of its orchestration deployments. Second steps are
        queued behind all first ones.
        """
        if not self._looked_up:
            return
        with ThreadPoolExecutor(min(_AT_ONCE, len(self._looked_up))) as lookers:
            steps: dict[Future[object], tuple[SubAccount, bool]] = {}
            for account in self._looked_up:
                steps[lookers.submit(self._look_up, account)] = account, False
            while steps:
                for done in wait(steps, return_when=FIRST_COMPLETED).done:
                    account, is_asked = steps.pop(done)
                    if not is_asked:
                        steps[lookers.submit(self._orchestration.ask, account)] = account, True
                    if (error := done.exception()) is not None:
                        # After any error this subaccount keeps its earlier deployments, and the others are served.
                        _log.error("listing the deployments of %s failed", account.name, exc_info=error)
                    self._serve(account, is_asked)
                if all(is_asked for _, is_asked in steps.values()):
                    self._is_listed.set()

    def listen(self, event: RoutingEvent) -> None:
        """List a subaccount at once when one of its deployments is gone. Subscribe this method to routing events."""
        self._checker.listen(event)

    def drain(self, endpoint: Endpoint) -> None:
        """Set the weight of *endpoint* to 0, now or once it is served.

        It then gets only requests that continue its own answers. This is not stored beyond the life of the process.
        One thread at a time may drain and restore.
        """
        self.drained |= {endpoint}
        self._fill_pools()

    def restore(self, endpoint: Endpoint) -> None:
        """Restore the configured weight of *endpoint*."""
        self.drained -= {endpoint}
        self._fill_pools()

    def unlisted(self) -> Unlisted:
        """Return the subaccounts that were never listed, and the seconds until the next attempt."""
        return Unlisted(self._unlisted, max(_FIRST_PAUSE, self._due - self._clock()))

    def versions(self, model: str) -> frozenset[str]:
        """Return the versions in which a model runs, according to the latest listings."""
        return frozenset[str]().union(*(versions.get(model, ()) for versions in self._versions.values()))

    def _listed(self, subaccount: str) -> None:
        """Record that a subaccount is listed and served.

        After the last one, log warnings about settings without an effect.
        """
        if subaccount in self._unlisted:
            self._unlisted = tuple(name for name in self._unlisted if name != subaccount)
            if not self._unlisted:
                self._say_what_may_not_be_meant()

    def _say_what_may_not_be_meant(self) -> None:
        policy, orchestration, models = self._settings.policy, self._settings.orchestration, self._balancer.models()
        alone = [name for name in models if not all(each.orchestration for each in self._balancer.endpoints(name))]
        for what in (*unmatched(policy, orchestration.per_model, models), *unguarded(orchestration, alone)):
            _log.warning("%s", what)

    def _look_up(self, account: SubAccount) -> None:
        """List the deployments of a subaccount; if that fails, keep the earlier ones."""
        try:
            listed = listing(account, self._get)
        except FaultError as error:
            _log.warning("cannot list the deployments of %s: %s", account.name, error.fault.explained)
            return
        self._versions[account.name] = versions_of(listed) or self._versions[account.name]
        before = self._found.get(account.name, {})
        if before and not listed:
            _log.warning("the list of deployments of %s is empty: the earlier list is kept", account.name)
        states = (each for each in self._balancer.snapshot() if each.endpoint.subaccount == account.name)
        answers = deployments_heard_from(states, self._settings.policy).__contains__
        self._found[account.name] = merge_listing(account, listed, before, answers)

    def _serve(self, account: SubAccount, is_asked: bool) -> None:
        """Serve the known deployments of a subaccount, if they have changed.

        *is_asked* is whether the models of its orchestration deployments have been looked up, even without success.
        """
        found = self._found.get(account.name)
        if found is None:
            return
        models = named(found, partial(self._orchestration.names, account))
        if models != self._served.get(account.name):
            self._served = {**self._served, account.name: models}
            self._fill_pools()
        if is_asked or is_named(found):
            self._listed(account.name)

    def _fill_pools(self) -> None:
        """Put the current deployments into the pools. Repeat this if another thread changes them in the meantime."""
        found, drained = None, None
        while found is not self._served or drained is not self.drained:
            found, drained = self._served, self.drained
            wanted = {
                model: tuple(replace(each, weight=0.0) if each in drained else each for each in pool)
                for model, pool in pools(with_discovered(self._settings, found)).items()
            }
            served = {model: self._balancer.endpoints(model) for model in self._balancer.models()}
            if wanted != served or _settings_of(wanted) != _settings_of(served):
                self._balancer.replace_pools(wanted)

    def _run(self, first: threading.Event) -> None:
        interval = self._settings.policy.discovery_interval
        longest = interval or _LONGEST_PAUSE
        patience = _FIRST_PAUSE
        while not self._stop.is_set():
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 - after any error, the next round is tried
                _log.exception("listing deployments failed")
            pause = min(patience, longest) if self._unlisted else interval
            patience = min(2 * patience, longest)
            self._due = self._clock() + pause
            self._is_listed.set()
            first.set()
            if not pause or self._stop.wait(pause):
                return

    def _statuses(self, subaccount: str) -> Mapping[str, str]:
        return statuses(self._settings.subaccounts[subaccount], self._get)


class OneProbe:
    """Probes a deployment at most once in a period, for all the models that it serves.

    *seconds* is the length of a period; with 0, the first result is used for ever. Calls during a probe wait for its
    result. The class holds no lock: two threads that begin the same period may both probe.
    """

    def __init__(self, probe: Callable[[Endpoint], int], clock: Callable[[], float], seconds: float) -> None:
        self._probe = probe
        self._clock = clock
        self._seconds = seconds or math.inf
        self._period = -1.0, SingleFlight[tuple[str, str], int](keep=True)

    def __call__(self, endpoint: Endpoint) -> int:
        """Return the HTTP status of the deployment of *endpoint*. Raises what the probe raises."""
        at = self._clock() // self._seconds
        if self._period[0] != at:
            self._period = at, SingleFlight(keep=True)
        return self._period[1]((endpoint.subaccount, endpoint.url), partial(self._probe, endpoint))


def _settings_of(pools: Mapping[str, Iterable[Endpoint]]) -> list[tuple[str, float]]:
    """List the settings of endpoints that may change while the endpoints stay the same: running models and weights."""
    return [(endpoint.runs, endpoint.weight) for pool in pools.values() for endpoint in pool]
