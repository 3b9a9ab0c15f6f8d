"""Places for requests, and the room in which others wait for one."""

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from dialects.core.faults import FaultError, FaultKind
from gateway.http.admission import KEY_FULL, Admission, Place
from gateway.requests.lifetime import CLIENT_LEFT, Interest, Lifetime


class Meanwhile(Lifetime):
    """A lifetime in which something happens while the request waits for its turn; then its interests are looked at."""

    def __init__(self, happens: Callable[[], object] = lambda: None) -> None:
        super().__init__(600)
        self.happens = happens
        self.waits: list[float] = []

    def wait(self, interests: tuple[Interest, ...], seconds: float) -> tuple[Interest, ...]:  # type: ignore[override]
        self.waits.append(seconds)
        self.happens()
        return super().wait(interests, 0.0)


def leave() -> None:
    raise FaultError(CLIENT_LEFT)


def refused(admission: Admission, lifetime: Lifetime, caller: str = "b") -> FaultError:
    with pytest.raises(FaultError) as refusal:
        admission.enter(caller, lifetime)
    return refusal.value


def test_as_many_requests_work_at_once_as_there_are_places_and_nobody_waits() -> None:
    admission = Admission(2, 5, 10)
    lifetime = Meanwhile()

    places = [admission.enter("a", lifetime) for _ in range(2)]

    assert (lifetime.waits, admission.working, admission.in_room) == ([], 2, 0)
    for place in places:
        place.release()
    assert admission.working == 0


def test_a_place_that_comes_free_goes_to_the_request_that_waits() -> None:
    admission = Admission(1, 5, 10)
    first = admission.enter("a", Meanwhile())
    lifetime = Meanwhile(first.release)

    second = admission.enter("b", lifetime)

    assert (lifetime.waits, admission.working, admission.in_room) == ([10], 1, 0)
    second.release()
    assert admission.working == 0


def test_a_request_that_waits_too_long_is_told_when_to_come_back() -> None:
    admission = Admission(1, 5, 10)
    admission.enter("a", Meanwhile())

    fault = refused(admission, Meanwhile()).fault

    assert (fault.kind, fault.retry_after) == (FaultKind.UNAVAILABLE, 10)
    assert (admission.working, admission.in_room) == (1, 0)


def test_a_request_that_finds_the_room_full_is_refused_without_a_wait() -> None:
    admission = Admission(1, 0, 10)
    admission.enter("a", Meanwhile())
    lifetime = Meanwhile()

    fault = refused(admission, lifetime).fault

    assert (lifetime.waits, fault.kind, fault.retry_after) == ([], FaultKind.UNAVAILABLE, 10)


def test_a_client_that_leaves_while_it_waits_gives_its_seat_to_the_next() -> None:
    admission = Admission(1, 1, 10)
    first = admission.enter("a", Meanwhile())

    assert refused(admission, Meanwhile(leave)).fault == CLIENT_LEFT
    assert (admission.working, admission.in_room) == (1, 0)
    first.release()
    assert admission.working == 0


def test_a_client_that_leaves_when_a_place_has_just_become_its_own_hands_it_on() -> None:
    admission = Admission(1, 5, 10)
    first = admission.enter("a", Meanwhile())

    def leave_late() -> None:
        first.release()
        leave()

    assert refused(admission, Meanwhile(leave_late)).fault == CLIENT_LEFT
    assert admission.working == 0


def test_a_place_is_given_back_once_however_often_it_is_released() -> None:
    admission = Admission(2, 5, 10)
    kept, given = admission.enter("a", Meanwhile()), admission.enter("b", Meanwhile())

    given.release()
    given.release()

    assert admission.working == 1
    kept.release()


def test_callers_take_turns_however_many_requests_one_of_them_has_in_the_room() -> None:
    admission = Admission(1, 10, 10)
    served: list[str] = []
    held = [admission.enter("first", Meanwhile())]
    room = ["a", "a", "a", "b", "b", "c"]
    threads: list[threading.Thread] = []
    turns = threading.Semaphore(0)

    def ask(caller: str) -> None:
        place = admission.enter(caller, Lifetime(60))
        served.append(caller)
        held.append(place)
        turns.release()

    for number, caller in enumerate(room, 1):
        thread = threading.Thread(target=ask, args=(caller,))
        thread.start()
        threads.append(thread)
        _until(lambda number=number: admission.in_room == number)
    for _ in room:
        held.pop().release()
        assert turns.acquire(timeout=10)
    for thread in threads:
        thread.join(10)

    assert served == ["a", "b", "c", "a", "b", "a"]


