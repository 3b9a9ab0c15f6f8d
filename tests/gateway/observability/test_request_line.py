"""The line of a request in the log of a person: what it says, in which order, and in which colours."""

import logging
import os
import pty
import re
from dataclasses import replace

import pytest

from dialects.core.conversation import Usage
from gateway.observability.log_writer import set_up, shows_colours
from gateway.observability.metrics import ExchangeRecord
from gateway.observability.request_line import RequestLine
from tests.gateway.observability.test_log_writer import log_kept

ANSWERED = ExchangeRecord(
    id="a802", caller="f77894fd", client="anthropic-messages", requested="claude-sonnet-4-6",
    model="anthropic--claude-4.6-sonnet", trail="eu/d245201ffe196835 ok", attempts=1, stop="end", first_content=0.0234,
    duration=1.2041, overhead=0.004, usage=Usage(fresh_input=2, output=9),
)  # fmt: skip
FAILED_OVER = replace(ANSWERED, trail="eu/d1 503 -> us/d7 ok", attempts=2)
FAILED = replace(
    ANSWERED, trail="eu/d1 429 -> us/d7 429", attempts=2, status=429, outcome="rate_limited", stop="",
    first_content=None, usage=Usage(),
)  # fmt: skip
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def columns(line: str) -> list[str]:
    """What of a line stands in columns of its own."""
    return re.split(r" {2,}| (?=\w+=)", line.partition(" client=")[0])


def test_a_line_begins_with_the_status_the_model_and_who_answered() -> None:
    assert columns(str(RequestLine(ANSWERED))) == [
        "200 anthropic--claude-4.6-sonnet eu/d245201ffe196835", "first=23ms", "total=1204ms", "in=2", "out=9",
        "stop=end", "asked=claude-sonnet-4-6",
    ]  # fmt: skip


def test_lines_of_models_with_names_of_any_length_stand_below_one_another() -> None:
    lines = [str(RequestLine(replace(ANSWERED, model=model))) for model in ("gpt-5", "anthropic--claude-4.6-sonnet")]

    assert len({line.index("eu/d245201ffe196835") for line in lines}) == 1
    assert len({line.index("total=") for line in lines}) == 1


def test_a_failure_says_what_it_was_before_all_figures() -> None:
    assert columns(str(RequestLine(FAILED)))[1:] == [
        "outcome=rate_limited", "first=-", "total=1204ms", "in=0", "out=0",
        "asked=claude-sonnet-4-6",
    ]  # fmt: skip


@pytest.mark.parametrize(("status", "shade"), [(200, "32"), (404, "33"), (499, "33"), (503, "31")])
def test_the_status_has_the_colour_of_its_class_on_a_terminal(status: int, shade: str) -> None:
    line = RequestLine(replace(ANSWERED, status=status)).text(coloured=True)

    assert line.startswith(f"\x1b[{shade}m{status} \x1b[0m")


def test_a_failover_is_seen_at_once_on_a_terminal() -> None:
    assert "\x1b[33meu/d1 503 -> us/d7  " in RequestLine(FAILED_OVER).text(coloured=True)
    assert "\x1b[33m" not in RequestLine(ANSWERED).text(coloured=True)
    assert "\x1b[33m" not in RequestLine(replace(FAILED_OVER, trail="eu/d1 ok x2", parts=2)).text(coloured=True)


@pytest.mark.parametrize("record", [ANSWERED, FAILED_OVER, FAILED])
def test_without_its_colours_a_line_is_the_same_everywhere(record: ExchangeRecord) -> None:
    assert COLOUR.sub("", RequestLine(record).text(coloured=True)) == str(RequestLine(record))
    assert COLOUR.search(str(RequestLine(record))) is None


def test_colours_are_for_terminals_whose_user_wants_them() -> None:
    main, terminal = pty.openpty()
    reader, pipe = os.pipe()
    wanted = [
        shows_colours(terminal, {}),
        shows_colours(terminal, {"NO_COLOR": "1"}),
        shows_colours(terminal, {"NO_COLOR": ""}),
        shows_colours(terminal, {"TERM": "dumb"}),
        shows_colours(pipe, {}),
        shows_colours(-1, {}),
    ]
    for each in (main, terminal, reader, pipe):
        os.close(each)

    assert wanted == [True, False, True, False, False, False]


def test_the_log_for_people_names_neither_level_nor_logger_of_a_request() -> None:
    with log_kept():
        writer = set_up("info")
    made = {"name": "n", "levelname": "INFO", "created": 0.0, "msecs": 0.0}
    line = writer.format(logging.makeLogRecord({**made, "msg": RequestLine(ANSWERED)}))
    writer.close()

    assert re.match(r"\d{4}-\d\d-\d\d \d\d:00:00,000 200 anthropic--claude-4\.6-sonnet eu/", line)
