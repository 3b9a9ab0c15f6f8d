"""Tokens, under a clock that is set and interleavings that are forced."""

import ssl
import threading
from contextlib import suppress

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.lifetime import Interest, Lifetime
from gateway.upstream.background import OUT_OF_DESCRIPTORS, Task
from gateway.upstream.tokens import NO_TOKEN_IN_TIME, Token, TokenSource, TokenState

LONG = 43199.0
PATIENCE = 30.0
GONE = Fault(FaultKind.UNREACHABLE, "gone", cause="it was refused")
REFUSED = Fault(FaultKind.REFUSED_CREDENTIALS, "refused")
FORBIDDEN = Fault(FaultKind.DEPLOYMENT_FORBIDDEN, "forbidden")


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Service:
    """Hands out t1, t2, …; stops in the middle of a fetch while its gate is closed."""

    def __init__(self, lifetime=LONG):
        self.lifetime = lifetime
        self.fetches = 0
        self.fault = None
        self.defect = None
        self.inside = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self):
        self.fetches += 1
        mine = self.fetches
        self.inside.release()
        assert self.gate.wait(PATIENCE)
        if self.defect:
            raise self.defect
        if self.fault:
            raise FaultError(self.fault)
        return Token(f"t{mine}", self.lifetime)


class Tasks:
    """Makes tasks, and can wait for those it has made."""

    def __init__(self):
        self.made = []

    def __call__(self, call):
        self.made.append(Task(call))
        return self.made[-1]

    def wait(self):
        for each in self.made:
            with suppress(FaultError):
                each.result()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def tasks():
    return Tasks()


@pytest.fixture
def source(service, clock, tasks):
    return TokenSource(service, clock=clock, rng=lambda: 0.0, new_task=tasks)


def test_a_token_is_fetched_once_and_kept_until_shortly_before_its_end(source, clock, tasks):
    first = source.token()
    clock.now += LONG - 300.1
    kept = source.token()
    clock.now += 0.2
    old = source.token()
    tasks.wait()

    assert (first, kept, old, source.token()) == ("t1", "t1", "t1", "t2")


@pytest.mark.parametrize(
    ("life", "chance", "early"),
    [
        (60.0, 0.0, 6.0),
        (300.0, 0.0, 30.0),
        (2999.0, 0.0, 299.9),
        (LONG, 0.0, 300.0),
        (LONG, 0.5, 330.0),
        (LONG, 1.0, 360.0),
    ],
)
def test_a_renewal_begins_a_tenth_of_the_life_early_or_5_to_6_minutes(clock, tasks, life, chance, early):
    """Short-lived tokens are not fetched for every request, and processes that started together renew theirs apart."""
    service = Service(life)
    source = TokenSource(service, clock=clock, rng=lambda: chance, new_task=tasks)
    source.token()
    clock.now += life - early - 0.01
    source.token()
    before = service.fetches
    clock.now += 0.02
    source.token()
    tasks.wait()

    assert (before, service.fetches) == (1, 2)


def test_all_who_have_no_token_wait_for_one_task(source, service):
    service.gate.clear()
    asked = [source.request() for _ in range(8)]
    service.gate.set()

    assert len({id(each) for each in asked}) == 1
    assert [each.result() for each in asked] == ["t1"] * 8
    assert (service.fetches, source.request()) == (1, "t1")


def test_a_token_can_be_waited_for_like_a_socket(source, service):
    service.gate.clear()
    task = source.request()
    lifetime, interest = Lifetime(60.0), Interest(task)
    before = lifetime.wait((interest,), 0.0)
    service.gate.set()

    assert ((), (interest,)) == (before, lifetime.wait((interest,), PATIENCE))
    assert task.result() == "t1"


def test_a_failed_fetch_is_told_to_all_who_waited(source, service):
    service.fault = GONE
    service.gate.clear()
    asked = [source.request() for _ in range(4)]
    service.gate.set()

    for each in asked:
        with pytest.raises(FaultError, match="gone"):
            each.result()
    assert service.fetches == 1


def test_a_failure_is_remembered_for_a_second_and_no_longer(source, service, clock):
    service.fault = GONE
    for _ in range(3):
        with pytest.raises(FaultError, match="gone"):
            source.token()
    before = service.fetches
    service.fault = None
    clock.now += 1.0

    assert (before, source.token(), service.fetches) == (1, "t2", 2)