def test_no_more_requests_work_than_may_and_none_is_forgotten() -> None:
    admission = Admission(3, 100, 60, per_caller=2)
    lock, inside, most, done = threading.Lock(), 0, 0, 0

    def work(place: Place) -> None:
        nonlocal inside, most, done
        with lock:
            inside += 1
            most = max(most, inside)
        with lock:
            inside -= 1
            done += 1
        place.release()

    def ask(caller: str) -> None:
        for number in range(50):
            lifetime = Lifetime(60) if number % 5 else Meanwhile(leave)
            with suppress(FaultError):
                work(admission.enter(caller, lifetime))

    threads = [threading.Thread(target=ask, args=(f"caller{number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert most <= 3
    assert done >= 16 * 40
    assert (admission.working, admission.in_room) == (0, 0)


def test_a_caller_that_has_all_of_its_own_places_is_refused_while_others_find_some() -> None:
    admission = Admission(4, 0, 10, per_caller=2)
    held = [admission.enter("a", Meanwhile()) for _ in range(2)]

    fault = refused(admission, Meanwhile(), "a").fault

    assert (fault.kind, fault.retry_after, fault.message) == (FaultKind.RATE_LIMITED, 10, KEY_FULL)
    others = [admission.enter("b", Meanwhile()) for _ in range(2)]
    assert refused(admission, Meanwhile(), "c").fault.kind is FaultKind.UNAVAILABLE
    for place in (*held, *others):
        place.release()
    assert admission.working == 0


def test_a_caller_that_has_all_of_its_own_places_waits_for_one_of_these() -> None:
    admission = Admission(4, 4, 10, per_caller=1)
    first = admission.enter("a", Meanwhile())
    lifetime = Meanwhile(first.release)

    second = admission.enter("a", lifetime)

    assert (lifetime.waits, admission.working, admission.in_room) == ([10], 1, 0)
    second.release()
    assert admission.working == 0


def test_a_caller_that_waits_for_its_own_places_keeps_nobody_from_a_free_one() -> None:
    admission = Admission(2, 4, 10, per_caller=1)
    held = {caller: admission.enter(caller, Meanwhile()) for caller in ("a", "b")}
    given: list[str] = []

    def meanwhile() -> None:
        held["b"].release()
        other = admission.enter("b", Meanwhile())
        given.append("b")
        other.release()

    fault = refused(admission, Meanwhile(meanwhile), "a").fault

    assert (fault.kind, given, admission.working) == (FaultKind.RATE_LIMITED, ["b"], 1)


def test_a_place_that_comes_free_passes_over_callers_that_have_all_of_their_own() -> None:
    admission = Admission(2, 4, 10, per_caller=1)
    of_a, of_b = admission.enter("a", Meanwhile()), admission.enter("b", Meanwhile())

    def meanwhile() -> None:
        """While one of a's waits first, one of c's waits behind it."""
        admission.enter("c", Meanwhile(of_b.release)).release()

    fault = refused(admission, Meanwhile(meanwhile), "a").fault

    assert (fault.kind, admission.working, admission.in_room) == (FaultKind.RATE_LIMITED, 1, 0)
    of_a.release()


def test_a_caller_has_its_share_of_the_room_and_no_more() -> None:
    admission = Admission(2, 2, 10, per_caller=1)
    place = admission.enter("a", Meanwhile())
    beside = Meanwhile()
    refused(admission, Meanwhile(lambda: refused(admission, beside, "a")), "a")

    assert beside.waits == []
    place.release()
    assert (admission.working, admission.in_room) == (0, 0)


def test_where_one_caller_may_have_all_places_it_is_told_that_there_are_none() -> None:
    admission = Admission(1, 0, 10, per_caller=5)
    admission.enter("a", Meanwhile())

    assert refused(admission, Meanwhile(), "a").fault.kind is FaultKind.UNAVAILABLE


def _until(holds: Callable[[], bool]) -> None:
    """Let other threads run until something holds."""
    pause = threading.Event()
    for _ in range(10_000):
        if holds():
            return
        pause.wait(0.001)
    raise AssertionError("it never came true")
