"""Which deployment made which answer."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.requests.sticky_endpoints import StickyEndpoints
from routing.endpoint import Endpoint

EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", "gpt-5")
US = Endpoint("us", "https://us/v2/inference/deployments/d2", "gpt-5")


def test_an_answer_is_found_where_it_was_made() -> None:
    pins = StickyEndpoints()
    pins.remember("a", "r1", EU)
    pins.remember("a", "r2", US)

    assert (pins.find("a", "r1"), pins.find("a", "r2"), pins.find("a", "r3")) == (EU, US, None)


def test_an_answer_without_an_id_is_not_remembered() -> None:
    pins = StickyEndpoints()
    pins.remember("a", "", EU)

    assert pins.find("a", "") is None


def test_an_answer_made_anew_counts_as_new() -> None:
    pins = StickyEndpoints(most=2)
    for answer, endpoint in (("r1", EU), ("r2", EU), ("r1", US), ("r3", EU)):
        pins.remember("a", answer, endpoint)

    assert (pins.find("a", "r1"), pins.find("a", "r2"), pins.find("a", "r3")) == (US, None, EU)


@given(st.lists(st.sampled_from("abcdefgh")), st.integers(1, 5))
def test_the_latest_answers_are_known_and_no_others(answers: list[str], most: int) -> None:
    pins = StickyEndpoints(most)
    for answer in answers:
        pins.remember("a", answer, EU)
    latest = list(dict.fromkeys(reversed(answers)))[:most]

    assert {*latest} == {answer for answer in "abcdefgh" if pins.find("a", answer)}


def test_what_one_caller_was_answered_is_nothing_to_another() -> None:
    pins = StickyEndpoints()
    pins.remember("alice", "r1", EU)

    assert (pins.find("alice", "r1"), pins.find("bob", "r1")) == (EU, None)