@pytest.mark.parametrize(
    "defect", [KeyError("hunter2"), UnicodeError("hunter2"), ssl.SSLError("hunter2"), RecursionError("hunter2")]
)
def test_whatever_a_fetch_raises_is_a_fault_that_shows_no_secret_and_is_logged(source, service, clock, caplog, defect):
    service.defect = defect
    with pytest.raises(FaultError) as caught:
        source.token()
    state = source.state
    service.defect = None
    clock.now += 1.0

    said = f"The proxy could not request an access token for SAP AI Core: {type(defect).__name__}."
    assert (caught.value.fault, state.fault) == (Fault(FaultKind.SERVER_ERROR, said),) * 2
    assert "an access token could not be requested" in caplog.text
    assert source.token() == "t2"


def test_a_fetch_that_hangs_is_waited_for_within_a_limit_and_serves_whoever_comes_later(service, clock, tasks):
    source = TokenSource(service, clock=clock, limit=0.02, new_task=tasks)
    service.gate.clear()
    with pytest.raises(FaultError) as caught:
        source.token()
    service.gate.set()
    tasks.wait()

    assert caught.value.fault == NO_TOKEN_IN_TIME
    assert (source.token(), service.fetches) == ("t1", 1)


def test_the_log_says_once_why_there_is_no_token_until_there_was_one(service, clock, tasks, caplog):
    source = TokenSource(service, name="eu", clock=clock, new_task=tasks)
    outcomes = (GONE, GONE, None, GONE)
    for service.fault in outcomes:
        with suppress(FaultError):
            source.token()
        clock.now += LONG

    assert [each.getMessage() for each in caplog.records] == ["no access token for eu: gone: it was refused."] * 2


def test_while_one_task_renews_everybody_goes_on_with_the_old_token(source, service, clock, tasks):
    source.token()
    service.gate.clear()
    clock.now += LONG - 100

    assert [source.request() for _ in range(5)] == ["t1"] * 5
    service.gate.set()
    tasks.wait()
    assert (service.fetches, source.request()) == (2, "t2")


def test_a_renewal_that_fails_is_not_felt_and_not_tried_again_at_once(source, service, clock, tasks):
    source.token()
    service.fault = GONE
    clock.now += LONG - 100
    for _ in range(3):
        assert source.token() == "t1"
        tasks.wait()

    assert service.fetches == 2
    clock.now += 14.9
    assert source.token() == "t1"
    assert service.fetches == 2
    clock.now += 0.1
    assert source.token() == "t1"
    tasks.wait()
    assert service.fetches == 3
    clock.now += 100
    with pytest.raises(FaultError, match="gone"):
        source.token()


def test_a_renewal_that_failed_last_keeps_nobody_from_asking_once_the_token_has_expired(source, service, clock, tasks):
    source.token()
    service.fault = GONE
    clock.now += LONG - 3
    source.token()
    tasks.wait()
    service.fault = None
    clock.now += 3

    assert source.token() == "t3"


def test_a_renewal_for_which_there_are_no_descriptors_is_not_felt(service, clock):
    made = []

    def new_task(call):
        if made:
            raise FaultError(OUT_OF_DESCRIPTORS)
        made.append(Task(call))
        return made[0]

    source = TokenSource(service, clock=clock, new_task=new_task)
    source.token()
    clock.now += LONG - 100

    assert source.token() == "t1"
    clock.now += 100
    with pytest.raises(FaultError, match="descriptors"):
        source.token()


def test_a_task_that_got_no_thread_does_not_stand_in_the_way_of_the_next(service, clock, monkeypatch):
    source = TokenSource(service, clock=clock)

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(FaultError, match="thread"):
            source.token()

    assert source.token() == "t1"


def test_a_token_is_not_blamed_for_any_other_fault(source):
    token = source.token()

    assert not source.renew_after(GONE, token)
    assert token == source.token()


def test_a_refused_token_is_dropped_only_if_it_is_still_the_current_one(source):
    old = source.token()
    source.renew_after(REFUSED, old)
    new = source.token()
    source.renew_after(REFUSED, old)

    assert (old, new, source.token()) == ("t1", "t2", "t2")


def test_invalidating_before_the_first_token_does_nothing(source):
    source.renew_after(REFUSED, "t1")

    assert source.token() == "t1"


