"""The examples that properties are tried with: what they depend on decides whether a failure can be seen again."""

import importlib.util
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def tried() -> list[str]:
    """Give the examples of a property."""
    seen: list[str] = []

    @settings(max_examples=300)
    @given(st.text())
    def keep(text: str) -> None:
        seen.append(text)

    keep()
    return seen


@pytest.fixture
def load(tmp_path):
    """Load a module of our own that says something."""
    loaded = []

    def load(said: object) -> None:
        path = tmp_path / "own.py"
        path.write_text(f"SAID = {said!r}\n")
        spec = importlib.util.spec_from_file_location("own_for_examples", path)
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])
        loaded.append(spec.name)

    yield load
    for name in loaded:
        del sys.modules[name]


def test_properties_are_tried_with_the_same_examples_whatever_is_loaded(load, pytestconfig):
    if pytestconfig.getoption("--hypothesis-profile") == "searching":
        pytest.skip("new examples are wanted")
    before = tried()
    load([f"word{number}" for number in range(500)])

    assert tried() == before
    assert len(set(before)) > 200
