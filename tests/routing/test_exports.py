"""Everything that a caller of the package must be able to name is importable from it."""

import inspect
import typing
from collections.abc import Iterator

import pytest

import routing

TOLD = (
    "Fault FaultKind FaultError Quota EmbeddingsProtocol RoutingEvent EndpointState NoEndpointError Lifetime Unlisted"
)
NOT_FOR_CALLERS = {"Attempt", "Attempts", "Lease"}
"""Classes whose objects the package makes; nobody else calls their constructors."""


def parts(hint: object) -> Iterator[object]:
    """The types that a hint is made of, itself among them."""
    yield hint
    for part in typing.get_args(hint):
        for each in part if isinstance(part, list) else [part]:
            yield from parts(each)


def signatures(exported: object) -> Iterator[object]:
    """What is annotated: a function, or a class with its public methods, properties and fields."""
    yield exported
    if inspect.isclass(exported):
        for name, member in inspect.getmembers_static(exported):
            if not name.startswith("_") or (name == "__init__" and exported.__name__ not in NOT_FOR_CALLERS):
                unwrapped = member.__func__ if isinstance(member, classmethod | staticmethod) else member
                yield unwrapped.fget if isinstance(unwrapped, property) else unwrapped


def mentioned(exported: object) -> set[str]:
    """The project's own classes in the annotations of *exported*."""
    hints = [
        hint
        for each in signatures(exported)
        if inspect.isclass(each) or inspect.isfunction(each)
        for hint in typing.get_type_hints(each, localns=vars(routing)).values()
    ]
    classes = [each for hint in hints for each in parts(hint) if inspect.isclass(each)]
    ours = [each for each in classes if each.__module__.partition(".")[0] in {"routing", "dialects"}]
    return {each.__name__ for each in ours if not each.__name__.startswith("_")}


@pytest.mark.parametrize("exported", [getattr(routing, name) for name in routing.__all__])
def test_what_an_exported_name_takes_or_gives_is_exported_too(exported):
    assert mentioned(exported) - set(routing.__all__) == set()


def test_all_that_listeners_are_told_is_exported():
    told = {event.__name__ for event in parts(routing.RoutingEvent) if inspect.isclass(event)}

    assert told - set(routing.__all__) - {"UnionType"} == set()


@pytest.mark.parametrize("name", TOLD.split())
def test_what_is_told_and_raised_is_exported(name):
    assert name in routing.__all__
    assert hasattr(routing, name)


def test_no_module_is_exported_in_place_of_a_name():
    assert [name for name in routing.__all__ if inspect.ismodule(getattr(routing, name))] == []
