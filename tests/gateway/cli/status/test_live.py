"""The live view: what is read is shown, again and again, whatever happens meanwhile."""

from collections.abc import Iterable
from datetime import UTC, datetime

from gateway.cli.keyboard import Wake
from gateway.cli.running_proxy import RunningProxyError
from gateway.cli.status.live import watch
from gateway.cli.status.view import Snapshot
from gateway.cli.terminal import Space
from tests.gateway.cli.drawn import text_of
from tests.gateway.cli.status.states import STARTED, endpoint, snapshot, worker
from tests.gateway.cli.status.test_view import COOLDOWN, OPEN

AWAY = RunningProxyError("no proxy answers", "not reachable")
REFUSED = RunningProxyError("the proxy refuses the key", "refuses the key")


class Stage:
    """A terminal and a proxy that follow a script.

    Time of day passes by a second while it waits, and the clock by as much as it waits; by a second until a redraw.
    """

    def __init__(
        self, reads: Iterable[Snapshot | BaseException], wakes: Iterable[Wake | type[BaseException]] = ()
    ) -> None:
        self.reads = iter(reads)
        self.wakes = iter(wakes)
        self.space = Space(100, 30)
        self.shown: list[str] = []
        self.waited: list[float] = []
        self.seconds = 0.0

    def read(self) -> Snapshot:
        found = next(self.reads)
        if isinstance(found, BaseException):
            raise found
        return found

    def wait(self, seconds: float) -> Wake:
        self.waited.append(seconds)
        found = next(self.wakes, Wake.TIME_UP)
        if not isinstance(found, Wake):
            raise found
        self.seconds += seconds if found is Wake.TIME_UP else 1.0
        return found

    def play(self, frames: int, first: Snapshot | None = None) -> list[str]:
        """Watch until so many frames were shown; give them."""
        scripted = self.wait

        def wait(seconds: float) -> Wake:
            return scripted(seconds) if len(self.shown) < frames else Wake.QUIT

        watch(
            self.read,
            lambda drawing: self.shown.append(text_of(drawing, self.space.width)),
            lambda: self.space,
            wait,
            first or snapshot(),
            2.5,
            clock=lambda: self.seconds,
            now=lambda: datetime.fromtimestamp(STARTED + len(self.waited), UTC),
        )
        return self.shown


def head(frame: str) -> str:
    return frame.splitlines()[0]


def row(frame: str) -> str:
    """The line of the deployment d1, if it has one."""
    return next((" ".join(line.split()) for line in frame.splitlines() if " eu/d1 " in line), "")


def test_a_circuit_opens_a_cooldown_counts_down_and_all_heals() -> None:
    reads = [
        snapshot([endpoint(**OPEN)], at=61.0),
        snapshot([endpoint(**COOLDOWN)], at=62.0),
        snapshot([endpoint(**{**COOLDOWN, "seconds": 22.0})], at=63.0),
        snapshot([endpoint()], at=64.0),
    ]
    frames = Stage(reads).play(5)

    assert [head(frame)[:8].split()[1] for frame in frames] == ["well", "unwell", "unwell", "unwell", "well"]
    assert [row(frame) for frame in frames] == [
        "",
        "✗ eu/d1 gpt-5 circuit open 8 s: 5 failures",
        "✗ eu/d1 gpt-5 in cooldown 23 s: quota: rate_limited",
        "✗ eu/d1 gpt-5 in cooldown 22 s: quota: rate_limited",
        "",
    ]


def test_rates_are_of_the_last_ten_seconds() -> None:
    """However long it has been looked at; the first frame counts since the start."""

    def asked(at: float, count: int) -> Snapshot:
        return snapshot(at=at, workers=[worker(outcomes={"ok": count})])

    reads = [asked(61.0, 130), asked(65.0, 150), asked(70.0, 200), asked(75.0, 250), asked(81.0, 250)]
    frames = Stage(reads).play(6, asked(60.0, 100))

    assert [head(frame).split("worker  ")[1].partition("  ")[0] for frame in frames] == [
        "100 requests", "30 requests/s", "10 requests/s", "10 requests/s", "10 requests/s", "4.5 requests/s",
    ]  # fmt: skip


def test_a_proxy_that_goes_away_is_shown_as_it_was_until_it_is_back() -> None:
    back = snapshot(at=2.0, started=STARTED + 60)
    frames = Stage([AWAY, AWAY, REFUSED, back]).play(5)

    assert [head(frame).partition("  ")[0] for frame in frames] == [
        "✓ well",
        "✗ not reachable since 22:13:21 (0 s)",
        "✗ not reachable since 22:13:21 (1 s)",
        "✗ refuses the key since 22:13:21 (2 s)",
        "✓ well",
    ]


def test_a_proxy_that_was_started_again_counts_since_then() -> None:
    again = snapshot(at=2.0, started=STARTED + 60, workers=[worker(outcomes={"ok": 7})])
    frames = Stage([again]).play(2, snapshot(workers=[worker(outcomes={"ok": 100})]))

    assert "  7 requests  " in head(frames[1])


def test_another_size_is_drawn_at_once_and_reads_nothing() -> None:
    stage = Stage([], [Wake.REDRAW, Wake.REDRAW])
    frames = stage.play(3)

    assert len(set(frames)) == 1
    assert stage.waited == [2.5, 1.5]


def test_the_proxy_is_asked_when_the_interval_is_over_however_often_keys_are_pressed() -> None:
    again = [snapshot(at=at, workers=[worker(outcomes={"ok": int(at)})]) for at in (3.0, 6.0)]
    stage = Stage(again, [Wake.REDRAW] * 5)
    frames = stage.play(6, snapshot(at=0.0, workers=[worker(outcomes={"ok": 0})]))

    assert [head(frame).split("worker  ")[1].partition("  ")[0] for frame in frames] == [
        "0 requests", "0 requests", "0 requests", "1 requests/s", "1 requests/s", "1 requests/s",
    ]  # fmt: skip
    assert stage.waited == [2.5, 1.5, 0.5, 2.5, 1.5]


def test_ctrl_c_ends_it_quietly_also_while_it_reads() -> None:
    waits, reads = Stage([], [KeyboardInterrupt]), Stage([KeyboardInterrupt()])

    assert [len(stage.play(9)) for stage in (waits, reads)] == [1, 1]
