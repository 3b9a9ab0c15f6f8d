"""Log lines that go where somebody reads them, and nowhere else for long."""

import fcntl
import json
import logging
import os
import pty
import select
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.observability import log_writer
from gateway.observability.log_writer import LogWriter, set_up


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that takes one page."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, getattr(fcntl, "F_SETPIPE_SZ", 1031), 4096)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def logger_to(descriptor: int) -> tuple[logging.Logger, LogWriter]:
    writer = LogWriter(descriptor)
    logger = logging.Logger("test")  # noqa: LOG001 - one that nobody else knows
    logger.addHandler(writer)
    return logger, writer


def out_of_memory(*_: object) -> int:
    raise MemoryError


def test_a_record_is_one_line(pipe: tuple[int, int]) -> None:
    logger, writer = logger_to(pipe[1])
    logger.warning("a %s", "fault")
    logger.warning("\udc80")

    assert os.read(pipe[0], 4096) == b"a fault\n\\udc80\n"
    assert writer.dropped == 0


def test_a_pipe_that_nobody_reads_costs_lines_and_no_time_and_says_how_many(pipe: tuple[int, int]) -> None:
    logger, writer = logger_to(pipe[1])
    for number in range(100):
        logger.warning("%d %s", number, "x" * 100)
    kept = os.read(pipe[0], 65536).splitlines()

    assert 100 - len(kept) == writer.dropped > 0
    assert [f"{number} ".encode() for number in range(len(kept))] == [line[:-100] for line in kept]
    logger.warning("read again")
    said, last = os.read(pipe[0], 65536).splitlines()
    assert f"{writer.dropped} log lines were dropped: they could not be written".encode() == said
    assert last == b"read again"


def test_a_line_that_was_begun_ends_before_the_next_one(pipe: tuple[int, int]) -> None:
    logger, writer = logger_to(pipe[1])
    logger.warning("y" * 10_000)

    assert writer.dropped == 1
    begun = os.read(pipe[0], 65536)
    assert begun == b"y" * len(begun)
    logger.warning("whole")
    assert os.read(pipe[0], 65536).split(b"\n") == [
        b"",
        b"1 log lines were dropped: they could not be written",
        b"whole",
        b"",
    ]


def test_other_writers_to_the_same_pipe_block_as_before(pipe: tuple[int, int]) -> None:
    logger_to(pipe[1])

    assert os.get_blocking(pipe[1])


def test_a_pipe_without_a_reader_costs_lines() -> None:
    reader, end = os.pipe()
    logger, writer = logger_to(end)
    os.close(reader)
    logger.warning("unheard")
    os.close(end)

    assert writer.dropped == 1


def test_a_full_disk_costs_lines() -> None:
    with Path("/dev/full").open("wb") as full:
        logger, writer = logger_to(full.fileno())
        logger.warning("unwritten")

    assert writer.dropped == 1


