"""Renders a report for people: a summary, what is served, and what is wrong with what to do."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from gateway.cli.check.report import Answer, Finding, Report, Severity, counted
from gateway.cli.terminal import Cell, Mark, Output, Styled, aligned, output, styled, table

_FILE: Final = "config"
"""What stands in the place of a subaccount where the config file as a whole is meant."""
_MARKS: Final = {Severity.WRONG: Mark.WRONG, Severity.REMARK: Mark.NOTE}
_STYLES: Final = {Severity.WRONG: "", Severity.REMARK: "dim"}
_STATES: Final = {True: Mark.OK, False: Mark.WRONG, None: Mark.NONE}


def print_report(report: Report, console: Output | None = None, *, lists_served: bool = True) -> None:
    """Print a report to a console, or to standard output: in colours if that is a terminal.

    *lists_served* has it list what is served, too, where something else has not done so before.
    """
    console = console or output()

    def sign(mark: Mark) -> Styled:
        return mark.on(console)

    console.print(aligned([[sign(Mark.OK if report.is_ok else Mark.WRONG), styled(report.summary, "bold")]]))
    served: list[list[Cell]] = [[sign(_STATES[ok]), *cells] for ok, cells in _served(report)]
    if served and lists_served:
        console.print()
        headings = ("", "subaccount", "model", "deployments", "asked by")
        console.print(table(headings, served, right=["deployments"], unbroken=["", "subaccount", "model"]))
    if report.answers is not None:
        answers = [[sign(_STATES[ok]), *cells] for ok, cells in _answered(report.answers)]
        console.print()
        headings = ("", "subaccount", "model", "first word", "says")
        console.print(
            table(headings, answers, right=["first word"], unbroken=["", "subaccount", "model"], cut=["says"])
        )
        console.print(styled(f"{counted(len(answers), 'short prompt')} sent, which cost some tokens", "dim"))
    for findings in (report.wrong, report.remarks):
        if findings:
            console.print()
            console.print(aligned(row for each in findings for row in _lines(each, sign)))


def _served(report: Report) -> Iterator[tuple[bool | None, tuple[str, str, str, str]]]:
    """Give the rows of what is served; a subaccount is named in the first of its own."""
    for account in report.subaccounts:
        name = account.name
        if not account.models:
            yield account.ok, (name, "nothing", "", "")
        for row in account.models:
            good = sum(each.ok is not False for each in row.deployments)
            number = len(row.deployments)
            called = f"{row.name} ({row.runs})" if row.runs not in ("", row.name) else row.name
            how = "on standby" if row.standby else ", ".join(row.protocols)
            asked = f"{how} for {counted(len(row.serves), 'model')}" if len(row.serves) > 1 else how
            yield row.ok, (name, called, str(number) if good == number else f"{good} of {number}", asked)
            name = ""


def _answered(answers: Iterable[Answer]) -> Iterator[tuple[bool, tuple[str, str, str, Cell]]]:
    """Give the rows of answers; a subaccount is named in the first of its own."""
    last = ""
    for each in answers:
        name, last = "" if each.subaccount == last else each.subaccount, each.subaccount
        first = "" if each.seconds is None else f"{each.seconds * 1000:.0f} ms"
        said = each.text if each.ok else styled(each.error, "red")
        yield each.ok, (name, each.model, first, said)


def _lines(finding: Finding, sign: Callable[[Mark], Styled]) -> Iterator[tuple[Cell, Cell, Cell]]:
    """Give what is wrong and what to do about it, a row each."""
    style = _STYLES[finding.severity]
    yield sign(_MARKS[finding.severity]), styled(finding.subaccount or _FILE, style), styled(finding.what, style)
    if finding.fix:
        yield "", "", sign(Mark.DO).append(f" {finding.fix}", style or "default")
