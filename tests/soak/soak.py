"""Runs the soak: starts all, lets it run, ends all, and judges."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.soak.disturbances import Disturbances
from tests.soak.outcomes import Ledger, Windows
from tests.soak.report import Verdict, lost_results, problems_in_log, unslowed
from tests.soak.samples import IDLE, Sample, rest, sampled, trends
from tests.soak.served import Served, served, settled
from tests.soak.traffic import CLIENTS, Pacer, Scene
from tests.support.processes import PATIENCE, is_alive

REST = 60.0
"""Seconds after which nothing may be in flight any more, once all clients are gone."""


@dataclass(frozen=True)
class Options:
    """How long, how fast, and how rough."""

    seconds: float = 600.0
    rate: float = 50.0
    """Requests of talking clients in each second; the others come on top of them."""
    seed: int = 1
    reload_every: float = 60.0
    """Seconds between two reloads; 0 for none."""
    kills: int = 2
    interval: float = 5.0
    """Seconds between two samples of the processes."""
    rests: bool = True
    """Whether workers are measured once more when they have had nothing to do for a while."""
    log: Path | None = None
    """Where the log of the proxy is kept."""

    @property
    def warm_up(self) -> float:
        """The first two minutes, or the first fifth."""
        return min(120.0, self.seconds / 5)

    @property
    def minute(self) -> float:
        """The time of one round of outages, in seconds, after which comes a reload if there is one."""
        return self.reload_every or min(60.0, self.seconds / 4)

    @property
    def warm_up_of_worker(self) -> float:
        """The same for a worker, which has a life as long as the time between two reloads."""
        return self.reload_every / 3 or self.warm_up


def run(options: Options) -> Verdict:
    """Soak a proxy, and judge it."""
    ledger, windows = Ledger(), Windows(time.monotonic)
    samples: list[Sample] = []
    with TemporaryDirectory(prefix="soak-") as folder, served(Path(folder)) as found:
        over = threading.Event()
        scene = Scene(found, ledger, over, Pacer(options.rate, over), options.seed)
        disturbances = Disturbances(scene, windows, options.minute, options.kills, reloads=options.reload_every > 0)
        began = time.monotonic()
        with _threads(scene, disturbances, lambda: _watch(scene, samples, options.interval)):
            over.wait(options.seconds)
        seconds = time.monotonic() - began
        left = settled(found, REST)
        if left:
            ledger.problem(f"still in flight, {REST:.0f} s after all clients have left: {left}")
        resting: list[Sample] = []
        if options.rests:
            threading.Event().wait(IDLE)
            resting = sampled(found.pid, time.monotonic)
        for problem in _ended(found):
            ledger.problem(problem)
        if options.log is not None:
            options.log.write_text(found.run.said)
        for problem in problems_in_log(found.run.said, found.keys.values()):
            ledger.problem(problem)
        if "Error on request" in (said := (Path(folder) / "emulator.log").read_text()):
            ledger.problem(f"a defect of the emulator: {said[said.index('Error on request') :][:1500]}")
        pid = found.pid
    return Verdict(
        seconds, options.seed, ledger.outcomes, windows.all, disturbances.counts,
        [*trends(samples, pid, began + options.warm_up, worker_warm=options.warm_up_of_worker), *rest(resting, pid)],
        [*ledger.problems, *lost_results(ledger.outcomes), *unslowed(ledger.outcomes)], samples, began,
    )  # fmt: skip


@contextmanager
def _threads(scene: Scene, disturbances: Disturbances, watch: Callable[[], None]) -> Iterator[None]:
    """Run all clients and disturbances meanwhile. One that fails is a problem."""

    def guarded(work: Callable[[], None], name: str) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it was, the soak has not done what it had to do
            scene.ledger.problem(f"{name} has failed: {type(error).__name__}: {error}")

    works = [(disturbances.run, "disturbances"), (watch, "watch")]
    for work, count in CLIENTS:
        names = (f"{work.__name__} {number}" for number in range(count))
        works += [(lambda work=work, name=name: work(scene, name), name) for name in names]
    threads = [threading.Thread(target=guarded, args=pair, name=pair[1], daemon=True) for pair in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        scene.over.set()
        end = time.monotonic() + 2 * PATIENCE
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        for thread in threads:
            if thread.is_alive():
                scene.ledger.problem(f"{thread.name} does not end")


def _watch(scene: Scene, samples: list[Sample], interval: float) -> None:
    while True:
        samples += sampled(scene.served.pid, time.monotonic)
        if scene.over.wait(interval):
            return


def _ended(found: Served) -> Iterator[str]:
    """End the proxy, and see how it does that."""
    processes = [found.pid, *found.run.children()]
    found.run.process.terminate()
    status = found.run.process.wait(PATIENCE)
    if status:
        yield f"the proxy has ended with the exit status {status}"
    if left := [pid for pid in processes if is_alive(pid)]:
        yield f"processes that are still there: {left}"
