"""Fields of requests: what each reader takes, and what it says of anything else."""

import math

import pytest

from dialects.adapt import field_reader
from dialects.adapt.field_reader import FieldReader
from dialects.core.faults import FaultError

ANYTHING = (None, True, "", "a", 1, 1.5, 2.0, 1e300, 10**400, [], ["a"], {}, {"a": 1})
TAKEN = {
    "read_string": ("", "a"),
    "read_text": (None, "", "a"),
    "read_number": (None, 1, 1.5, 2.0, 1e300, 10**400),
    "read_whole_number": (None, 1, 2.0, 1e300, 10**400),
    "read_object": ({}, {"a": 1}),
    "read_list": ([], ["a"]),
}
WANTED = {
    "read_string": ["a string"],
    "read_text": ["a string"],
    "read_number": ["a number"],
    "read_whole_number": ["a number", "a whole number"],
    "read_object": ["an object"],
    "read_list": ["a list"],
}

FIELDS = {
    "text": (("", "a"), ""),
    "number": ((1, 1.5, 2.0, 1e300, 10**400), None),
    "integer": ((1, 10**400), None),
    "flag": ((True,), None),
    "array": (([], ["a"]), []),
}
"""Of each kind of field, what is taken as it is, and what stands for none."""
WANTED_OF_FIELD = {
    "text": "a string",
    "number": "a number",
    "integer": "a whole number",
    "flag": "true or false",
    "array": "a list",
}


def same(one, other):
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("reader", TAKEN)
def test_a_value_of_the_right_type_is_read_and_any_other_named_with_its_place(reader):
    read = getattr(field_reader, reader)
    for value in ANYTHING:
        if any(same(value, taken) for taken in TAKEN[reader]):
            assert ("" if reader == "read_text" and value is None else value) == read(value, "a.b[1]")
        else:
            with pytest.raises(FaultError) as refused:
                read(value, "a.b[1]")
            assert refused.value.fault.param == "a.b[1]"
            assert refused.value.fault.message in [f"a.b[1] must be {wanted}" for wanted in WANTED[reader]]


@pytest.mark.parametrize("kind", FIELDS)
def test_a_field_of_the_right_type_is_read_and_any_other_named_with_its_place(kind):
    taken, none = FIELDS[kind]
    for value in ANYTHING:
        read = getattr(FieldReader({"a": [{"b": value}]}).objects("a")[0], kind)
        if value is None or any(same(value, each) for each in taken):
            assert read("b") == (none if value is None else value)
            assert read("missing") == none
        else:
            with pytest.raises(FaultError) as refused:
                read("b")
            assert refused.value.fault.message == f"a[0].b must be {WANTED_OF_FIELD[kind]}"


def test_a_whole_number_may_be_written_with_a_point_but_is_read_as_what_it_is():
    whole = field_reader.read_whole_number(3.0, "n")

    assert (3, int) == (whole, type(whole))
    with pytest.raises(FaultError, match="n must be a whole number"):
        field_reader.read_whole_number(3.5, "n")
    with pytest.raises(FaultError, match="n must be a whole number"):
        field_reader.read_whole_number(math.inf, "n")


@pytest.mark.parametrize("value", [1e300, -1e300, 10**301, math.inf, math.nan])
def test_a_number_beyond_its_bound_is_none(value):
    with pytest.raises(FaultError, match="n must be a number"):
        field_reader.read_number(value, "n", below=1e300)


def test_an_object_knows_where_its_fields_stand():
    body = FieldReader({"a": {"b": [{"c": 1}, {"c": "x"}]}, "n": 0, "t": ["x", 1]})
    first, second = body.object("a").objects("b")

    assert (second.text("c"), body.object("none"), body.array("none")) == ("x", None, [])
    for read, message in [
        (lambda: first.text("c"), "a.b[0].c must be a string"),
        (lambda: FieldReader({"b": [1]}, "a").objects("b"), "a.b[0] must be an object"),
        (lambda: body.object("n"), "n must be an object"),
        (lambda: body.named("none"), "none must be a string that is not empty"),
        (lambda: body.count("n"), "n must be at least 1"),
        (lambda: body.texts("t"), "t must be a string or a list of strings"),
    ]:
        with pytest.raises(FaultError) as refused:
            read()
        assert (message, message.partition(" must")[0]) == (refused.value.fault.message, refused.value.fault.param)
