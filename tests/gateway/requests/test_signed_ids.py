"""Ids and signatures that say who made them: whoever has the key reads them, and nobody else writes them."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.requests.signed_ids import Signed, maker_of, read_id, read_thought, sign_id, sign_thought

KEY, OTHER_KEY = b"a key of ours", b"a key of theirs"
URL = "https://eu.example/v2/inference/deployments/d1"
MAKER = maker_of(KEY, URL)
ID = "resp_0123456789abcdef0123456789abcdef0123456789abcdef01"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

callers = st.text(st.characters(codec="utf-8"), max_size=20)
ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=80)
signatures = st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode())
kinds = pytest.mark.parametrize(
    ("sign", "read"), [(sign_id, read_id), (sign_thought, read_thought)], ids=["id", "signature"]
)

Sign = Callable[[bytes, bytes, str, str], str]
Read = Callable[[str], Signed | None]


@kinds
@given(caller=callers, text=st.one_of(ids, signatures))
@example(caller="", text="")
@example(caller="me", text="sap1")
def test_what_was_signed_is_read_as_it_was_made(sign: Sign, read: Read, caller: str, text: str) -> None:
    read_back = read(sign(KEY, MAKER, caller, text))

    assert read_back is not None
    assert (text, MAKER, True) == (read_back.text, read_back.maker, read_back.is_signed(KEY, caller))


@kinds
@given(caller=callers, other=callers, text=signatures)
def test_it_is_signed_for_one_caller_with_one_key(sign: Sign, read: Read, caller: str, other: str, text: str) -> None:
    read_back = read(sign(KEY, MAKER, caller, text))

    assert read_back is not None
    assert (caller == other) == read_back.is_signed(KEY, other)
    assert not read_back.is_signed(OTHER_KEY, caller)


@kinds
@given(st.data())
def test_any_letter_that_is_another_is_refused(sign: Sign, read: Read, data: st.DataObject) -> None:
    text = data.draw(signatures).rstrip("=").translate(str.maketrans("+/", "-_"))
    signed = sign(KEY, MAKER, "me", text)
    place = data.draw(st.integers(0, len(signed) - 1))
    letter = data.draw(st.sampled_from(LETTERS))
    changed = signed[:place] + letter + signed[place + 1 :]
    same = changed.translate(str.maketrans("-_", "+/")) == signed.translate(str.maketrans("-_", "+/"))
    read_back = read(changed)

    assert same == (read_back is not None and read_back.is_signed(KEY, "me"))


@kinds
@given(text=signatures, end=st.integers(1, 60))
def test_what_is_cut_or_made_longer_is_refused(sign: Sign, read: Read, text: str, end: int) -> None:
    signed = sign(KEY, MAKER, "me", text.rstrip("="))
    for changed in (signed[:-end], signed + "A" * end):
        read_back = read(changed)

        assert read_back is None or not read_back.is_signed(KEY, "me")


def test_an_id_is_no_signature_and_a_signature_no_id() -> None:
    """One must not be had for the other."""
    as_thought = read_thought(sign_id(KEY, MAKER, "me", "AAAA").removeprefix("resp_"))
    as_id = read_id("resp_" + sign_thought(KEY, MAKER, "me", "AAAA"))

    assert as_thought is not None
    assert as_id is not None
    assert (as_thought.is_signed(KEY, "me"), as_id.is_signed(KEY, "me")) == (False, False)


@given(signatures.filter(bool))
def test_a_signature_stays_base64_and_survives_clients_that_decode_it(text: str) -> None:
    signed = sign_thought(KEY, MAKER, "me", text)
    raw = base64.b64decode(signed, validate=True)
    for again in (base64.b64encode(raw), base64.urlsafe_b64encode(raw), base64.urlsafe_b64encode(raw).rstrip(b"=")):
        read_back = read_thought(again.decode())

        assert read_back is not None
        assert read_back.is_signed(KEY, "me")
        assert base64.b64decode(text) == base64.urlsafe_b64decode(
            read_back.text.rstrip("=").translate(str.maketrans("+/", "-_")) + "=" * (-len(text.rstrip("=")) % 4)
        )


def test_a_head_takes_thirty_two_letters_that_stand_in_a_path() -> None:
    signed = sign_id(KEY, MAKER, "me", ID)

    assert len(signed) == 5 + 32 + len(ID)
    assert set(signed) <= set(LETTERS)


def test_who_made_it_is_a_digest_that_takes_the_key() -> None:
    signed = sign_id(KEY, MAKER, "me", ID)

    assert len(MAKER) == 6
    assert maker_of(OTHER_KEY, URL) != MAKER
    assert maker_of(KEY, URL[:-1] + "2") != MAKER
    assert not any(word in signed for word in ("eu", "d1", "example"))


@pytest.mark.parametrize(
    "id", ["", "resp_", ID, "resp_sap1", "resp_sap1" + "ß" * 40, "sap1" * 20, "resp_sap2" + "A" * 90]
)
def test_what_has_another_form_is_not_ours(id: str) -> None:
    assert read_id(id) is None


@pytest.mark.parametrize("text", ["", "sap1", "gAAAAABm" * 9, "sap1" + "=" * 40, "sap1" + "A" * 27, "sap2" + "A" * 60])
def test_a_signature_of_another_form_is_not_ours(text: str) -> None:
    assert read_thought(text) is None


def test_an_id_of_any_length_is_not_looked_at() -> None:
    assert read_id(sign_id(KEY, MAKER, "me", "x" * 476)) is None
    assert read_id(sign_id(KEY, MAKER, "me", "x" * 475)) is not None
