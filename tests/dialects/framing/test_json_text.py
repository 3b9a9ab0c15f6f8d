"""JSON is read strictly and written as it was, whatever the library underneath cannot hold."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.core.faults import FaultError, FaultKind
from dialects.framing.json_text import dumps, loads, object_around, object_from

INTEGERS = st.integers(-(10**40), 10**40)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@given(VALUES)
def test_what_is_written_is_read_as_it_was(value: Any) -> None:
    assert value == loads(dumps(value).encode())


@given(VALUES, st.sampled_from([None, 1, "\t"]), st.sampled_from([(",", ":"), (" , ", " : "), (",\r\n", ":\n")]))
def test_what_is_read_does_not_depend_on_white_space(value: Any, indent: Any, separators: tuple[str, str]) -> None:
    text = json.dumps(value, indent=indent, separators=separators)

    assert loads(text.encode()) == value


@pytest.mark.parametrize(
    "text", ["{}", " {} ", "[{}]", "[ 1, {}]", "[{},1]", "[{} ]", '{"a":{}}', '{"a" : {}, "b": 1}']
)
def test_a_long_integer_is_read_exactly_wherever_one_may_stand(text: str) -> None:
    for number in (2**64, -(2**63) - 1, 10**50):
        written = text.replace("{}", str(number), 1)

        assert loads(written.encode()) == json.loads(written)


@pytest.mark.parametrize(
    "said", ['"1234567890123456789012"', '"id_1234567890123456789012 "', "0.1234567890123456789012"]
)
def test_digits_that_are_no_integer_do_not_take_the_reader_that_nests_less_deeply(said: str) -> None:
    deep = '{"a":' * 1000 + said + "}" * 1000

    value = loads(deep.encode())
    for _ in range(1000):
        value = value["a"]

    assert value == json.loads(said)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 12345678901234567890123, -(10**30)])
def test_an_integer_of_any_length_keeps_its_last_digit(number: int) -> None:
    value = {"id": number, "said": "é \u2028"}

    assert value == loads(json.dumps(value).encode())
    assert value == json.loads(dumps(value))
    assert value == object_from(dumps(value))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff", b"NaN", b"1e999", b'["\\ud83d", NaN]', b'{"a": 1234567890123456789012, "b": NaN}']
)
def test_what_is_no_json_is_not_read(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (rb'"cut \ud83d"', "cut \ufffd"),
        (rb'"\ude00 cut"', "\ufffd cut"),
        (rb'"\uD83D\uD83D\uDE00"', "\ufffd\U0001f600"),
        (rb'"\ud83d \\ud83d \u00e9"', "\ufffd \\ud83d é"),
        (rb'{"\ud83d": [{"a": "\udc00"}]}', {"\ufffd": [{"a": "\ufffd"}]}),
        (rb'[12345678901234567890, "\ud83d", 0.1]', [12345678901234567890, "\ufffd", 0.1]),
        (b'"\xed\xa0\xbd"', "\ufffd"),
    ],
)
def test_half_of_a_surrogate_pair_is_read_as_the_replacement_character(text: bytes, value: Any) -> None:
    assert value == loads(text)


def test_control_characters_in_strings_are_read_as_they_stand() -> None:
    assert loads(b'["a\x01b", "c\nd\te"]') == ["a\x01b", "c\nd\te"]


def test_a_byte_order_mark_before_the_text_is_no_part_of_it() -> None:
    assert loads(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_arguments_of_a_call_hold_no_half_of_a_surrogate_pair() -> None:
    assert object_from('{"\\ud83d": "é\ud83d"}') == {"\ufffd": "é\ufffd"}
    assert object_around(r'["\ud83d"]') == {"arguments": ["\ufffd"]}
    assert object_around("half \ud83d") == {"arguments": "half \ufffd"}


def test_half_of_a_surrogate_pair_is_written_by_its_number() -> None:
    assert dumps("\ud83d") == r'"\ud83d"'


def test_what_is_nested_deeper_than_one_library_writes_is_written_by_the_other() -> None:
    value = nested(300)

    assert value == loads(dumps(value).encode())


def test_what_is_nested_too_deeply_to_write_is_the_callers_mistake() -> None:
    with pytest.raises(FaultError, match="nested too deeply") as caught:
        dumps(nested(100_000))

    assert FaultKind.INVALID_REQUEST is caught.value.fault.kind


def test_what_is_nested_too_deeply_to_read_is_no_json_for_us() -> None:
    deep = b'{"a":' * 1000 + b"12345678901234567890" + b"}" * 1000

    with pytest.raises(ValueError, match="nested too deeply"):
        loads(deep)
