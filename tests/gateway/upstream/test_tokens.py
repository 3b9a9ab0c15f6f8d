"""Tokens, under a clock that is set and interleavings that are forced."""

import threading
from contextlib import nullcontext

import pytest

from dialects.faults import Fault, FaultError, FaultKind
from gateway.upstream.tokens import Token, TokenSource

LONG = 43199.0
PATIENCE = 5.0


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
        self.inside = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self._count = threading.Lock()

    def __call__(self):
        with self._count:
            self.fetches += 1
            mine = self.fetches
        self.inside.release()
        assert self.gate.wait(PATIENCE)
        if self.fault:
            raise FaultError(self.fault)
        return Token(f"t{mine}", self.lifetime)


class NoLock:
    """A lock that keeps nobody out."""

    def acquire(self, blocking=True):
        return True

    def release(self):
        pass

    def __enter__(self):
        return True

    def __exit__(self, *_):
        pass


class Ask(threading.Thread):
    """One caller in a thread of its own."""

    def __init__(self, source):
        super().__init__(daemon=True)
        self.source = source
        self.got = None
        self.start()

    def run(self):
        try:
            self.got = self.source.token()
        except FaultError as error:
            self.got = error.fault

    def result(self):
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.got


class WatchedLock:
    """A lock that says when somebody has to wait for it."""

    def __init__(self):
        self._lock = threading.Lock()
        self.waiting = threading.Semaphore(0)

    def acquire(self, blocking=True):
        if self._lock.acquire(blocking=False):
            return True
        if blocking:
            self.waiting.release()
            return self._lock.acquire()
        return False

    def release(self):
        self._lock.release()

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *_):
        self.release()


@pytest.fixture
def clock():
    return Clock()


def test_a_token_is_at_hand_from_its_fetch_until_it_expires_or_is_dropped():
    clock, service = Clock(), Service(lifetime=100.0)
    source = TokenSource(service, clock=clock)
    found = [source.has_token]
    token = source.token()
    found.append(source.has_token)
    clock.now += 99.9
    found.append(source.has_token)
    source.invalidate(token)
    found.append(source.has_token)
    source.token()
    clock.now += 100.0
    found.append(source.has_token)

    assert [False, True, True, False, False] == found
    assert 2 == service.fetches


def test_a_token_is_fetched_once_and_kept_until_shortly_before_its_end(clock):
    service = Service()
    source = TokenSource(service, clock=clock)

    first = source.token()
    clock.now += LONG - 300.1
    kept = source.token()
    clock.now += 0.2
    renewed = source.token()

    assert ("t1", "t1", "t2") == (first, kept, renewed)


@pytest.mark.parametrize("lifetime", [60.0, 300.0, 2999.0])
def test_a_short_lived_token_is_not_fetched_for_every_request(clock, lifetime):
    """A tenth of its life is leeway enough."""
    service = Service(lifetime)
    source = TokenSource(service, clock=clock)
    source.token()

    clock.now += lifetime * 0.9 - 0.01
    source.token()
    before = service.fetches
    clock.now += 0.02
    source.token()

    assert (1, 2) == (before, service.fetches)


def crowd(source, service, lock, size=8):
    """Let *size* callers ask while the first is in the middle of its fetch."""
    service.gate.clear()
    callers = [Ask(source)]
    assert service.inside.acquire(timeout=PATIENCE)
    callers += [Ask(source) for _ in range(size - 1)]
    for _ in range(size - 1):
        arrived = lock.waiting if isinstance(lock, WatchedLock) else service.inside
        assert arrived.acquire(timeout=PATIENCE)
    service.gate.set()
    return [caller.result() for caller in callers]


@pytest.mark.parametrize(("lock", "fetches"), [(WatchedLock, 1), (NoLock, 8)])
def test_all_who_have_no_token_wait_for_one_fetch(clock, lock, fetches):
    """Without the lock, the same crowd fetches eight times."""
    service = Service()
    source = TokenSource(service, clock=clock)
    source._fetching = lock()

    got = crowd(source, service, source._fetching)

    assert service.fetches == fetches
    assert len(set(got)) == fetches


