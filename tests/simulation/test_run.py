"""Runs: the real router, the same each time, as the command prints them."""

import pytest

from routing import STRATEGIES, Policy
from simulation.__main__ import main
from simulation.run import CONTENDERS, run
from simulation.scenarios import SCENARIOS, Scenario
from simulation.upstream import Kind, Trouble, places
from simulation.workloads import CHAT

SHORT = Scenario(
    "short", "", "a1 b1", CHAT, 2.0, (Trouble(Kind.HANGS, 20.0, 30.0, ("a1",)),), start=20.0, afterwards=65.0
)


def test_every_strategy_is_simulated() -> None:
    assert set(STRATEGIES) < set(CONTENDERS)


def test_every_scenario_has_a_name_of_its_own_and_trouble_at_places_that_there_are() -> None:
    assert len(SCENARIOS) == len({each.name for each in SCENARIOS})
    for scenario in SCENARIOS:
        assert (
            {name for each in scenario.troubles for name in each.at} - {place.name for place in places(scenario.layout)}
        ) == set()


@pytest.mark.parametrize("contender", CONTENDERS)
def test_the_same_seed_gives_the_same_figures(contender) -> None:
    assert run(SHORT, contender, 1) == run(SHORT, contender, 1)


def test_another_seed_gives_other_figures() -> None:
    assert run(SHORT, "round-robin", 1) != run(SHORT, "round-robin", 2)


def test_all_contenders_meet_the_same_requests() -> None:
    assert len({run(SHORT, contender, 1).requests for contender in CONTENDERS}) == 1


def test_a_call_without_a_word_is_given_up_when_the_proxy_would() -> None:
    """Those that hang are answered elsewhere, after the time-out of the first event."""
    figures = run(SHORT, "round-robin", 1)
    patience = Policy().timeouts.first_event

    assert figures.errors == 0
    assert figures.p95 is not None
    assert patience < figures.p95 < patience + 5


def test_the_command_prints_a_table_of_each_scenario_that_is_named(capsys) -> None:
    main(["--only", "blip, 3 siblings (quiet)", "--contenders", "round-robin,outlier"])
    lines = capsys.readouterr().out.splitlines()

    assert [line for line in lines if line.startswith("## ")] == ["## Blip", "## 3 siblings (quiet)"]
    assert sum(line.startswith("| round-robin |") for line in lines) == 2
    assert sum(line.startswith("| outlier ejection |") for line in lines) == 2


def test_a_name_that_nothing_has_is_refused_with_those_there_are(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "tsunami"])

    assert "outage of a subaccount" in capsys.readouterr().err
