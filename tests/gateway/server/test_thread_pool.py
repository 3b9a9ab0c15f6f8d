"""Threads that come with work and go without it."""

import threading
from collections.abc import Callable
from queue import Empty
from typing import Any

import pytest

from gateway.server.thread_pool import ThreadPool
from tests.gateway.server.serving import PATIENCE
from tests.support.processes import until


class Job:
    """A task that waits until it may end."""

    def __init__(self) -> None:
        self.begun, self.may_end, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.thread = ""

    def __call__(self) -> None:
        self.thread = f"{threading.get_ident()}"
        self.begun.set()
        self.may_end.wait(PATIENCE)
        self.ended.set()

    def end(self) -> None:
        self.may_end.set()
        assert self.ended.wait(PATIENCE)


def submitted(pool: ThreadPool, count: int) -> list[Job]:
    jobs = [Job() for _ in range(count)]
    for job in jobs:
        pool.submit(job)
    return jobs


def test_each_task_has_a_thread_of_its_own() -> None:
    pool = ThreadPool(8)
    jobs = submitted(pool, 5)

    assert all(job.begun.wait(PATIENCE) for job in jobs)
    assert 5 == pool.size == len({job.thread for job in jobs})
    for job in jobs:
        job.end()


def test_a_thread_that_is_free_is_used_again() -> None:
    """One that has just ended a task may not be free yet: then there are two."""
    pool, threads = ThreadPool(50), list[str]()
    for _ in range(50):
        [job] = submitted(pool, 1)
        assert job.begun.wait(PATIENCE)
        job.end()
        threads.append(job.thread)

    assert pool.size < 10
    assert len(set(threads)) < 10


def test_beyond_the_most_tasks_take_turns() -> None:
    pool = ThreadPool(2)
    jobs = submitted(pool, 4)
    assert all(job.begun.wait(PATIENCE) for job in jobs[:2])

    assert [job.begun.is_set() for job in jobs[2:]] == [False, False]
    jobs[0].end()
    assert jobs[2].begun.wait(PATIENCE)
    assert not jobs[3].begun.is_set()
    jobs[1].end()
    assert jobs[3].begun.wait(PATIENCE)
    assert pool.size == 2
    for job in jobs[2:]:
        job.end()


def test_threads_without_work_end() -> None:
    pool = ThreadPool(8, idle_seconds=0.01)
    for job in submitted(pool, 5):
        job.begun.wait(PATIENCE)
        job.end()

    assert until(lambda: pool.size == 0)
    [late] = submitted(pool, 1)
    assert late.begun.wait(PATIENCE)
    late.end()


def test_a_task_that_comes_while_a_thread_gives_up_waiting_is_run() -> None:
    """The thread has waited in vain, but its inbox was taken before it could say that it ends."""

    class Late:
        """An inbox whose time is up just when a task is on its way."""

        def __init__(self) -> None:
            self.given: list[Callable[[], None]] = []

        def put(self, task: Any) -> None:
            self.given.append(task)

        def get(self, timeout: float | None = None) -> Any:
            if timeout is not None:
                pool.submit(ran.append_now)
                raise Empty
            return self.given.pop()

    class Ran(list):
        def append_now(self) -> None:
            self.append("ran")

    ran = Ran()
    pool = ThreadPool(8)
    pool._size = 1
    task = pool._next(Late())  # type: ignore[arg-type]  # it behaves as an inbox does
    assert task is not None
    task()

    assert ran == ["ran"]
    assert pool.size == 1


@pytest.mark.parametrize("others", [0, 1])
def test_without_another_thread_a_task_waits_until_there_is_one(others: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ThreadPool(8)
    busy = submitted(pool, others)
    assert all(job.begun.wait(PATIENCE) for job in busy)
    tries: list[int] = []

    def refuse(_: threading.Thread) -> None:
        tries.append(pool.size)
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        [late] = submitted(pool, 1)
        assert until(lambda: tries)

    assert late.begun.wait(PATIENCE)
    assert others + 1 == tries[0] == pool.size
    for job in [*busy, late]:
        job.end()


def test_whoever_submits_a_task_does_not_wait_for_a_thread_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, may_start = ThreadPool(8), threading.Event()
    really_start = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        may_start.wait(PATIENCE)
        really_start(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    [job] = submitted(pool, 1)
    assert not job.begun.is_set()
    may_start.set()

    assert job.begun.wait(PATIENCE)
    job.end()


def test_a_pool_that_is_closed_starts_no_more_threads() -> None:
    before = {*threading.enumerate()}
    pool = ThreadPool(8)
    [starter] = [thread for thread in {*threading.enumerate()} - before if thread.name == "starter"]
    pool.close()
    assert until(lambda: not starter.is_alive())
    [job] = submitted(pool, 1)

    assert not job.begun.is_set()
    assert pool.size == 0
