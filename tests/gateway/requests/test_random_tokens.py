"""Random text for ids."""

import re
from concurrent.futures import ThreadPoolExecutor

from gateway.requests.random_tokens import RandomTokens


def test_no_two_tokens_are_the_same_however_many_threads_ask() -> None:
    tokens = RandomTokens()
    with ThreadPoolExecutor(4) as pool:
        given = [token for made in pool.map(lambda _: [tokens() for _ in range(1000)], range(4)) for token in made]

    assert len(set(given)) == 4000
    assert all(re.fullmatch("[0-9a-f]{24}", token) for token in given)


def test_two_processes_give_different_tokens() -> None:
    one, other = RandomTokens(), RandomTokens()

    assert {one() for _ in range(500)}.isdisjoint({other() for _ in range(500)})
