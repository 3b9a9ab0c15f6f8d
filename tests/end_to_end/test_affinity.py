"""Long conversations keep their provider's prompt cache warm."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import emulator
from emulator import World
from emulator.world import tenant
from routing.endpoint import Endpoint
from routing.load_balancer import LoadBalancer
from routing.policy import Policy
from routing.strategy import SelectionContext
from tests.support.running import Cloud, Proxy, running_proxy

MODEL = "anthropic--claude-4.5-sonnet"
SUBACCOUNTS = ("eu", "us", "ap")
CONVERSATIONS = 20
TURNS = 4
BOOK = "All happy families are alike; each unhappy family is unhappy in its own way. " * 120


class Conversation:
    """A reader who asks about one long book, turn after turn."""

    def __init__(self, number: int) -> None:
        self.read = 0
        self.cacheable = 0
        self._number = number
        self._messages: list[dict[str, Any]] = []

    def take_a_turn(self, proxy: Proxy) -> None:
        """Ask once more; what a first turn writes could not have been read."""
        text = f"Reader {self._number}. {BOOK}"
        self._messages.append({"role": "user", "content": f"Reader {self._number}, and then?"})
        body = {
            "model": MODEL,
            "max_tokens": 200,
            "system": [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}],
            "messages": self._messages,
        }
        answer = proxy.ask("POST", "/v1/messages", body).json
        if len(self._messages) > 1:
            self.read += answer["usage"]["cache_read_input_tokens"]
            self.cacheable += answer["usage"]["cache_read_input_tokens"]
            self.cacheable += answer["usage"]["cache_creation_input_tokens"]
        self._messages.append({"role": "assistant", "content": answer["content"][0]["text"]})


def share_from_cache(strategy: str, folder: Path) -> float:
    """The share of the cacheable tokens of twenty conversations that came from a cache."""
    folder.mkdir()
    with emulator.serve(World(tuple(tenant(name, f"group-{name}", (MODEL,)) for name in SUBACCOUNTS))) as running:
        conversations = [Conversation(number) for number in range(CONVERSATIONS)]
        with running_proxy(Cloud(running.url), folder, routing={"strategy": strategy}) as proxy:
            for _ in range(TURNS):
                for conversation in conversations:
                    conversation.take_a_turn(proxy)
    return sum(each.read for each in conversations) / sum(each.cacheable for each in conversations)


def test_affinity_reads_nine_tenths_from_cache_where_round_robin_reads_a_third(tmp_path: Path) -> None:
    assert share_from_cache("cache-affinity", tmp_path / "affinity") >= 0.9
    assert share_from_cache("round-robin", tmp_path / "turns") <= 0.4


def test_no_subaccount_holds_more_than_a_quarter_above_its_share_in_flight() -> None:
    pool = [
        Endpoint(name, f"https://{name}/v2/inference/deployments/{number}", MODEL)
        for name in SUBACCOUNTS
        for number in range(2)
    ]
    balancer = LoadBalancer({MODEL: pool}, policy=Policy(strategy="cache-affinity"))
    held: Counter[str] = Counter()
    leases = []
    for number in range(300):
        lease = balancer.acquire(MODEL, context=SelectionContext(affinity_key=f"conversation {number % 40}"))
        leases.append(lease)
        held[lease.endpoint.subaccount] += 1

        assert max(held.values()) <= max(2, math.ceil(1.25 * (number + 1) / len(SUBACCOUNTS)))
