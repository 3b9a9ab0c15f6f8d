"""Who made what a request brings along, and who may be sent it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dialects.core.conversation import Conversation, Family, Message, Role, Thinking
from gateway.requests.makers import Made, Makers, SigningKeys, derived_key
from routing.endpoint import Endpoint

EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", "gpt-5")
US = Endpoint("us", "https://us/v2/inference/deployments/d2", "gpt-5")
DERIVED = {"eu": derived_key("secret of eu"), "us": derived_key("secret of us")}
SIGNATURE = "gAAAAABm"


def makers(*served: Endpoint, keys: tuple[bytes, ...] = (), derived: dict[str, bytes] = DERIVED) -> Makers:
    return Makers(SigningKeys(keys, derived), lambda: [served or (EU, US)])


def brought(*thoughts: Thinking) -> Conversation:
    return Conversation("gpt-5", messages=(Message(Role.ASSISTANT, thoughts),))


def thought_of(
    family: Family | None = Family.OPENAI, by: Endpoint = EU, caller: str = "me", text: str = SIGNATURE
) -> Thinking:
    return Thinking(signature=makers().origin(by, caller).signature(text), family=family)


def test_every_process_with_the_same_secrets_finds_who_made_a_response() -> None:
    answer = makers().origin(US, "me").id("resp_1")
    made = makers().of_response(answer, "me")

    assert made is not None
    assert (made.text, made.endpoint) == ("resp_1", US)


@pytest.mark.parametrize("id", ["resp_1", "", 7, None, ["resp_1"]])
def test_a_response_that_was_not_signed_is_nobodys(id: object) -> None:
    assert makers().of_response(id, "me") is None


def test_a_response_of_another_caller_is_not_found() -> None:
    assert makers().of_response(makers().origin(US, "me").id("resp_1"), "you") is None


def test_of_a_response_whose_deployment_has_left_that_is_known() -> None:
    made = makers(EU).of_response(makers().origin(US, "me").id("resp_1"), "me")

    assert made is not None
    assert (made.text, made.endpoint) == ("resp_1", None)


def test_other_subaccounts_come_and_go_and_ids_stay() -> None:
    answer = makers(EU, derived={"eu": DERIVED["eu"]}).origin(EU, "me").id("resp_1")
    made = makers(EU, US).of_response(answer, "me")

    assert made is not None
    assert made.endpoint == EU


class Pool(list[Endpoint]):
    """Endpoints of a model, and how often they were all looked at."""

    looked = 0

    def __iter__(self) -> Iterator[Endpoint]:
        self.looked += 1
        return super().__iter__()


def test_endpoints_are_named_once_for_as_long_as_the_pools_stay() -> None:
    pool, origin = Pool((EU, US)), makers().origin(US, "me")
    asked = Makers(SigningKeys((), DERIVED), lambda: [pool])
    for number in range(9):
        assert asked.of_response(origin.id(f"resp_{number}"), "me") == Made(f"resp_{number}", US)
        assert asked.of_thoughts(brought(thought_of(by=EU)), "me").maker == EU

    assert pool.looked == 1


def test_what_joins_leaves_or_changes_is_known_at_once() -> None:
    pools = [(EU,)]
    asked, answer = Makers(SigningKeys((), DERIVED), lambda: list(pools)), makers().origin(US, "me").id("resp_1")
    seen = [asked.of_response(answer, "me")]
    moved = replace(US, resource_group="other")
    for served in ([(EU,), (US,)], [(EU,), (moved,)], [(EU,)]):
        pools[:] = served
        seen.append(asked.of_response(answer, "me"))

    assert seen == [Made("resp_1", None), Made("resp_1", US), Made("resp_1", moved), Made("resp_1", None)]
    assert seen[2] is not None
    assert seen[2].endpoint is moved


@pytest.mark.parametrize(
    ("before", "after", "is_known"),
    [
        ((b"old",), (b"new", b"old"), True),
        ((b"new", b"old"), (b"new",), True),
        ((b"old",), (b"new",), False),
        ((), (b"new",), False),
        ((b"old",), (), False),
    ],
    ids=["new key", "old key gone", "rotated at once", "first key", "key taken out"],
)
def test_keys_rotate_and_the_previous_one_is_accepted(
    before: tuple[bytes, ...], after: tuple[bytes, ...], is_known: bool
) -> None:
    origin = makers(keys=before).origin(US, "me")
    made = makers(keys=after).of_response(origin.id("resp_1"), "me")
    returned = makers(keys=after).of_thoughts(
        brought(Thinking(signature=origin.signature(SIGNATURE), family=Family.OPENAI)), "me"
    )

    assert is_known == (made is not None and made.endpoint == US)
    assert (US if is_known else None) == returned.maker


def test_without_thoughts_there_is_nothing_to_verify() -> None:
    assert not makers().of_thoughts(brought(), "me")


def test_encrypted_reasoning_of_openai_is_sent_only_where_it_was_made() -> None:
    thought = thought_of(by=EU)
    returned = makers().of_thoughts(brought(thought), "me")

    assert returned.maker == EU
    assert returned.verify_at(EU)(Family.OPENAI, thought.signature) == SIGNATURE
    assert returned.verify_at(US)(Family.OPENAI, thought.signature) is None


@pytest.mark.parametrize("family", [Family.CLAUDE, Family.GEMINI])
def test_a_signature_that_all_of_its_family_read_is_sent_everywhere_and_prefers_nobody(family: Family) -> None:
    thought = thought_of(family, by=EU)
    returned = makers(US).of_thoughts(brought(thought), "me")

    assert returned.maker is None
    assert returned.verify_at(US)(family, thought.signature) == SIGNATURE


@pytest.mark.parametrize("family", list(Family))
def test_a_signature_of_another_caller_is_not_sent(family: Family) -> None:
    thought = thought_of(family, caller="you")
    returned = makers().of_thoughts(brought(thought), "me")

    assert returned.maker is None
    assert [returned.verify_at(endpoint)(family, thought.signature) for endpoint in (EU, US)] == [None, None]


@pytest.mark.parametrize(
    ("family", "sent"), [(Family.OPENAI, None), (Family.CLAUDE, SIGNATURE), (Family.GEMINI, SIGNATURE)]
)
def test_a_signature_without_a_mac_is_sent_where_any_deployment_reads_it(family: Family, sent: str | None) -> None:
    returned = makers().of_thoughts(brought(Thinking(signature=SIGNATURE, family=family)), "me")

    assert returned.maker is None
    assert sent == returned.verify_at(EU)(family, SIGNATURE)


def test_reasoning_that_is_only_kept_gets_a_signed_empty_signature() -> None:
    thought = thought_of(text="")
    returned = makers().of_thoughts(brought(thought), "me")

    assert returned.maker == EU
    assert returned.verify_at(EU)(Family.OPENAI, thought.signature) == ""
    assert returned.verify_at(US)(Family.OPENAI, thought.signature) is None
    assert returned.verify_at(EU)(Family.OPENAI, "") is None


def test_of_several_makers_the_last_is_preferred() -> None:
    assert (
        makers().of_thoughts(brought(thought_of(by=EU), thought_of(by=US), thought_of(Family.CLAUDE, EU)), "me").maker
        == US
    )


def test_a_url_that_stands_under_two_names_is_one_maker() -> None:
    twin = Endpoint("eu", EU.url, "gpt-5-latest")
    thought = thought_of(by=EU)

    assert (
        makers(EU, twin).of_thoughts(brought(thought), "me").verify_at(EU)(Family.OPENAI, thought.signature)
        == SIGNATURE
    )


def test_so_many_signatures_that_nobody_served_has_made_are_tried_and_no_more() -> None:
    thoughts = [thought_of(Family.CLAUDE, US, text=f"{SIGNATURE}{number:04}") for number in range(1001)]
    returned = makers(EU).of_thoughts(brought(*thoughts, thought_of(Family.CLAUDE, EU)), "me")
    sent = [returned.verify_at(EU)(Family.CLAUDE, thought.signature) for thought in thoughts]

    assert [f"{SIGNATURE}{number:04}" for number in range(1000)] == sent[:1000]
    assert (sent[1000], returned.verify_at(EU)(Family.CLAUDE, thought_of(Family.CLAUDE, EU).signature)) == (
        None,
        SIGNATURE,
    )
