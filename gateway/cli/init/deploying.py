"""A first deployment: what can be deployed, and the wait until it runs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.cli.ai_core import AiCore, ResourceGroup, named
from gateway.cli.messages import CommandError
from gateway.upstream.catalogue import CatalogueModel
from gateway.upstream.discovery import ORCHESTRATION, RUNNING
from gateway.upstream.provisioning import ORCHESTRATION_DEPLOYMENT, STARTING, Deployable, DeploymentState

Show = Callable[[str], object]
"""Shows what is waited for."""
PAUSE: Final = 5.0
"""Seconds between two looks at a deployment that starts up."""
FAILURES: Final = 12
"""How many looks in a row may fail before the wait ends."""
_MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Start:
    """A deployment that starts up."""

    id: str
    what: str
    group: str
    is_new: bool = True

    def __str__(self) -> str:
        """Name it for people."""
        return f"the deployment {self.id} of {self.what}"


def deployable(name: str, catalogue: Sequence[CatalogueModel]) -> Deployable:
    """Find what to deploy by its name; raises `ValueError` with what is there instead."""
    wanted = name.strip().lower()
    if wanted == ORCHESTRATION:
        return ORCHESTRATION_DEPLOYMENT
    found = next((each for each in catalogue if each.name.lower() == wanted), None)
    if found is None:
        near = [each.name for each in catalogue if wanted and wanted in each.name.lower()][:_MOST_NAMED]
        hint = f"did you mean {' or '.join(near)}?" if near else f"write {ORCHESTRATION}, or a model of the catalogue"
        raise ValueError(f"{name!r} is not a model that can be deployed here; {hint}")
    if not found.executable:
        raise ValueError(f"the catalogue does not say how {found.name} is deployed; write {ORCHESTRATION}")
    return Deployable(found.name, found.executable)


def already(group: ResourceGroup, what: Deployable) -> Start | None:
    """Find a deployment of the same that runs, or starts up: none needs to be made then."""
    same = [each for each in group.deployments if named(each) == what.name]
    found = next((each for each in same if each.status == RUNNING), None)
    found = found or next((each for each in same if each.status in STARTING), None)
    return None if found is None else Start(found.id, what.name, group.name, is_new=False)


def starting(group: ResourceGroup) -> Start | None:
    """Find a deployment that starts up, where nothing runs yet: it was made by somebody, or before this was stopped."""
    if group.running:
        return None
    found = next((each for each in group.deployments if each.status in STARTING), None)
    return None if found is None else Start(found.id, named(found) or "(no model)", group.name, is_new=False)


def over(start: Start, state: DeploymentState) -> str:
    """Say that a deployment will not run, why, and what to do."""
    why = f": {state.message}" if state.message else ""
    what = "delete it in SAP AI Launchpad, or deploy another model"
    return f"{start} is {state.status} and will not run{why}; {what}"


def wait_until_running(
    ai_core: AiCore,
    start: Start,
    limit: float,
    show: Show,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> DeploymentState:
    """Look at a deployment until it runs or will not, or for *limit* seconds.

    Raises `CommandError` if it could not be looked at the last times.
    """
    began, failed = clock(), 0
    while True:
        try:
            state = ai_core.state_of(start.group, start.id)
        except CommandError as error:
            failed += 1
            if failed == FAILURES or clock() - began >= limit:
                raise
            show(f"{error}; trying again, press Ctrl-C to stop waiting")
        else:
            failed = 0
            show(f"{start.what} ({start.id}) is {state.status}; press Ctrl-C to stop waiting")
            if state.runs or state.is_over or clock() - began >= limit:
                return state
        pause(max(0.0, min(PAUSE, limit - (clock() - began))))
