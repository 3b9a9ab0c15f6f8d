"""The memory that requests may take: reserved before it is used, and free again when they are over."""

from pathlib import Path

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.memory_budget import FULL, KEY_FULL, MemoryBudget, MemoryShare, budget_for, memory_of_machine
from gateway.server.options import ServerOptions

MIB = 1024 * 1024


def refusal(share: MemoryShare, size: int, too_much: Fault | None = None, held: int = 0) -> Fault:
    with pytest.raises(FaultError) as refused:
        share.take(size, too_much, held=held)
    return refused.value.fault


def test_what_a_request_takes_is_reserved_until_it_is_over() -> None:
    budget = MemoryBudget(8 * MIB, 8 * MIB)
    share = budget.share()

    share.take(1)
    share.take(3 * MIB)
    reserved = budget.used
    share.release()
    share.release()

    assert 3 * MIB < reserved < 3 * MIB + 128 * 1024
    assert budget.used == 0


def test_a_small_request_reserves_memory_once() -> None:
    budget = MemoryBudget(8 * MIB, 8 * MIB)
    share = budget.share()

    share.take(1)
    first = budget.used
    for _ in range(10):
        share.take(6_000)

    assert (budget.used, first) == (first, 64 * 1024)


def test_more_than_the_process_has_left_is_a_503_that_says_when_to_try_again() -> None:
    budget = MemoryBudget(8 * MIB, 8 * MIB)
    first, second = budget.share(), budget.share()
    first.take(6 * MIB)

    fault = refusal(second, 3 * MIB)

    assert (fault.kind, fault.message, fault.retry_after) == (FaultKind.UNAVAILABLE, FULL, 1.0)
    assert (second.reserved, budget.used) == (0, 6 * MIB)
    first.release()
    second.take(3 * MIB)
    assert budget.used == 3 * MIB


def test_the_requests_of_a_key_have_its_share_of_the_memory_and_no_more() -> None:
    budget = MemoryBudget(8 * MIB, 8 * MIB, 4 * MIB)
    first, second, other = budget.share(), budget.share(), budget.share()
    first.caller = second.caller = "greedy"
    other.caller = "another"
    first.take(3 * MIB)
    with pytest.raises(FaultError) as expected:
        second.expect(2 * MIB)
    taken = refusal(second, 2 * MIB)
    other.take(4 * MIB)
    first.release()
    second.take(4 * MIB)

    assert expected.value.fault == taken
    assert (taken.kind, taken.message, taken.retry_after) == (FaultKind.UNAVAILABLE, KEY_FULL, 1.0)
    assert (budget.used, budget.most_of_one) == (8 * MIB, 4 * MIB)
    assert refusal(second, MIB).status == 413


def test_more_than_one_request_may_take_is_a_413() -> None:
    budget = MemoryBudget(8 * MIB, 4 * MIB)
    share = budget.share()
    share.take(3 * MIB)

    fault = refusal(share, 2 * MIB)

    assert (fault.kind, fault.status) == (FaultKind.TOO_LARGE, 413)
    assert f"more than the {4 * MIB} bytes" in fault.message
    assert budget.used == 3 * MIB