@pytest.mark.parametrize(("lock", "fetches"), [(WatchedLock, 1), (NoLock, 8)])
def test_a_failed_fetch_is_told_to_all_who_waited(clock, lock, fetches):
    service = Service()
    service.fault = Fault(FaultKind.UNREACHABLE, "gone")
    source = TokenSource(service, clock=clock)
    source._fetching = lock()

    got = crowd(source, service, source._fetching)

    assert got == [service.fault] * 8
    assert service.fetches == fetches


def test_a_failure_is_remembered_for_a_second_and_no_longer(clock):
    service = Service()
    service.fault = Fault(FaultKind.UNREACHABLE, "gone")
    source = TokenSource(service, clock=clock)

    for _ in range(3):
        with pytest.raises(FaultError):
            source.token()
    before = service.fetches
    service.fault = None
    clock.now += 1.0
    token = source.token()

    assert (1, "t2", 2) == (before, token, service.fetches)


def test_while_one_renews_the_others_go_on_with_the_old_token(clock):
    service = Service()
    source = TokenSource(service, clock=clock)
    source.token()
    service.inside.acquire()
    clock.now += LONG - 100
    service.gate.clear()

    leader = Ask(source)
    assert service.inside.acquire(timeout=PATIENCE)
    others = [Ask(source).result() for _ in range(4)]
    service.gate.set()

    assert ["t1"] * 4 == others
    assert "t2" == leader.result()
    assert "t2" == source.token()


def test_a_renewal_that_fails_is_not_felt_while_the_old_token_is_good(clock):
    service = Service()
    source = TokenSource(service, clock=clock)
    source.token()
    service.fault = Fault(FaultKind.UNREACHABLE, "gone")
    clock.now += LONG - 100

    assert ["t1"] * 3 == [source.token() for _ in range(3)]
    assert 2 == service.fetches

    clock.now += 100
    with pytest.raises(FaultError):
        source.token()


def test_a_refused_token_is_dropped_only_if_it_is_still_the_current_one(clock):
    service = Service()
    source = TokenSource(service, clock=clock)
    old = source.token()
    source.invalidate(old)
    new = source.token()

    source.invalidate(old)

    assert ("t1", "t2", "t2") == (old, new, source.token())


def test_a_token_that_is_young_is_kept_where_only_an_old_one_is_to_be_dropped(clock):
    source = TokenSource(Service(), clock=clock)
    old = source.token()
    clock.now += 59
    said = [source.invalidate(old, min_age=60)]
    kept = source.token()
    clock.now += 1
    said += [source.invalidate(old, min_age=60), source.invalidate(old, min_age=60)]

    assert ([False, True, True], "t1", "t2") == (said, kept, source.token())
    assert [True, False] == [source.invalidate(name, min_age=60) for name in ("t1", "t2")]


def test_invalidating_before_the_first_token_does_nothing(clock):
    source = TokenSource(Service(), clock=clock)
    source.invalidate("t1")

    assert "t1" == source.token()


class SlowlyCompared(str):
    """A token that hands over to another thread while it is compared."""

    __slots__ = ("meanwhile",)

    def __eq__(self, other):
        same = str.__eq__(self, other)
        self.meanwhile()
        return same

    __hash__ = str.__hash__


@pytest.mark.parametrize(("guard", "kept"), [(WatchedLock, "t2"), (nullcontext, "lost")])
def test_a_new_token_is_not_dropped_in_place_of_the_old_one(clock, guard, kept):
    """Between "is it still this one" and "drop it" a renewal arrives; without the guard, its token is lost."""
    service = Service()
    source = TokenSource(service, clock=clock)
    source._guard = guard()
    bad = SlowlyCompared("t1")
    bad.meanwhile = lambda: None
    service_call = source._fetch
    source._fetch = lambda: Token(bad, LONG)
    source.token()
    source._fetch = service_call
    service.fetches = 1
    clock.now += LONG - 100
    renewals = []

    def meanwhile():
        bad.meanwhile = lambda: None
        renewals.append(Ask(source))
        if guard is WatchedLock:
            assert source._guard.waiting.acquire(timeout=PATIENCE)
        else:
            renewals[0].result()

    bad.meanwhile = meanwhile
    source.invalidate("t1")
    renewals[0].result()

    assert (source._held.value if source._held else "lost") == kept


def test_a_token_does_not_show_itself(clock):
    source = TokenSource(lambda: Token("hunter2", LONG), clock=clock)
    source.token()

    assert "hunter2" not in repr(Token("hunter2", LONG)) + repr(source._held)