def test_a_token_that_was_refused_while_its_renewal_failed_does_not_come_back(source, service, clock, tasks):
    source.token()
    service.gate.clear()
    service.fault = GONE
    clock.now += LONG - 100
    source.request()
    source.renew_after(REFUSED, "t1")
    service.gate.set()
    tasks.wait()

    with pytest.raises(FaultError, match="gone"):
        source.request()


def test_a_fetch_that_ends_while_another_is_about_to_begin_is_enough(service, clock):
    """Between looking for a token and beginning to fetch one, somebody else's fetch brings one."""
    rival = []

    def new_task(call):
        if not rival:
            rival.append(None)
            rival[0] = source.token()
        return Task(call)

    source = TokenSource(service, clock=clock, new_task=new_task)

    assert (source.token(), rival, service.fetches) == ("t1", ["t1"], 1)


def test_a_task_that_begins_while_another_is_made_is_waited_for(service, clock):
    rival = []
    service.gate.clear()

    def new_task(call):
        if not rival:
            rival.append(None)
            rival[0] = source.request()
        return Task(call)

    source = TokenSource(service, clock=clock, new_task=new_task)
    task = source.request()
    service.gate.set()

    assert rival[0] is task
    assert (task.result(), service.fetches) == ("t1", 1)


def test_what_is_known_of_a_token_can_be_asked_without_waiting(source, service, clock, tasks):
    states = [source.state]
    service.fault = GONE
    with suppress(FaultError):
        source.token()
    states.append(source.state)
    clock.now += 60
    states.append(source.state)
    service.fault = None
    source.token()
    states.append(source.state)
    clock.now += LONG - 100
    service.fault = GONE
    source.token()
    tasks.wait()
    states.append(source.state)
    clock.now += 100
    states.append(source.state)

    assert states == [
        TokenState(good=False, fault=None),
        TokenState(good=False, fault=GONE),
        TokenState(good=False, fault=GONE),
        TokenState(good=True, fault=None),
        TokenState(good=True, fault=GONE),
        TokenState(good=False, fault=GONE),
    ]


def test_the_seconds_that_a_token_has_left_fall_to_zero_and_are_none_without_one(source, clock):
    left = [source.seconds_left]
    source.token()
    for seconds in (0.0, 100.0, LONG):
        clock.now += seconds
        left.append(source.seconds_left)

    assert left == [0.0, LONG, LONG - 100.0, 0.0]


def test_a_fetch_is_waited_for_as_long_as_it_may_last_and_briefly_by_whoever_comes_later(source, service, clock):
    service.gate.clear()
    task = source.request()
    waits = []
    for seconds in (0.0, 2.0, 2.75, 60.0):
        clock.now += seconds
        waits.append((source.patience(5.0), source.patience(0.25)))
    service.gate.set()
    task.result()

    assert waits == [(5.0, 0.25), (3.0, 0.25), (0.5, 0.25), (0.5, 0.25)]


def test_once_a_fetch_has_failed_the_next_ones_are_waited_for_briefly(source, service, clock, tasks):
    service.fault = GONE
    with suppress(FaultError):
        source.token()
    service.fault = None
    service.gate.clear()
    clock.now += 60
    task = source.request()
    waits = [source.patience(5.0)]
    service.gate.set()
    task.result()
    source.renew_after(REFUSED, "t2")
    source.request()
    waits.append(source.patience(5.0))
    tasks.wait()

    assert waits == [0.5, 5.0]


def test_a_token_does_not_show_itself(clock):
    source = TokenSource(lambda: Token("hunter2", LONG), clock=clock)

    assert source.token() == "hunter2"
    assert "hunter2" not in repr(Token("hunter2", LONG)) + repr(vars(source))


def test_a_token_that_is_young_is_kept_where_only_an_old_one_is_to_be_dropped():
    clock, service = Clock(), Service()
    source = TokenSource(service, clock=clock)
    old = source.token()
    clock.now += 59
    said = [source.renew_after(FORBIDDEN, old)]
    kept = source.token()
    clock.now += 1
    said += [source.renew_after(FORBIDDEN, old), source.renew_after(FORBIDDEN, old)]

    assert (said, kept, source.token()) == ([False, True, True], "t1", "t2")
    assert [source.renew_after(FORBIDDEN, name) for name in ("t1", "t2")] == [True, False]
