"""What can be deployed, and the wait until it runs; no time passes."""

from typing import Any

import pytest

from gateway.cli.ai_core import ResourceGroup
from gateway.cli.init.deploying import FAILURES, PAUSE, Start, already, deployable, over, wait_until_running
from gateway.cli.messages import CommandError
from gateway.upstream.catalogue import CatalogueModel
from gateway.upstream.discovery import Listed
from gateway.upstream.provisioning import ORCHESTRATION_DEPLOYMENT, Deployable, DeploymentState

GPT = Deployable("gpt-5", "azure-openai")
START = Start("d1", "gpt-5", "default")
CATALOGUE = (CatalogueModel("gpt-5", executable="azure-openai"), CatalogueModel("odd"))


class Starting:
    """A deployment in one state after another, and a clock that only pauses let go on; an error is raised."""

    def __init__(self, *states: str | DeploymentState | CommandError) -> None:
        self.states = [DeploymentState(each) if isinstance(each, str) else each for each in states]
        self.now = 1000.0
        self.shown: list[str] = []

    def state_of(self, group: str, deployment: str) -> DeploymentState:
        assert (group, deployment) == ("default", "d1")
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, CommandError):
            raise state
        return state

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, limit: float) -> DeploymentState:
        ai_core: Any = self
        return wait_until_running(ai_core, START, limit, self.shown.append, self.pause, lambda: self.now)


def group(*deployments: tuple[str, str]) -> ResourceGroup:
    listed = (Listed(f"d{number}", *each, "https://x") for number, each in enumerate(deployments))
    return ResourceGroup("default", tuple(listed))


def test_a_deployment_is_waited_for_until_it_runs() -> None:
    starting = Starting("UNKNOWN", "PENDING", "PENDING", "RUNNING")
    state = starting.wait(1200)

    assert (state.runs, starting.now) == (True, 1000 + 3 * PAUSE)
    assert [each.partition(";")[0] for each in starting.shown] == [
        "gpt-5 (d1) is UNKNOWN",
        "gpt-5 (d1) is PENDING",
        "gpt-5 (d1) is PENDING",
        "gpt-5 (d1) is RUNNING",
    ]


@pytest.mark.parametrize(("limit", "looks"), [(0, 1), (3, 2), (2 * PAUSE, 3)])
def test_no_longer_is_waited_than_was_asked_for(limit: float, looks: int) -> None:
    starting = Starting("PENDING")
    state = starting.wait(limit)

    assert (state.status, starting.now - 1000, len(starting.shown)) == ("PENDING", limit, looks)


def test_what_will_not_run_is_said_with_its_reason_and_what_to_do() -> None:
    state = Starting("PENDING", DeploymentState("DEAD", "no capacity in this region")).wait(1200)

    assert over(START, state) == (
        "the deployment d1 of gpt-5 is DEAD and will not run: no capacity in this region; "
        "delete it in SAP AI Launchpad, or deploy another model"
    )


def test_an_error_that_passes_ends_no_wait_and_is_shown() -> None:
    error = CommandError("no answer")
    starting = Starting("PENDING", error, error, "PENDING", *[error] * (FAILURES - 1), "RUNNING")

    assert starting.wait(1200).runs
    assert starting.shown[1:4] == [
        "no answer; trying again, press Ctrl-C to stop waiting",
        "no answer; trying again, press Ctrl-C to stop waiting",
        "gpt-5 (d1) is PENDING; press Ctrl-C to stop waiting",
    ]


@pytest.mark.parametrize(("limit", "looks"), [(1200, FAILURES), (2 * PAUSE, 3), (0, 1)])
def test_errors_that_last_end_the_wait(limit: float, looks: int) -> None:
    starting = Starting(CommandError("no answer"))
    with pytest.raises(CommandError, match=r"^no answer$"):
        starting.wait(limit)

    assert (len(starting.shown), starting.now - 1000) == (looks - 1, (looks - 1) * PAUSE)


def test_a_model_is_deployed_by_the_executable_of_the_catalogue() -> None:
    assert deployable(" GPT-5 ", CATALOGUE) == GPT
    assert deployable("orchestration", ()) is ORCHESTRATION_DEPLOYMENT
    with pytest.raises(ValueError, match="the catalogue does not say how odd is deployed; write orchestration"):
        deployable("odd", CATALOGUE)


def test_what_runs_or_starts_up_is_not_made_again() -> None:
    started, running = ("gpt-5", "PENDING"), ("gpt-5", "RUNNING")

    assert already(group(("gpt-5", "STOPPED"), ("gpt-4.1", "RUNNING"), ("gpt-5", "DEAD")), GPT) is None
    assert already(group(started), GPT) == Start("d0", "gpt-5", "default", is_new=False)
    assert already(group(started, running), GPT) == Start("d1", "gpt-5", "default", is_new=False)
