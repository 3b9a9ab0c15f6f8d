"""The scenarios: pools, requests, and troubles."""

from collections.abc import Iterator
from dataclasses import dataclass

from simulation.upstream import Kind, RequestQuota, Trouble
from simulation.workloads import CHAT, EMBEDDINGS, REASONING, Workload

START = 45.0
"""The start of the trouble in seconds. Usual shares are measured before it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A pool and its requests with one kind of trouble."""

    name: str
    about: str
    layout: str
    """The pool, in the format of `upstream.places`."""
    workload: Workload
    rate: float
    """Requests per second."""
    troubles: tuple[Trouble, ...] = ()
    quotas: tuple[RequestQuota, ...] = ()
    start: float = START
    """The start of the trouble that is measured. Earlier troubles lead up to it."""
    steady: float = 0.0
    """The seconds that are measured in a scenario without troubles."""
    afterwards: float = 60.0
    """The seconds for which requests continue after the trouble."""
    spared: bool = False
    """Whether one subaccount is never in trouble, so that no client has to get an error."""
    is_even: bool = False
    """Whether requests arrive at equal intervals instead of random ones."""

    @property
    def measured(self) -> tuple[Trouble, ...]:
        """The troubles that are measured."""
        return tuple(each for each in self.troubles if each.start >= self.start)

    @property
    def troubled(self) -> tuple[str, ...]:
        """The endpoints in these troubles."""
        return tuple(dict.fromkeys(name for each in self.measured for name in each.at))

    @property
    def end(self) -> float:
        """The end of the trouble."""
        return max([self.start + self.steady, *(each.end for each in self.measured)])

    @property
    def until(self) -> float:
        """The time of the last request."""
        return self.end + self.afterwards


def _down(at: str, seconds: float, start: float = START) -> Trouble:
    return Trouble(Kind.DOWN, start, start + seconds, tuple(at.split()))


def _fails(at: str, seconds: float, start: float = START, chance: float = 1.0) -> Trouble:
    return Trouble(Kind.FAILS, start, start + seconds, tuple(at.split()), chance)


def _trouble(kind: Kind, at: str, seconds: float, factor: float = 1.0) -> Trouble:
    return Trouble(kind, START, START + seconds, tuple(at.split()), factor=factor)


def _flapping(at: str, down: float, up: float, times: int) -> Iterator[Trouble]:
    for number in range(times):
        yield _down(at, down, START + number * (down + up))


_TWO = "a1 b1"
_FOUR = "a1 a2 b1 b2"
_TEN = "a1 a2 a3 b1 b2 b3 c1 c2 d1 d2"


def _siblings(count: int, rate: float, name: str) -> Scenario:
    broken = " ".join(f"a{number + 1}" for number in range(count))
    return Scenario(
        name,
        f"All {count} endpoints of one subaccount fail for 60 s; two of another do not fail.",
        f"{broken} b1 b2",
        CHAT,
        rate,
        (_fails(broken, 60.0),),
        spared=True,
    )