def test_a_deployment_is_at_fault_only_if_its_answer_takes_most_of_what_a_request_may() -> None:
    share, broken = MemoryBudget(8 * MIB, 4 * MIB).share(), Fault(FaultKind.STREAM_BROKEN, "Too much.")
    share.take(2 * MIB)
    alone = refusal(share, 3 * MIB, broken)
    share.take(1 * MIB, broken)
    with_more = refusal(share, 3 * MIB // 2, broken, held=1 * MIB)
    share.take(1 * MIB // 2)
    of_the_request = refusal(share, 1 * MIB, broken, held=1 * MIB)

    assert (alone, with_more) == (broken, broken)
    assert (of_the_request.kind, of_the_request.status) == (FaultKind.TOO_LARGE, 413)


def test_what_is_expected_is_refused_as_if_it_were_taken_and_reserves_nothing() -> None:
    budget = MemoryBudget(8 * MIB, 4 * MIB)
    other, share = budget.share(), budget.share()
    other.take(4 * MIB)
    other_one = budget.share()
    other_one.take(3 * MIB)

    share.expect(1 * MIB)
    refused = []
    for size in (2 * MIB, 5 * MIB):
        with pytest.raises(FaultError) as error:
            share.expect(size)
        refused.append(error.value.fault.kind)

    assert refused == [FaultKind.UNAVAILABLE, FaultKind.TOO_LARGE]
    assert budget.used == 7 * MIB


def test_what_is_given_back_is_there_for_others_and_for_the_request_itself() -> None:
    budget = MemoryBudget(8 * MIB, 8 * MIB)
    share = budget.share()

    share.take(7 * MIB)
    share.give_back(6 * MIB)
    rest = budget.used
    share.take(6 * MIB)

    assert (rest, budget.used) == (MIB + 64 * 1024, 7 * MIB)


def test_a_request_that_is_over_gets_nothing_more() -> None:
    budget = MemoryBudget(8 * MIB, 8 * MIB)
    share = budget.share()
    share.release()

    assert refusal(share, 1).kind is FaultKind.CALLER_LEFT
    share.give_back(0)
    assert budget.used == 0


@pytest.mark.parametrize(
    ("body", "of_answer", "reserved"),
    [
        (b'{"a":[1,2,{"b":"x{y"}]}', False, 6 * 256),
        (b'{"a":[1,2,{"b":"x{y"}]}', True, 6 * 64),
        (b"[" * 100_000, False, 100_000 * 256),
    ],
)
def test_values_of_json_are_reserved_before_they_are_parsed(body: bytes, of_answer: bool, reserved: int) -> None:
    budget = MemoryBudget(100 * MIB, reserved)
    budget.share().take_values(body, of_answer=of_answer)

    assert budget.used >= reserved
    with pytest.raises(FaultError):
        budget.share().take_values(body + b",", of_answer=of_answer)


@pytest.mark.parametrize(
    ("options", "machine", "most", "most_of_one"),
    [
        (ServerOptions(), 16 * 1024 * MIB, 8 * 1024 * MIB, 1024 * MIB),
        (ServerOptions(workers=2), 1024 * MIB, 256 * MIB, 256 * MIB),
        (ServerOptions(workers=8), 256 * MIB, 64 * MIB, 64 * MIB),
        (ServerOptions(max_body_bytes=MIB), 1024 * MIB, 512 * MIB, 16 * MIB),
        (ServerOptions(max_memory_bytes=5 * MIB), 1024 * MIB, 5 * MIB, 5 * MIB),
        (ServerOptions(max_memory_bytes=5 * MIB, max_request_memory_bytes=2 * MIB), 1024 * MIB, 5 * MIB, 2 * MIB),
        (ServerOptions(max_request_memory_bytes=900 * MIB), 1024 * MIB, 512 * MIB, 512 * MIB),
    ],
)
def test_the_default_is_a_half_of_the_machine_and_room_for_some_bodies(
    options: ServerOptions, machine: int, most: int, most_of_one: int
) -> None:
    budget, with_keys = budget_for(options, machine), budget_for(options, machine, keys=2)

    assert (budget.most, budget.most_of_one) == (most, most_of_one)
    assert (with_keys.most, with_keys.most_of_one) == (most, min(most // 2, most_of_one))


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.max": "1000\n"}, 1000),
        ({"memory.max": "5000\n", "system.slice/a.service/memory.max": "2000\n"}, 2000),
        ({"memory/memory.limit_in_bytes": "3000\n"}, 3000),
    ],
    ids=["container", "service", "older"],
)
def test_the_limit_of_a_container_or_a_service_counts_as_the_memory_of_the_machine(
    tmp_path: Path, files: dict[str, str], limit: int
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    own = tmp_path / "own"
    own.write_text("1:name=systemd:/x\n0::/system.slice/a.service\n")

    assert memory_of_machine(tmp_path, own) == limit


def test_without_a_limit_the_memory_is_that_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")

    assert memory_of_machine(tmp_path, tmp_path / "none") > 64 * MIB
