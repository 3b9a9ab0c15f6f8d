import dataclasses
import typing

import pytest

from routing.policy import BreakerPolicy, CooldownPolicy, ModelPolicy, Policy, RetryPolicy, Timeouts

DAY = 86_400

RANGES = [
    (BreakerPolicy, "failure_threshold", 1, 1_000),
    (BreakerPolicy, "failure_rate", 0.01, 2),
    (BreakerPolicy, "minimum_outcomes", 1, 1_000_000),
    (BreakerPolicy, "window", 0.001, DAY),
    (BreakerPolicy, "timeout", 0.001, 300),
    (BreakerPolicy, "timeout_cap", 10, DAY),
    (BreakerPolicy, "timeout_jitter", 0, 0.9),
    (BreakerPolicy, "forgive_after", 0.001, DAY),
    (BreakerPolicy, "success_threshold", 1, 1_000),
    (BreakerPolicy, "slow_start", 0, DAY),
    (BreakerPolicy, "slow_start_floor", 0.01, 1),
    (CooldownPolicy, "floor", 0, 300),
    (CooldownPolicy, "cap", 0.5, DAY),
    (CooldownPolicy, "jitter", 0, 1),
    (CooldownPolicy, "base", 0.001, 60),
    (CooldownPolicy, "base_cap", 5, DAY),
    (CooldownPolicy, "credentials", 0.001, 600),
    (CooldownPolicy, "credentials_cap", 60, DAY),
    (CooldownPolicy, "wait_at_most", 0, DAY),
    (RetryPolicy, "max_attempts", 1, 100),
    (RetryPolicy, "budget_ratio", 0, 10),
    (RetryPolicy, "budget_window", 0.001, DAY),
    (RetryPolicy, "budget_reserve", 0, 1_000_000),
    (RetryPolicy, "backoff_base", 0, 8),
    (RetryPolicy, "backoff_cap", 0.25, DAY),
    (RetryPolicy, "hint_cap", 0, DAY),
    (Timeouts, "connect", 0.001, DAY),
    (Timeouts, "first_event", 0.001, DAY),
    (Timeouts, "idle", 0.001, DAY),
    (Timeouts, "answer", 0.001, DAY),
    (Timeouts, "silence", 0.001, DAY),
    (Timeouts, "total", 0.001, DAY),
    (Timeouts, "keep_alive", 0.001, DAY),
    (ModelPolicy, "first_event", 0.001, DAY),
    (ModelPolicy, "idle", 0.001, DAY),
    (ModelPolicy, "answer", 0.001, DAY),
    (ModelPolicy, "total", 0.001, DAY),
    (Policy, "health_check_interval", 0, DAY),
    (Policy, "health_check_timeout", 0.001, DAY),
    (Policy, "discovery_interval", 0, DAY),
    (Policy, "affinity_load", 1, 100),
    (Policy, "affinity_floor", 1, 1_000_000),
    (Policy, "ewma_decay", 0.001, DAY),
    (Policy, "ewma_seed", 0.001, DAY),
    (Policy, "failure_penalty", 0.001, DAY),
    (Policy, "priority_full", 0, 1_000_000),
]


@pytest.mark.parametrize(("settings", "name", "low", "high"), RANGES)
def test_a_number_within_its_range_is_taken(settings, name, low, high):
    assert low == getattr(settings(**{name: low}), name)
    assert high == getattr(settings(**{name: high}), name)


@pytest.mark.parametrize(("settings", "name", "low", "high"), RANGES)
def test_a_number_outside_its_range_is_refused_by_name(settings, name, low, high):
    for wrong in (low - 0.0005, high + 0.5, float("nan")):
        with pytest.raises(ValueError, match=rf"^({name}|[a-z_]+) must be (between|at least) .*, not "):
            settings(**{name: wrong})


def test_the_refusal_names_the_field_and_the_range():
    with pytest.raises(ValueError, match=r"^failure_threshold must be between 1 and 1000, not 0$"):
        BreakerPolicy(failure_threshold=0)
    with pytest.raises(ValueError, match=r"^timeout_cap must be at least timeout \(10\), not 9$"):
        BreakerPolicy(timeout_cap=9)


def numbers_in(declared):
    """Every type within a declared one: of `Annotated[int, …] | None`, that is int and None."""
    within = [each for option in typing.get_args(declared) for each in numbers_in(option)]
    return within or [declared]


def test_every_number_has_a_range():
    """A setting that is forgotten here is a setting that nobody checks."""
    numbers = {
        (settings, field.name)
        for settings in (BreakerPolicy, CooldownPolicy, RetryPolicy, Timeouts, ModelPolicy, Policy)
        for field in dataclasses.fields(settings)
        if {int, float} & set(numbers_in(field.type))
    }

    held = {(settings, name) for settings, name, _, _ in RANGES}

    assert numbers - held == set(), "give these a `Range`, and a row in RANGES"
    assert held - numbers == set(), "these are no settings any more: take their rows out of RANGES"


def test_a_model_may_differ():
    policy = Policy(
        strategy="weighted",
        timeouts=Timeouts(connect=1, first_event=2, idle=3, answer=4, silence=7, total=5, keep_alive=6),
        models={
            "slow": ModelPolicy(strategy="priority", first_event=20, idle=30, answer=40, total=50),
            "same": ModelPolicy(),
        },
    )

    assert Timeouts(1, 20, 30, 40, 7, 50, 6) == policy.timeouts_for("slow") == policy.timeouts_for("slow", silent=True)
    assert policy.timeouts_for("same", silent=True) == Timeouts(1, 7, 7, 7, 7, 5, 6)
    assert policy.timeouts == policy.timeouts_for("same") == policy.timeouts_for("unknown")
    assert [policy.strategy_for(name) for name in ("slow", "same", "unknown")] == ["priority", "weighted", "weighted"]
