"""Pictures and documents in the place of the addresses that pointed at them."""

import base64
from functools import partial
from typing import Any

import pytest

import gateway.media.inline as inlining
from dialects.core.conversation import Conversation, Media, MediaKind, Message, Role, Text, ToolResult
from dialects.core.faults import FaultError, FaultKind, invalid
from dialects.interface import Envelope
from dialects.translator import ClientRequest
from gateway.media.inline import Fetched
from gateway.requests.lifetime import Lifetime
from gateway.requests.memory_budget import MemoryBudget

BYTES = b"\x89PNG"
DATA = base64.b64encode(BYTES).decode()
INLINE = Media(MediaKind.IMAGE, "image/png", data="AAAA")


def picture(url: str, mime: str = "") -> Media:
    return Media(MediaKind.IMAGE, mime, url=url, name="a", detail="high")


def client_request(*parts: Text | Media | ToolResult) -> ClientRequest:
    conversation = Conversation("m", messages=(Message(Role.USER, parts), Message(Role.ASSISTANT, (Text("so"),))))
    return ClientRequest("openai-chat", {"model": "m"}, Envelope("t", "m", 1, conversation))


def inline(asked: ClientRequest, fetch: Any, **more: int) -> ClientRequest:
    return inlining.inline(asked, fetch, Lifetime(60), **more)


def parts_of(asked: ClientRequest) -> tuple:
    return asked.envelope.conversation.messages[0].parts


class Shelf:
    """Gives the same bytes for every address, and notes which were asked for, and with how much room."""

    def __init__(self, mime: str = "image/png") -> None:
        self.asked: list[str] = []
        self.rooms: list[int] = []
        self._mime = mime

    def __call__(self, url: str, room: int, _: Lifetime) -> Fetched:
        self.asked.append(url)
        self.rooms.append(room)
        return Fetched(self._mime, BYTES)


@pytest.mark.parametrize("fetch", [None, Shelf()])
def test_an_inquiry_without_addresses_stays_as_it_is(fetch: Shelf | None) -> None:
    asked = client_request(Text("see"), INLINE, ToolResult("c", (Text("ok"), INLINE)))

    assert asked is inline(asked, fetch)


def test_bytes_stand_where_addresses_stood_also_within_results_and_all_else_stays() -> None:
    shelf = Shelf()
    asked = client_request(Text("see"), picture("http://a"), INLINE, ToolResult("c", (Text("ok"), picture("http://b"))))
    filled = inline(asked, shelf)

    carried = Media(MediaKind.IMAGE, "image/png", data=DATA, name="a", detail="high")
    assert parts_of(filled) == (Text("see"), carried, INLINE, ToolResult("c", (Text("ok"), carried)))
    assert shelf.asked == ["http://a", "http://b"]
    assert asked.envelope.conversation.messages[1] == filled.envelope.conversation.messages[1]


def test_an_address_that_a_model_gave_is_not_fetched() -> None:
    shelf = Shelf()
    messages = (Message(Role.USER, (picture("http://a"),)), Message(Role.ASSISTANT, (picture("http://b"),)))
    asked = ClientRequest("openai-chat", {"model": "m"}, Envelope("t", "m", 1, Conversation("m", messages=messages)))
    filled = inline(asked, shelf)

    assert shelf.asked == ["http://a"]
    assert messages[1] == filled.envelope.conversation.messages[1]
    assert [part for part in parts_of(filled) if part.url] == []


def test_a_body_whose_addresses_were_filled_in_is_not_passed_along_as_it_came() -> None:
    asked = client_request(picture("http://a"))

    assert asked.may_pass
    assert not inline(asked, Shelf()).may_pass


def test_an_address_that_is_named_twice_is_fetched_once() -> None:
    shelf = Shelf()
    filled = inline(client_request(picture("http://a"), picture("http://a")), shelf)

    assert shelf.asked == ["http://a"]
    assert [part.data for part in parts_of(filled)] == [DATA, DATA]


@pytest.mark.parametrize(
    ("said", "found", "mime"),
    [
        ("", "image/png", "image/png"),
        ("image/*", "image/webp", "image/webp"),
        ("*/*", "image/gif", "image/gif"),
        ("image/jpeg", "application/octet-stream", "image/jpeg"),
    ],
)
def test_the_callers_media_type_counts_if_it_is_one(said: str, found: str, mime: str) -> None:
    [part] = parts_of(inline(client_request(picture("http://a", said)), Shelf(found)))

    assert mime == part.mime


def test_without_a_fetcher_the_caller_is_told_what_to_send_instead() -> None:
    with pytest.raises(FaultError, match="base64 data, not as URLs"):
        inline(client_request(picture("http://a")), None)


@pytest.mark.parametrize(("count", "refused"), [(20, False), (21, True)])
def test_a_request_may_point_at_a_few_addresses(count: int, refused: bool) -> None:
    shelf = Shelf()
    asked = client_request(*(picture(f"http://{number}") for number in range(count)))
    if refused:
        with pytest.raises(FaultError, match="at most 20 URLs"):
            inline(asked, shelf)
    else:
        inline(asked, shelf)

    assert (0 if refused else count) == len(shelf.asked)


def test_all_addresses_of_a_request_share_the_room_and_each_takes_it_as_often_as_it_is_named() -> None:
    shelf = Shelf()
    named = [picture("http://a"), picture("http://b"), picture("http://b"), picture("http://c")]
    asked = client_request(*named, ToolResult("c", (picture("http://b"),)))
    inline(asked, shelf, most=100)

    assert len(BYTES) == 4
    assert shelf.rooms == [100, 96 // 3, 96 - 3 * 4]


def test_without_a_word_it_is_32_mebibytes() -> None:
    shelf = Shelf()
    inline(client_request(picture("http://a")), shelf)

    assert shelf.rooms == [32 * 1024 * 1024]


def test_memory_is_reserved_before_it_is_taken_and_a_request_without_room_is_refused() -> None:
    budget = MemoryBudget(4 * 1024 * 1024, 2 * 1024 * 1024)
    kept: list[int] = []

    def fetch(_: str, __: int, lifetime: Lifetime) -> Fetched:
        while True:
            lifetime.memory.take(100_000)
            kept.append(100_000)

    with pytest.raises(FaultError) as refusal:
        inlining.inline(client_request(picture("http://a")), fetch, Lifetime(60, memory=budget.share()))

    assert (refusal.value.fault.kind, sum(kept)) == (FaultKind.TOO_LARGE, 2_000_000)


def test_bytes_count_for_each_place_that_they_are_put_into() -> None:
    budget = MemoryBudget(4 * 1024 * 1024, 4 * 1024 * 1024)
    fetch = partial(Fetched, "image/png", b"x" * 200_000)
    inlining.inline(client_request(*[picture("http://a")] * 3), lambda *_: fetch(), Lifetime(60, memory=budget.share()))

    assert 4 * 600_000 <= budget.used < 4 * 600_000 + 65_536


def test_why_it_could_not_be_fetched_is_what_the_caller_hears() -> None:
    def fetch(url: str, _: int, __: Lifetime) -> Fetched:
        raise invalid(f"Cannot fetch {url}.")

    with pytest.raises(FaultError, match="Cannot fetch http://a"):
        inline(client_request(picture("http://a")), fetch)


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        ((picture("http://a"),), True),
        ((ToolResult("c", (picture("http://a"),)),), True),
        ((Text("http://a"), INLINE), False),
        ((), False),
    ],
)
def test_a_request_is_known_to_name_urls_before_anything_is_fetched(parts: tuple, names: bool) -> None:
    assert names == inlining.names_urls(client_request(*parts))
