"""Threads that meet where a seed says, to see whether a lock is needed, and enough.

Threads that merely run at once hardly ever meet in the few instructions that a lock
guards, so a test that hammers passes without the lock as well. Here one thread runs at a
time, and after any instruction of the guarded file it may have to hand over to another,
as a seed says. With the lock the law holds for every seed; without it, some seed breaks it.
"""

import ast
import random
import sys
import threading
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_LOCKS = frozenset({"Lock", "RLock", "Condition", "Semaphore"})
_ENOUGH, _MOST = range(12), range(200)


class Stage:
    """Runs threads one at a time, and makes them hand over within *files* as *seed* says."""

    def __init__(self, files: Container[str], seed: int) -> None:
        self.files = files
        self.rng = random.Random(seed)
        self.turns: dict[int, threading.Semaphore] = {}
        self.living: list[int] = []
        self.me = threading.local()
        self.errors: list[BaseException] = []

    def run(self, tasks: Sequence[Callable[[], object]]) -> None:
        self.living = list(range(len(tasks)))
        self.turns = {number: threading.Semaphore(0) for number in self.living}
        threads = [threading.Thread(target=self.play, args=each) for each in enumerate(tasks)]
        for thread in threads:
            thread.start()
        self.turns[0].release()
        for thread in threads:
            thread.join(30)
        assert not any(isinstance(error, TimeoutError) for error in self.errors), self.errors

    def play(self, number: int, task: Callable[[], object]) -> None:
        self.me.number = number
        self.wait()
        before = sys.gettrace()
        sys.settrace(self.trace)
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - the test that started it looks at it
            self.errors.append(error)
        finally:
            sys.settrace(before)
            self.living.remove(number)
            if self.living:
                self.turns[self.rng.choice(self.living)].release()

    def trace(self, frame: FrameType, event: str, argument: object):
        if frame.f_code.co_filename not in self.files:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and self.rng.random() < 0.25:
            self.hand_over()
        return self.trace

    def hand_over(self) -> None:
        other = self.rng.choice(self.living)
        if other != self.me.number:
            self.turns[other].release()
            self.wait()

    def wait(self) -> None:
        if not self.turns[self.me.number].acquire(timeout=20):
            raise TimeoutError


class Lock:
    """A lock, and the condition of one, that hands over instead of blocking."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.held = False

    def acquire(self, blocking: bool = True) -> bool:
        while self.held and blocking:
            self.stage.hand_over()
        free, self.held = not self.held, True
        return free

    def release(self) -> None:
        self.held = False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()

    def wait_for(self, predicate: Callable[[], object], timeout: float | None = None) -> bool:
        while not predicate():
            self.release()
            self.stage.hand_over()
            self.acquire()
        return True

    def notify_all(self) -> None:
        """Who waits looks whenever it gets its turn."""


class NoLock(Lock):
    """A lock that somebody has removed."""

    def acquire(self, blocking: bool = True) -> bool:
        return True


@dataclass
class Scenario:
    """Something whose lock can be replaced, what threads do with it, and the law that must hold afterwards.

    *others* are locks that the guarded file takes as well: they stay, but hand over. *parts* are objects of other files
    that the lock guards.
    """

    owner: object
    lock: str
    tasks: list[Callable[[], object]]
    law: Callable[[], bool]
    others: Sequence[tuple[object, str]] = ()
    parts: Sequence[object] = ()


def is_enough(build: Callable[[], Scenario]) -> bool:
    """Whether the law holds with the lock."""
    return all(_holds(build, seed, Lock) for seed in _ENOUGH)


def is_needed(build: Callable[[], Scenario]) -> bool:
    """Whether some seed breaks the law without the lock."""
    return not all(_holds(build, seed, NoLock) for seed in _MOST)


def _holds(build: Callable[[], Scenario], seed: int, lock: type[Lock] | type[NoLock]) -> bool:
    scenario = build()
    files = {str(sys.modules[type(each).__module__].__file__) for each in (scenario.owner, *scenario.parts)}
    stage = Stage(files, seed)
    for owner, name in scenario.others:
        setattr(owner, name, Lock(stage))
    setattr(scenario.owner, scenario.lock, lock(stage))
    stage.run(scenario.tasks)
    return not stage.errors and scenario.law()


def locks_in(folder: Path) -> set[tuple[str, str]]:
    """Every lock that a class there keeps: the class, and the attribute."""
    found = set()
    for file in folder.rglob("*.py"):
        for each in ast.walk(ast.parse(file.read_text())):
            if isinstance(each, ast.ClassDef):
                found |= {(each.name, name) for name in _locks_of(each)}
    return found


def _locks_of(owner: ast.ClassDef) -> list[str]:
    return [
        target.attr
        for node in ast.walk(owner)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr in _LOCKS
        for target in node.targets
        if isinstance(target, ast.Attribute)
    ]
