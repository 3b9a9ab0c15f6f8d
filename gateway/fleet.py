"""The deployments the proxy serves: configured, looked up, and watched over."""

import logging
import threading
from collections.abc import Callable, Mapping

from dialects.faults import FaultError
from gateway.accounts import Deployment
from gateway.discovery import Get, discover, statuses
from gateway.settings import Settings, pools, with_discovered
from routing.health import HealthChecker
from routing.load_balancer import LoadBalancer
from routing.strategy import Endpoint

_log = logging.getLogger("sap_ai_proxy.fleet")


class Fleet:
    """Fills the balancer's pools, and keeps an eye on what is in them.

    What a subaccount lists is looked up where the settings ask for it; one that
    cannot be asked keeps what it had, so that nothing depends on all of them
    being there at start. *probe* asks one endpoint and gives an HTTP status.
    """

    def __init__(
        self,
        settings: Settings,
        balancer: LoadBalancer,
        get: Get,
        probe: Callable[[Endpoint], int],
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._balancer = balancer
        self._get = get
        self._clock = clock
        self._found: dict[str, Mapping[str, tuple[Deployment, ...]]] = {}
        self._looked_up = [account for account in settings.subaccounts.values() if account.discovery]
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._checker = HealthChecker(
            balancer, probe, list_running=self._statuses, policy=settings.policy, clock=clock, stop=self._stop
        )

    def start(self) -> None:
        """Fill the pools, and begin to watch."""
        self.refresh()
        self._checker.start()
        interval = self._settings.policy.discovery_interval
        if self._looked_up and interval:
            self._thread = threading.Thread(target=self._run, args=(interval,), name="discovery", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop watching; returns when nothing of it runs any more."""
        self._checker.stop()
        if self._thread is not None:
            self._thread.join()

    def refresh(self) -> None:
        """Look up what is deployed now, and serve that."""
        for account in self._looked_up:
            try:
                self._found[account.name] = discover(account, self._get)
            except FaultError as error:
                _log.warning("cannot list the deployments of %s: %s", account.name, error.fault.message)
        wanted = pools(with_discovered(self._settings, self._found))
        if wanted != {model: self._balancer.endpoints(model) for model in self._balancer.models()}:
            self._balancer.replace_pools(wanted)

    def _run(self, interval: float) -> None:
        while not self._stop.wait(interval):
            self.refresh()

    def _statuses(self, subaccount: str) -> Mapping[str, str]:
        return statuses(self._settings.subaccounts[subaccount], self._get)