def test_a_file_and_a_terminal_are_written_to(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        logger, _ = logger_to(file.fileno())
        logger.warning("to a file")
    ours, theirs = pty.openpty()
    logger, _ = logger_to(theirs)
    logger.warning("to a terminal")
    seen = b""
    while not seen.endswith(b"\n"):
        assert select.select([ours], [], [], 60)[0], seen
        seen += os.read(ours, 4096)
    for descriptor in (ours, theirs):
        os.close(descriptor)

    assert (tmp_path / "log").read_text() == "to a file\n"
    assert seen == b"to a terminal\r\n"


def test_a_record_that_cannot_be_formatted_is_a_line_too(pipe: tuple[int, int]) -> None:
    logger, _ = logger_to(pipe[1])
    logger.warning("%d", "no number")

    assert os.read(pipe[0], 4096) == b"a log record of test cannot be formatted\n"


def test_a_thread_that_logs_does_not_wait_for_another_ones_write(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, writer = logger_to(pipe[1])
    is_writing, goes_on = threading.Event(), threading.Event()
    write = os.write

    def slow(descriptor: int, data: bytes) -> int:
        is_writing.set()
        assert goes_on.wait(10)
        return write(descriptor, data)

    monkeypatch.setattr(log_writer.os, "write", slow)
    monkeypatch.setattr(log_writer, "_MOST_LINES", 2)
    first = threading.Thread(target=logger.warning, args=("first",))
    first.start()
    assert is_writing.wait(10)
    for line in ("second", "third", "too much"):
        logger.warning(line)
    assert writer.dropped == 1
    goes_on.set()
    first.join(10)
    said = b"1 log lines were dropped: they could not be written"

    assert os.read(pipe[0], 4096).splitlines() == [b"first", said, b"second", b"third"]


def test_whoever_logs_in_the_background_neither_formats_nor_writes(pipe: tuple[int, int]) -> None:
    logger, writer = logger_to(pipe[1])
    threads = list[threading.Thread]()

    class Argument:
        def __str__(self) -> str:
            threads.append(threading.current_thread())
            return "formatted"

    writer.begin_background(together=0.0)
    for number in range(3):
        logger.warning("%d %s", number, Argument())
    writer.end_background()
    logger.warning("and %s here again", Argument())

    expected = [b"0 formatted", b"1 formatted", b"2 formatted", b"and formatted here again"]

    assert os.read(pipe[0], 4096).splitlines() == expected
    assert [thread is threading.current_thread() for thread in threads] == [False] * 3 + [True]


def test_lines_that_come_soon_after_one_another_are_written_together(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread waits for an hour here, so whatever is written by then is written at the end."""
    logger, writer = logger_to(pipe[1])
    monkeypatch.setattr(log_writer, "_MOST_LINES", 2)
    writer.begin_background(together=3600.0)
    for line in ("first", "second", "too much"):
        logger.warning(line)
    assert not select.select([pipe[0]], [], [], 0)[0]
    writer.end_background()
    said = b"1 log lines were dropped: they could not be written"

    assert os.read(pipe[0], 4096).splitlines() == [said, b"first", b"second"]
    assert writer.dropped == 1


def test_a_writer_that_failed_once_writes_again(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    logger, _ = logger_to(pipe[1])
    with monkeypatch.context() as broken:
        broken.setattr(log_writer.os, "write", out_of_memory)
        with pytest.raises(MemoryError):
            logger.warning("lost")
    logger.warning("whole")

    assert os.read(pipe[0], 4096) == b"whole\n"


def test_a_filter_may_keep_a_record_back_or_replace_it(pipe: tuple[int, int]) -> None:
    logger, writer = logger_to(pipe[1])
    writer.addFilter(lambda record: record.msg != "secret")
    logger.warning("secret")
    logger.warning("open")

    assert os.read(pipe[0], 4096) == b"open\n"


def test_lines_say_when_they_were_made() -> None:
    with log_kept():
        writer = set_up("info")
    writer.formatter.converter = time.gmtime
    records = [
        logging.makeLogRecord({"name": "n", "levelname": "INFO", "msg": "m", "created": at, "msecs": at % 1 * 1000})
        for at in (0.25, 0.5, 61.0)
    ]

    assert [writer.format(record) for record in records] == [
        "1970-01-01 00:00:00,250 INFO n m",
        "1970-01-01 00:00:00,500 INFO n m",
        "1970-01-01 00:01:01,000 INFO n m",
    ]
    writer.close()


def test_lines_for_programs_are_objects() -> None:
    with log_kept():
        writer = set_up("info", "json")
    try:
        int("no")
    except ValueError:
        failed = sys.exc_info()
    told = {"name": "n", "levelname": "ERROR", "msg": "a\nb %d", "args": (1,), "created": 61.25, "exc_info": failed}
    of_fields = {
        "name": "n",
        "levelname": "INFO",
        "msg": "m",
        "created": 0.0,
        "fields": lambda: {"id": "r", "took": 1.5},
    }
    lines = [writer.format(logging.makeLogRecord(each)) for each in (told, of_fields)]
    first, second = map(json.loads, lines)
    writer.close()

    assert [line.count("\n") for line in lines] == [0, 0]
    assert first.pop("exception").endswith("'no'")
    assert first == {"time": "1970-01-01T00:01:01.250+00:00", "level": "error", "logger": "n", "message": "a\nb 1"}
    assert second == {"time": "1970-01-01T00:00:00.000+00:00", "level": "info", "logger": "n", "id": "r", "took": 1.5}


def test_what_was_dropped_is_told_as_an_object_too(pipe: tuple[int, int]) -> None:
    with log_kept():
        for_programs = set_up("info", "json")
    logger, writer = logger_to(pipe[1])
    writer.setFormatter(for_programs.formatter)
    for_programs.close()
    for _ in range(100):
        logger.warning("x" * 100)
    os.read(pipe[0], 65536)
    logger.warning("read again")
    said, last = map(json.loads, os.read(pipe[0], 65536).splitlines())

    assert said["message"] == f"{writer.dropped} log lines were dropped: they could not be written"
    assert last["message"] == "read again"


@contextmanager
def log_kept() -> Iterator[None]:
    """Put the log back as it was."""
    root, urllib3 = logging.getLogger(), logging.getLogger("urllib3")
    handlers, level, others = list(root.handlers), root.level, urllib3.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        urllib3.setLevel(others)


def test_the_log_is_set_up_once_however_often_that_is_asked_for() -> None:
    with log_kept():
        set_up("error")
        writer = set_up("debug")

        assert [writer] == [each for each in logging.getLogger().handlers if isinstance(each, LogWriter)]
        assert logging.getLogger().level == logging.DEBUG
        assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.ERROR)
