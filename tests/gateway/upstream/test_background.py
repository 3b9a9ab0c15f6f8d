"""Tasks: blocking calls for which others wait as for a socket."""

import gc
import os
import select
import socket
import threading

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.lifetime import Interest, Lifetime
from gateway.upstream.background import Task
from tests.gateway.upstream.test_connecting import no_more_descriptors
from tests.support.processes import until

PATIENCE = 30.0


def is_readable(task):
    return bool(select.select([task], [], [], 0)[0])


def test_a_task_is_done_for_good_and_for_everybody_once_its_call_has_returned():
    gate = threading.Event()
    task = Task(lambda: gate.wait(PATIENCE) and "result")
    task.start()
    before = task.done, is_readable(task)
    gate.set()
    waiters = [Lifetime(60.0) for _ in range(3)]

    assert before == (False, False)
    assert [len(waiter.wait((Interest(task),), PATIENCE)) for waiter in waiters] == [1, 1, 1]
    assert [task.result() for _ in range(3)] == ["result"] * 3
    assert (task.done, is_readable(task)) == (True, True)


def test_many_threads_wait_for_one_result():
    gate, results = threading.Event(), []
    task = Task(lambda: gate.wait(PATIENCE) and 7)
    threads = [threading.Thread(target=lambda: results.append(task.result())) for _ in range(8)]
    for each in threads:
        each.start()
    task.start()
    gate.set()
    for each in threads:
        each.join(PATIENCE)

    assert results == [7] * 8


def test_what_the_call_raised_is_raised_each_time_and_a_fault_grows_no_history():
    fault = Fault(FaultKind.OVERLOADED, "busy")

    def fail():
        raise FaultError(fault)

    task = Task(fail)
    task.start()
    errors = []
    for _ in range(2):
        with pytest.raises(FaultError) as caught:
            task.result()
        errors.append(caught.value)

    assert [fault, fault] == [error.fault for error in errors]
    assert errors[0] is not errors[1]


def test_a_defect_is_raised_as_it_is():
    task = Task(lambda: {}["missing"])
    task.start()

    with pytest.raises(KeyError, match="missing"):
        task.result()


def test_a_task_that_is_forgotten_gives_its_descriptors_back():
    """Without a warning, whether it was started or not; its thread knows it until it ends."""
    descriptors = []
    for started in (True, False):
        task = Task(int)
        if started:
            before = {*threading.enumerate()}
            task.start()
            assert until(lambda before=before: before >= {*threading.enumerate()})
        descriptors.append((task.fileno(), identity(task.fileno())))
        del task
    gc.collect()

    assert all(identity(number) != before for number, before in descriptors)


def identity(number):
    """What a descriptor is of; another thread may have been given the same number for something else."""
    try:
        return os.fstat(number).st_ino
    except OSError:
        return None


def test_where_no_thread_can_be_had_that_is_the_result(monkeypatch):
    task = Task(int)

    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    task.start()

    assert task.done
    with pytest.raises(FaultError) as caught:
        task.result()
    assert (caught.value.fault.kind, caught.value.fault.retry_after) == (FaultKind.UNAVAILABLE, 1.0)


def test_a_task_for_which_there_are_no_descriptors_says_so():
    with no_more_descriptors(), pytest.raises(FaultError) as caught:
        Task(int)

    assert (caught.value.fault.kind, caught.value.fault.retry_after) == (FaultKind.UNAVAILABLE, 1.0)


def test_another_failure_to_make_a_socket_is_no_fault_of_ours(monkeypatch):
    def refuse():
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(socket, "socketpair", refuse)
    with pytest.raises(OSError, match="Permission denied"):
        Task(int)
