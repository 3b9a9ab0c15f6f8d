"""Samples of py-spy, added up by part and by function."""

from pathlib import Path

import pytest

from benchmarks.hot_path import explained
from benchmarks.stacks import OTHER, PARTS, Frame, by_function, by_part, folded, profile_tables
from tests.support.sources import ROOT

CHECKOUT = Path("/src/gateway")
"""A checkout that is called like a part of it."""
SITE = "/venv/lib/python3.11/site-packages"
LIBRARY = "/usr/lib/python3.11"
THREAD = f"Thread._bootstrap ({LIBRARY}/threading.py)"
VIEW = f"chat ({CHECKOUT}/proxy_server.py)"
SEND = f"Connection.send ({CHECKOUT}/gateway/upstream/connection.py)"
LOADS = f"loads ({LIBRARY}/json/__init__.py)"
PARSE = f"parse_request ({CHECKOUT}/dialects/openai_chat/request_parser.py)"
HEADERS = f"Headers.get ({SITE}/werkzeug/datastructures/headers.py)"


def lines(*stacks: tuple[str, ...], count: int = 1) -> list[str]:
    return [f"{';'.join(stack)} {count}" for stack in stacks]


def test_a_sample_belongs_to_the_innermost_part_on_its_stack() -> None:
    """The standard library works for its caller; what Flask is asked by the view is Flask's."""
    stacks = folded(
        lines((THREAD, VIEW, PARSE, LOADS), (THREAD, VIEW, HEADERS), (THREAD, VIEW), (THREAD,), count=2), CHECKOUT
    )

    assert by_part(stacks) == {"dialects": 2, "Flask and werkzeug": 2, "the view": 2, OTHER: 2}


def test_more_special_parts_go_before_those_that_hold_them() -> None:
    paths = ("gateway/server/stream_loop.py", "gateway/server/worker.py", "gateway/requests/exchange.py")

    assert [Frame("f", path).part for path in paths] == [
        "streams to clients",
        "connections and threads",
        "request, attempts, stream",
    ]


def test_files_of_a_part_are_known_by_their_place_in_the_checkout_alone() -> None:
    [stack] = folded(lines((THREAD, f"f ({LIBRARY}/gateway/upstream/x.py)")), CHECKOUT)

    assert stack.part == OTHER


def test_a_function_that_calls_itself_is_counted_once_for_each_stack() -> None:
    stacks = folded(lines((VIEW, SEND, SEND), count=3) + lines((VIEW,)), CHECKOUT)
    own, whole = by_function(stacks)
    view, send = Frame("chat", "proxy_server.py"), Frame("Connection.send", "gateway/upstream/connection.py")

    assert own == {send: 3, view: 1}
    assert whole == {send: 3, view: 4}


def test_torn_frames_and_lines_are_left_out() -> None:
    torn = ["", " 9", f"{VIEW} many", f"__spec__ (__loader__);{VIEW};(py) 4", 'process 7:"sh;sh" 3']

    assert [(stack.frames, stack.samples) for stack in folded(torn, CHECKOUT)] == [
        ((Frame("chat", "proxy_server.py"),), 4)
    ]


def test_the_tables_have_the_shares_of_all_samples() -> None:
    written = profile_tables(folded(lines((VIEW, SEND), count=3) + lines((VIEW, PARSE, LOADS)), CHECKOUT), top=1)

    assert "| upstream call | 75.0% |\n| dialects | 25.0% |" in written
    assert written.endswith("| Connection.send (gateway/upstream/connection.py) | 75.0% | 75.0% |")


def test_each_part_that_is_ours_has_a_file() -> None:
    ours = ("gateway/", "dialects/", "routing/", "proxy_server")
    beginnings = [beginning for beginning, _ in PARTS if beginning.startswith(ours)]

    assert [each for each in beginnings if not list(ROOT.glob(f"{each}*"))] == []


@pytest.mark.parametrize(
    "said", ["Error: Permission Denied: Try running again", "Operation not permitted (os error 1)"]
)
def test_where_no_process_may_be_looked_into_the_ways_out_are_said(said: str) -> None:
    assert "ptrace_scope=0" in explained(said)
    assert "--cap-add=SYS_PTRACE" in explained(said)


def test_another_failure_of_the_sampler_is_said_in_its_own_words() -> None:
    assert explained("Sampling…\nError: No such process\n\n") == "py-spy failed: Error: No such process"
    assert explained("") == "py-spy failed: it printed nothing"
