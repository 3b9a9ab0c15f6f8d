"""The deployments the proxy serves: configured, looked up, and watched over."""

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
"""Seconds that the start waits for the catalogue, once everything is listed: without it there is a guess to go by."""
_FIRST_PAUSE = 1.0
"""Seconds until who could not be listed is asked again; doubled each time, up to the interval."""
_LONGEST_PAUSE = 60.0
"""Seconds of the longest such pause, where the interval is never."""
_AT_ONCE = 16
"""How many subaccounts are asked at the same time."""


class EndpointPool:
    """Fills the balancer's pools, and keeps an eye on what is in them.

    What a subaccount lists is looked up where the settings ask for it; one that
    cannot be asked, or lists nothing any more, keeps what it had, so that nothing
    depends on all of them being there at start. Until all were listed once they are asked more often,
    and `unlisted` tells who was not. *probe* asks one endpoint and gives an HTTP
    status; *patience* is how many seconds the start waits for what is looked up.

    Which models orchestration deployments serve is asked beside what is listed, and nothing waits for it: until it
    is answered, what *orchestration* knows is served.

    Looking up is one thread's, and so is draining; what they leave for each other and for others are references, each
    replaced in one step, and who is listed is served before that is told.
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
        """What each subaccount listed last."""
        self._served: Mapping[str, Models] = {}
        """What of that is served, with the models of orchestration by name."""
        self.drained: frozenset[Endpoint] = frozenset()
        """The endpoints that `drain` has taken out of selection."""
        self._looked_up = [account for account in settings.subaccounts.values() if account.discovery]
        self._unlisted = tuple(account.name for account in self._looked_up)
        self._versions: dict[str, Mapping[str, frozenset[str]]] = {account.name: {} for account in self._looked_up}
        self._due = clock()
        self._stop = stop or threading.Event()
        self._is_listed = threading.Event()
        """Set once all subaccounts were listed, or could not be, for the first time."""
        self._thread: threading.Thread | None = None
        once = OneProbe(probe, clock, settings.policy.health_check_interval / 2)
        self._checker = HealthChecker(balancer, once, list_running=self._statuses, clock=clock, stop=self._stop)

    def start(self) -> None:
        """Fill the pools, and begin to watch; what is looked up late joins late."""
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
        """Stop watching; returns when nothing of it runs any more."""
        self._checker.stop()
        if self._thread is not None:
            self._thread.join()

    def refresh(self) -> None:
        """Look up what is deployed now, everywhere at once, and serve what each subaccount tells as it comes.

        A subaccount is asked in two steps: what runs there, and which models its orchestration deployments serve. The
        second waits for a place behind all the first ones.
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
                        # Whatever failed, this subaccount keeps what it had, and the others are served.
                        _log.error("listing the deployments of %s failed", account.name, exc_info=error)
                    self._serve(account, is_asked)
                if all(is_asked for _, is_asked in steps.values()):
                    self._is_listed.set()

    def listen(self, event: RoutingEvent) -> None:
        """Have the subaccount of a deployment that is gone listed at once; subscribe this to routing events."""
        self._checker.listen(event)

    def drain(self, endpoint: Endpoint) -> None:
        """Give *endpoint* only the requests that continue its own answers, now or once it is served: its weight is 0.

        What is drained is not kept beyond this process. One thread at a time drains and restores.
        """
        self.drained |= {endpoint}
        self._fill_pools()

    def restore(self, endpoint: Endpoint) -> None:
        """Give *endpoint* its configured weight again."""
        self.drained -= {endpoint}
        self._fill_pools()

    def unlisted(self) -> Unlisted:
        """Tell whose deployments were never listed, and in how many seconds that is tried again."""
        return Unlisted(self._unlisted, max(_FIRST_PAUSE, self._due - self._clock()))

    def versions(self, model: str) -> frozenset[str]:
        """Name the versions in which a model runs, by what was listed last."""
        return frozenset[str]().union(*(versions.get(model, ()) for versions in self._versions.values()))

    def _listed(self, subaccount: str) -> None:
        """Note that a subaccount was listed and is served; after the last one it is known what is deployed."""
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
        """Find what runs in a subaccount; one that cannot be listed keeps what it had."""
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
        """Serve what is known of a subaccount, if that has changed.

        *is_asked* is whether it is known which models its orchestration deployments serve, as far as can be.
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
        """Serve what was found; begin anew if another thread has found or drained something meanwhile."""
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
            except Exception:  # noqa: BLE001 - whatever failed, the next round is due
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
    """Probes a deployment once in so many *seconds*, for all models that it serves; what comes meanwhile waits for it.

    Holds no lock: two threads that begin the same period may both probe.
    """

    def __init__(self, probe: Callable[[Endpoint], int], clock: Callable[[], float], seconds: float) -> None:
        self._probe = probe
        self._clock = clock
        self._seconds = seconds or math.inf
        self._period = -1.0, SingleFlight[tuple[str, str], int](keep=True)

    def __call__(self, endpoint: Endpoint) -> int:
        """Give the HTTP status of the deployment of *endpoint*; raises what its probe raised."""
        at = self._clock() // self._seconds
        if self._period[0] != at:
            self._period = at, SingleFlight(keep=True)
        return self._period[1]((endpoint.subaccount, endpoint.url), partial(self._probe, endpoint))


def _settings_of(pools: Mapping[str, Iterable[Endpoint]]) -> list[tuple[str, float]]:
    """List what may change of endpoints without making others of them: what they say they run, and their weights."""
    return [(endpoint.runs, endpoint.weight) for pool in pools.values() for endpoint in pool]