SCENARIOS = (
    Scenario("steady", "No endpoint fails.", _FOUR, CHAT, 10.0, steady=120.0, afterwards=0.0, spared=True),
    Scenario("blip", "One endpoint of four is down for 1 s.", _FOUR, CHAT, 20.0, (_down("a1", 1.0),), spared=True),
    Scenario(
        "outage 15 s",
        "One endpoint of two is down for 15 s.",
        _TWO,
        EMBEDDINGS,
        20.0,
        (_down("a1", 15.0),),
        spared=True,
    ),
    Scenario(
        "outage 60 s",
        "One endpoint of four is down for 60 s.",
        _FOUR,
        CHAT,
        20.0,
        (_down("a1", 60.0),),
        afterwards=60.0,
        spared=True,
    ),
    Scenario(
        "failures 60 s",
        "One endpoint of four answers with errors for 60 s; answers in progress continue.",
        _FOUR,
        CHAT,
        20.0,
        (_fails("a1", 60.0),),
        afterwards=60.0,
        spared=True,
    ),
    Scenario(
        "outage 60 s (reasoning)",
        "One endpoint of four is down for 60 s; answers take 45 s.",
        _FOUR,
        REASONING,
        4.0,
        (_down("a1", 60.0),),
        afterwards=120.0,
        spared=True,
    ),
    Scenario(
        "outage of a subaccount",
        "Three endpoints of ten, one subaccount of four, are down for 60 s.",
        _TEN,
        CHAT,
        20.0,
        (_down("a1 a2 a3", 60.0),),
        afterwards=60.0,
        spared=True,
    ),
    Scenario("outage of all", "All four endpoints are down for 15 s.", _FOUR, CHAT, 10.0, (_down(_FOUR, 15.0),)),
    Scenario(
        "outage of all (reasoning)",
        "All four endpoints are down for 15 s; answers take 45 s.",
        _FOUR,
        REASONING,
        4.0,
        (_down(_FOUR, 15.0),),
        afterwards=120.0,
    ),
    _siblings(3, 10.0, "3 siblings"),
    _siblings(4, 10.0, "4 siblings"),
    _siblings(3, 1.0, "3 siblings (quiet)"),
    _siblings(4, 1.0, "4 siblings (quiet)"),
    Scenario(
        "30 % of one",
        "One endpoint of four fails 30 % of its requests for 60 s.",
        _FOUR,
        CHAT,
        10.0,
        (_fails("a1", 60.0, chance=0.3),),
        spared=True,
    ),
    Scenario(
        "30 % everywhere",
        "All four endpoints fail 30 % of their requests for 3 minutes.",
        _FOUR,
        CHAT,
        5.0,
        (_fails(_FOUR, 180.0, chance=0.3),),
    ),
    Scenario(
        "30 % everywhere (busy)",
        "All four endpoints fail 30 % of their requests for 20 s.",
        _FOUR,
        CHAT,
        100.0,
        (_fails(_FOUR, 20.0, 20.0, chance=0.3),),
        start=20.0,
        afterwards=0.0,
    ),
    Scenario(
        "hang",
        "One endpoint of four accepts requests for 60 s and never answers them.",
        _FOUR,
        CHAT,
        10.0,
        (_trouble(Kind.HANGS, "a1", 60.0),),
        afterwards=90.0,
        spared=True,
    ),
    Scenario(
        "cut streams",
        "One endpoint of four cuts all streams after their first words for 60 s.",
        _FOUR,
        CHAT,
        10.0,
        (_trouble(Kind.CUTS, "a1", 60.0),),
        afterwards=60.0,
        spared=True,
    ),
    Scenario(
        "flapping",
        "One endpoint of four is down for 5 s of every 15 s, eight times.",
        _FOUR,
        CHAT,
        10.0,
        tuple(_flapping("a1", 5.0, 10.0, 8)),
        afterwards=60.0,
        spared=True,
    ),
    Scenario(
        "healing",
        "One endpoint of four is down for 20 s, fails 60 % of its requests for 20 s, then 30 % for 20 s.",
        _FOUR,
        CHAT,
        10.0,
        (_down("a1", 20.0), _fails("a1", 20.0, START + 20.0, 0.6), _fails("a1", 20.0, START + 40.0, 0.3)),
        afterwards=60.0,
        spared=True,
    ),
    Scenario(
        "slow",
        "One endpoint of four is ten times slower for 2 minutes.",
        _FOUR,
        CHAT,
        10.0,
        (_trouble(Kind.SLOW, "a1", 120.0, factor=10.0),),
        spared=True,
    ),
    Scenario(
        "standby",
        "Both endpoints of the first tier are down for 60 s; the standby tier does not fail.",
        "a1 a2 | b1",
        CHAT,
        10.0,
        (_down("a1 a2", 60.0),),
        afterwards=60.0,
        spared=True,
    ),
    Scenario(
        "standby that broke before",
        "The standby tier was down when it was first needed; three minutes later the first tier is down for 60 s.",
        "a1 a2 | b1",
        CHAT,
        5.0,
        (_down("a1 a2", 2.0, 30.0), _down("b1", 15.0, 30.0), _down("a1 a2", 60.0, 210.0)),
        start=210.0,
        spared=True,
    ),
    Scenario(
        "quota",
        "Two endpoints share a quota of 120 requests per clock minute and get 146; refusals say when to retry.",
        "a1 a2",
        CHAT,
        146 / 60,
        quotas=(RequestQuota(120, ("a",)),),
        start=60.0,
        steady=300.0,
        afterwards=0.0,
        is_even=True,
    ),
    Scenario(
        "quota without hints",
        "The same; refusals do not say when to retry.",
        "a1 a2",
        CHAT,
        146 / 60,
        quotas=(RequestQuota(120, ("a",), hints=False),),
        start=60.0,
        steady=300.0,
        afterwards=0.0,
        is_even=True,
    ),
    Scenario(
        "rolling quota",
        "The same, with the quota for any 60 s; refusals say when to retry.",
        "a1 a2",
        CHAT,
        146 / 60,
        quotas=(RequestQuota(120, ("a",), rolling=True),),
        start=60.0,
        steady=300.0,
        afterwards=0.0,
        is_even=True,
    ),
    Scenario(
        "rolling quota without hints",
        "The same, with the quota for any 60 s; refusals do not say when to retry.",
        "a1 a2",
        CHAT,
        146 / 60,
        quotas=(RequestQuota(120, ("a",), rolling=True, hints=False),),
        start=60.0,
        steady=300.0,
        afterwards=0.0,
        is_even=True,
    ),
    Scenario(
        "quota of one subaccount",
        "Two endpoints share a quota of 120 requests a minute, two of another subaccount have none, and all get 292.",
        _FOUR,
        CHAT,
        292 / 60,
        quotas=(RequestQuota(120, ("a",)),),
        start=60.0,
        steady=300.0,
        afterwards=0.0,
        spared=True,
    ),
)
