"""The events that a dashboard gets, and when."""

import json
from typing import Any

import pytest

from dialects.core.faults import FaultError
from gateway.requests.lifetime import Lifetime
from gateway.server.state_feed import MOST_STREAMS, StateFeed, StateStream

Event = tuple[str, dict[str, Any]]


def events_in(sent: bytes) -> list[Event]:
    found = []
    for block in sent.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


class Scene:
    """A feed of a state that the tests set, by a clock that they set."""

    def __init__(self) -> None:
        self.time = 1_800_000_030.0  # half a minute is over
        self.looks = 0
        self.is_ending = False
        self.state: dict[str, Any] = {
            "endpoints": [{"deployment": "d1", "standing": "ready", "latency": 1.0, "seconds": 0}],
            "decisions": [],
        }
        self.hours = 0
        clock = lambda: self.time  # noqa: E731
        self.feed = StateFeed(self.find, self.hour, lambda: self.is_ending, now=clock, clock=clock)

    def find(self) -> dict[str, Any]:
        self.looks += 1
        return {**self.state, "at": self.time, "endpoints": [{**each} for each in self.state["endpoints"]]}

    def hour(self) -> dict[str, Any]:
        self.hours += 1
        return {"hour": self.hours}

    def watch(self, *, may_change: bool = False) -> StateStream:
        return self.feed.watch(Lifetime(600.0), may_change=may_change)

    def decides(self, *ids: str) -> None:
        """Put decisions in front of those that are known."""
        self.state["decisions"] = [{"id": each, "at": 1.0, "worker": 1} for each in ids] + self.state["decisions"]

    def later(self, seconds: float, *streams: StateStream) -> list[list[Event]]:
        """Let so many seconds pass, and give what each stream sends then."""
        self.time += seconds
        self.feed.look()
        return [events_in(each.check()) for each in streams]


def test_a_stream_begins_with_the_last_hour_and_the_whole_state() -> None:
    scene = Scene()
    scene.decides("r2", "r1")
    first = next(scene.watch(may_change=True))

    assert first.startswith(b"retry: 1000\n\n")
    assert events_in(first) == [("history", {"hour": 1}), ("state", {**scene.find(), "may_change": True})]


def test_a_state_that_has_changed_is_sent_within_a_second_and_not_sent_twice() -> None:
    scene = Scene()
    stream = scene.watch()
    next(stream)
    scene.state["endpoints"][0]["standing"] = "open"
    [too_early], [changed], [unchanged] = (scene.later(seconds, stream) for seconds in (0.5, 0.5, 1.0))

    assert too_early == []
    assert [(name, state["endpoints"][0]["standing"]) for name, state in changed] == [("state", "open")]
    assert unchanged == []


def test_what_changes_with_the_time_alone_is_sent_every_15_seconds() -> None:
    scene = Scene()
    stream = scene.watch()
    next(stream)
    scene.state["endpoints"][0] |= {"latency": 0.5, "seconds": 7}
    sent = [scene.later(1.0, stream)[0] for _ in range(15)]

    assert [bool(each) for each in sent] == [False] * 14 + [True]
    assert sent[-1][0][1]["endpoints"][0]["latency"] == 0.5


def test_each_decision_is_sent_once_to_each_stream() -> None:
    scene = Scene()
    scene.decides("r1")
    early = scene.watch()
    next(early)
    scene.decides("r3", "r2")
    [sent] = scene.later(1.0, early)
    late = scene.watch()
    [_, (_, first_of_late)] = events_in(next(late))
    scene.decides("r4")
    of_both = scene.later(1.0, early, late)

    assert [each["id"] for each in sent[0][1]["decisions"]] == ["r3", "r2"]
    assert [each["id"] for each in first_of_late["decisions"]] == ["r3", "r2", "r1"]
    assert [[each["id"] for each in sent[0][1]["decisions"]] for sent in of_both] == [["r4"], ["r4"]]


def test_a_decision_of_a_worker_that_comes_late_is_sent_though_newer_ones_were() -> None:
    scene = Scene()
    scene.decides("newer")
    stream = scene.watch()
    next(stream)
    scene.state["decisions"] = [*scene.state["decisions"], {"id": "older", "at": 0.5, "worker": 2}]
    [sent] = scene.later(1.0, stream)

    assert [each["id"] for each in sent[0][1]["decisions"]] == ["older"]


def test_the_last_hour_is_sent_again_three_seconds_after_a_step_has_ended() -> None:
    """By then every worker has published what happened in that step."""
    scene = Scene()
    stream = scene.watch()
    next(stream)
    names = []
    for _ in range(95):
        [sent] = scene.later(1.0, stream)
        names.append([name for name, _ in sent])

    assert [at + 1 for at, each in enumerate(names) if "history" in each] == [33, 93]


def test_all_streams_share_one_look_at_the_state_and_nobody_looks_while_nobody_watches() -> None:
    scene = Scene()
    streams = [scene.watch() for _ in range(3)]
    looks = scene.looks
    scene.later(1.0, *streams)
    assert scene.looks == looks + 1

    for stream in streams:
        stream.close()
    scene.later(60.0)

    assert scene.looks == looks + 1


def test_so_many_streams_may_be_open_and_a_closed_one_makes_room() -> None:
    scene = Scene()
    streams = [scene.watch() for _ in range(MOST_STREAMS)]
    with pytest.raises(FaultError) as refused:
        scene.watch()
    streams[0].close()
    scene.watch()

    assert (refused.value.fault.kind.value, refused.value.fault.retry_after) == ("unavailable", 5.0)


def test_a_stream_ends_as_soon_as_its_process_is_about_to_end() -> None:
    scene = Scene()
    stream = scene.watch()
    next(stream)
    scene.is_ending = True

    assert (stream.is_over, stream.check(), stream.is_over) == (False, b"", True)


def test_a_look_that_fails_ends_no_stream(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    stream = scene.watch()
    next(stream)
    found, scene.state = scene.state, {}
    [sent] = scene.later(1.0, stream)
    scene.state = {**found, "status": "ready"}

    assert sent == []
    assert [record.getMessage() for record in caplog.records] == [
        "the state cannot be found out for those who watch it"
    ]
    assert [name for name, _ in scene.later(1.0, stream)[0]] == ["state"]


def test_whoever_iterates_gets_the_same_events_and_the_end_when_the_client_leaves() -> None:
    """A server without a stream loop iterates in the thread of the request."""
    scene = Scene()
    lifetime = Lifetime(0.5, clock=lambda: scene.time)
    stream = scene.feed.watch(lifetime, may_change=False)
    next(stream)
    scene.state["status"] = "not ready"
    scene.time += 1.0

    assert events_in(next(stream))[0][1]["status"] == "not ready"
    assert [*stream] == []
