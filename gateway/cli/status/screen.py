"""What the command ``status`` draws of a view: one line of how it is, then what is wrong before what is well."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from gateway.cli.status.view import EndpointView, GroupView, Health, Row, Severity, View
from gateway.cli.terminal import Cell, Drawing, Mark, Space, joined, stacked, styled, table

_PHONE: Final = 40
_NARROW: Final = 60
_MEDIUM: Final = 100
_WIDE: Final = 110
_VERY_WIDE: Final = 150
"""How many columns a terminal has from which on tables have more of their own."""
_TALL: Final = 40
"""Lines from which on there is room for what is well."""
_MOST_DECISIONS: Final = 20
"""How many are shown where there is room for all."""
_BETWEEN: Final = 3
"""The lines that a table takes beside its rows: its headings, the rule, the line before."""
_HEALTH: Final = {
    Health.WELL: (Mark.OK, "bold green"),
    Health.UNWELL: (Mark.NOTE, "bold yellow"),
    Health.DOWN: (Mark.WRONG, "bold red"),
}
_SEVERITY: Final = {
    Severity.FINE: (Mark.OK, "dim"),
    Severity.ODD: (Mark.NOTE, "yellow"),
    Severity.BAD: (Mark.WRONG, "bold red"),
}
_R = TypeVar("_R")


class _Kind(Enum):
    MARK = "mark"
    TEXT = "text"
    """Shown as far as there is room."""
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class _Column(Generic[_R]):
    """A column: its heading, its cell in a row, and from how many columns of the terminal on it is shown."""

    heading: str
    cell: Callable[[_R], Cell]
    from_width: int = 0
    kind: _Kind = _Kind.NUMBER


def render(view: View, space: Space, *, zone: tzinfo | None = None, silence: str = "") -> Drawing:
    """Draw a view into a space; what there is no room for is counted.

    Times of day are of *zone*, or of this machine. *silence* says since when the proxy has not answered, if it does
    not: then this is what was known last.
    """
    head = [*_head(view, space, silence), _subaccounts(view, space)]
    seen = [each for each in view.endpoints if _is_worth_a_line(each, space)]
    decisions = view.decisions[: None if space.height else _MOST_DECISIONS]
    tables: list[_Table[Any]] = [
        _Table(_models(view, space), view.models, view.models, _is_fine),
        _Table(_endpoints(view, space), seen, view.endpoints, _is_fine),
        _Table(_decisions(space, zone), decisions, view.decisions),
    ]
    room = None if space.height is None else space.height - len(head) - _BETWEEN * len(tables)
    drawn = [each.drawn(space.width, lines) for each, lines in zip(tables, _shared(room, tables), strict=True)]
    return stacked(*head, *(part for each in drawn for part in ("", each)))


# The head


def _head(view: View, space: Space, silence: str) -> Iterable[Drawing]:
    mark, style = (Mark.WRONG, "bold red") if silence else _HEALTH[view.health]
    yield joined(
        [
            joined([mark.sign(is_utf=space.is_utf), styled(silence or view.health.word, style)], " "),
            f"sap-ai-proxy {view.version}" if space.width >= _MEDIUM else view.version,
            f"up {span(view.uptime)}",
            f"{view.workers} worker{'s' * (view.workers != 1)}",
            _measured(view, view.traffic.requests, "requests"),
            f"{view.in_flight} in flight",
        ]
    )
    yield joined([_load(view)])
    together = joined([styled(", ".join(view.problems), style)])
    lines = [together] if together.cell_len + 2 <= space.width else [styled(each, style) for each in view.problems]
    warnings = [styled(each, "yellow") for each in view.warnings]
    yield from (joined(["", each]) for each in (*_few(lines), *_few(warnings)) if each)


def _load(view: View) -> Cell:
    """Say what becomes of the requests."""
    traffic, tokens = view.traffic, view.traffic.tokens
    parts = [
        _measured(view, traffic.errors, "errors"),
        f"first word {_seconds(traffic.first_content)}",
        f"{_measured(view, tokens.prompt, 'tokens')} in {_measured(view, tokens.output, '')} out",
        f"{_share(traffic.cache_share)} cached",
    ]
    return styled("  " + "  ".join(parts), "dim")


def _measured(view: View, number: float, unit: str) -> str:
    """Write a count since the start as it is, and any other as so many in a second."""
    if view.since_start:
        return f"{_count(number)} {unit}".rstrip()
    return f"{_count(number / view.window)} {unit}/s".replace(" /s", "/s")


def _few(lines: Sequence[Cell], most: int = 3) -> Sequence[Cell]:
    """Give some lines, and say how many more there are."""
    return lines if len(lines) <= most else [*lines[: most - 1], styled(f"and {len(lines) - most + 1} more", "dim")]


def _subaccounts(view: View, space: Space) -> Drawing:
    """List the subaccounts in a line."""

    def entry(each: GroupView) -> Cell:
        parts: list[Cell] = [_SEVERITY[each.severity][0].sign(is_utf=space.is_utf), each.name]
        if space.width >= _NARROW:
            parts.append(styled(f"{each.available}/{each.endpoints}", "dim"))
        return joined(parts, " ")

    return joined([styled("  subaccounts", "dim"), *(entry(each) for each in view.subaccounts)], "   ")


# Tables


class _Table(Generic[_R]):
    """A table that can be cut to a number of lines.

    Of *every* row those in *rows* are drawn, the worst first; the others are counted in a last line. *is_fine* tells
    which rows nothing is wrong with, where that can be told.
    """

    def __init__(
        self,
        columns: Sequence[_Column[_R]],
        rows: Sequence[_R],
        every: Sequence[_R],
        is_fine: Callable[[_R], bool] | None = None,
    ) -> None:
        self._columns = columns
        self._rows = rows
        self._every = every
        self._is_fine = is_fine or (lambda _: True)
        self._says_well = is_fine is not None

    @property
    def lines(self) -> int:
        """How many lines below the headings it has if it is not cut."""
        return max(1, len(self._rows) + (len(self._rows) < len(self._every)))

    @property
    def urgent_lines(self) -> int:
        """How many lines it takes to show at least what is not fine."""
        return min(self.lines, 1 + sum(not self._is_fine(row) for row in self._rows))

    def drawn(self, width: int, lines: int) -> Drawing:
        """Draw as many *lines* below the headings."""
        columns = [each for each in self._columns if each.from_width <= width]
        kept = self._rows if lines >= self.lines else self._rows[: max(0, lines - 1)]
        rows = [[each.cell(row) for each in columns] for row in kept]
        left = len(self._every) - len(kept)
        if lines and (left or not rows):
            at = next(number for number, each in enumerate(columns) if each.kind is _Kind.TEXT)
            rows.append([styled(self._rest(left), "dim") if number == at else "" for number in range(len(columns))])
        return table(
            [each.heading for each in columns],
            rows,
            right=[each.heading for each in columns if each.kind is _Kind.NUMBER],
            cut=[each.heading for each in columns if each.kind is _Kind.TEXT],
            is_dense=True,
        )

    def _rest(self, left: int) -> str:
        """Say what has no line of its own: so many rows that are *left*, the last ones."""
        if not self._every:
            return "none so far"
        wrong = sum(not self._is_fine(row) for row in self._every)
        says = ", all well" if self._says_well and wrong <= len(self._every) - left else ""
        return f"and {left} more{says}" if left < len(self._every) else f"{left}{says}"


def _is_worth_a_line(endpoint: EndpointView, space: Space) -> bool:
    """Whether an endpoint gets a line: where room is scarce, if something is wrong; where there is more, if it is used.

    Those without one are ready, or drained on purpose.
    """
    if endpoint.severity is not Severity.FINE or endpoint.traffic.errors:
        return True
    return endpoint.asked > 0 and (space.height is None or space.height >= _TALL)


def _is_fine(each: EndpointView | GroupView) -> bool:
    return each.severity is Severity.FINE


def _shared(room: int | None, tables: Sequence[_Table[Any]]) -> Sequence[int]:
    """Share lines among tables fairly: what is wrong first, and whoever needs less leaves it to the others."""
    needs = [each.lines for each in tables]
    if room is None:
        return needs
    given = [0] * len(tables)
    for wanted in ([each.urgent_lines for each in tables], needs):
        for _ in range(min(max(0, room - sum(given)), sum(wanted) - sum(given))):
            given[min((at for at, most in enumerate(wanted) if given[at] < most), key=given.__getitem__)] += 1
    return given


def _models(view: View, space: Space) -> list[_Column[GroupView]]:
    return [
        _Column("", lambda each: _SEVERITY[each.severity][0].sign(is_utf=space.is_utf), kind=_Kind.MARK),
        _Column("model", lambda each: _named(each.name, each.severity), kind=_Kind.TEXT),
        _Column("up", lambda each: _of_all(each.available, each.endpoints)),
        _Column("strategy", lambda each: each.strategy, _VERY_WIDE, _Kind.TEXT),
        *_columns_of_traffic(view, (_WIDE, 0, _NARROW, _PHONE, _WIDE, _NARROW, _NARROW)),
    ]


def _endpoints(view: View, space: Space) -> list[_Column[EndpointView]]:
    return [
        _Column("", lambda each: _SEVERITY[each.severity][0].sign(is_utf=space.is_utf), kind=_Kind.MARK),
        _Column(
            "deployment", lambda each: _named(f"{each.subaccount}/{each.deployment}", each.severity), 0, _Kind.TEXT
        ),
        _Column("model", lambda each: each.model, 80, _Kind.TEXT),
        _Column("state", _state, 0, _Kind.TEXT),
        *_columns_of_traffic(view, (_VERY_WIDE, _WIDE, _WIDE, _WIDE, _VERY_WIDE, _VERY_WIDE, _VERY_WIDE)),
    ]


def _columns_of_traffic(view: View, from_widths: Iterable[int]) -> list[_Column[Any]]:
    """Give the columns that models and deployments have in common: counts since the start, or rates.

    Each is shown from so many columns of the terminal on.
    """
    time = 1.0 if view.since_start else view.window
    suffix = "" if view.since_start else "/s"

    def number(count: float) -> Cell:
        return _or_nothing(_count(count / time), count)

    def errors(count: float) -> Cell:
        return styled(_count(count / time), "red") if count else styled("-", "dim")

    columns: list[tuple[str, Callable[[Any], Cell]]] = [
        ("in flight", lambda each: _or_nothing(str(each.in_flight), each.in_flight)),
        ("requests" if view.since_start else "req/s", lambda each: number(each.traffic.requests)),
        ("errors" if view.since_start else "err/s", lambda each: errors(each.traffic.errors)),
        ("first word", lambda each: _or_nothing(_seconds(each.traffic.first_content), each.traffic.answers)),
        (f"in{suffix}", lambda each: number(each.traffic.tokens.prompt)),
        (f"out{suffix}", lambda each: number(each.traffic.tokens.output)),
        ("cached", lambda each: _or_nothing(_share(each.traffic.cache_share), each.traffic.cache_share)),
    ]
    return [_Column(heading, cell, width) for (heading, cell), width in zip(columns, from_widths, strict=True)]


def _decisions(space: Space, zone: tzinfo | None) -> list[_Column[Row]]:
    return [
        _Column("", lambda each: _mark_of(each).sign(is_utf=space.is_utf), kind=_Kind.MARK),
        _Column(
            "ended", lambda each: styled(f"{datetime.fromtimestamp(each['at'], zone):%H:%M:%S}", "dim"), 0, _Kind.MARK
        ),
        _Column("model", lambda each: each["model"] or each["requested"], _NARROW, _Kind.TEXT),
        _Column("decision", _path_of, 0, _Kind.TEXT),
        _Column("caller", lambda each: styled(each["caller"], "dim"), _WIDE, _Kind.TEXT),
        _Column("client", lambda each: styled(each["client"], "dim"), _WIDE, _Kind.TEXT),
        _Column("in", lambda each: _count(_prompt(each)), _WIDE),
        _Column("out", lambda each: _count(each["tokens"]["output"]), _WIDE),
        _Column("first word", lambda each: _seconds(each["first_content"]), _MEDIUM),
        _Column("total", lambda each: _seconds(each["duration"])),
    ]


# Cells


def _named(name: str, severity: Severity) -> Cell:
    return name if severity is Severity.FINE else styled(name, _SEVERITY[severity][1])


def _of_all(available: int, endpoints: int) -> Cell:
    return styled(
        f"{available}/{endpoints}", "dim" if available == endpoints else "yellow" if available else "bold red"
    )


def _state(each: EndpointView) -> Cell:
    """Say whether an endpoint is asked, and if not, why and for how long yet."""
    if each.severity is Severity.FINE:
        return styled(f"{each.state}{', on standby' * each.standby}", "dim")
    parts: list[Cell] = [styled(each.state, _SEVERITY[each.severity][1])]
    parts += [styled(span(each.seconds), "bold")] if each.seconds else []
    parts += [styled(f"({each.workers})", "dim")] if each.workers else []
    return joined([joined(parts, " "), styled(each.why, "dim")], ": ")


def _mark_of(decision: Row) -> Mark:
    if decision["outcome"] == "ok":
        return Mark.OK if "->" not in decision["trail"] else Mark.NOTE
    if decision["outcome"] == "caller_left":
        return Mark.NONE
    return Mark.WRONG if decision["status"] >= 500 else Mark.NOTE


def _path_of(decision: Row) -> Cell:
    """Say where a request went; first how it ended, if not well."""
    trail, outcome = str(decision["trail"]), decision["outcome"]
    if outcome == "ok":
        return trail
    return joined([styled(outcome, _SEVERITY[Severity.ODD][1]), styled(trail, "dim")], " ")


def _prompt(decision: Row) -> int:
    tokens = decision["tokens"]
    return int(tokens["input"] + tokens["cache_read"] + tokens["cache_write"])


def _or_nothing(text: str, number: float | None) -> Cell:
    """Write a number, or a dash where there is nothing to say."""
    return text if number else styled("-", "dim")


# Numbers


def span(seconds: float) -> str:
    """Write a duration: "42 s", "4 min 05 s", "3 h 12 min", "2 d 3 h"."""
    whole = round(seconds) if seconds < 10 else int(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _count(number: float) -> str:
    """Write how many: "0.25", "3.1", "850", "1.2k", "34k", "1.2M"."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.0f}{unit}" if number >= 10 * size else f"{number / size:.1f}{unit}"
    if number >= 10 or number == int(number):
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 1 else f"{number:.2f}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.0f} %"
