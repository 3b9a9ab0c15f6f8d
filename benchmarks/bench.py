"""Compares gateways in front of the same upstream: the cost of a request, of a chunk and of a thousand streams.

Only ratios within one run are meaningful; see README.md in this folder.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from benchmarks.chart import drawn
from benchmarks.contestants import Contestant, Proxy, everyone
from benchmarks.installing import NotInstalledError, cache_folder, compiled
from benchmarks.measures import Bench, CannotServeError, Measure, Taken
from benchmarks.plan import hot_paths, measures, schedules_of
from benchmarks.processes import cores
from benchmarks.report import Report
from benchmarks.targets import not_judged, targets_table

_QUIET = 0.7
_SHORT = 35.0
_SHORT_LOAD = 1.5
"""The seconds that a load lasts in the short form."""
_LONG = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line."""

    only: str
    measures: str
    rounds: int
    seconds: float
    short: bool
    also: tuple[tuple[str, Path], ...]
    json: Path | None
    chart: Path | None
    earlier: Path | None


def arguments(given: Sequence[str]) -> Options:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="bench", description="Compare gateways side by side.")
    parser.add_argument("--only", help="measure only these contestants: direct,nginx,bare,Portkey,proxy,LiteLLM")
    parser.add_argument(
        "--measures", help="take only measures whose names contain one of these words, separated by commas"
    )
    parser.add_argument(
        "--rounds", type=int, help="the number of rounds, whose medians are shown (default: 3; with --short 1)"
    )
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="the duration of each measure in seconds (default: 5)"
    )
    parser.add_argument("--quick", action="store_true", help="measure for one second each")
    parser.add_argument(
        "--short",
        action="store_true",
        help="measure only the CPU time of proxy and bare handler, in less than a minute",
    )
    another = "the path of another sap-ai-proxy to compare with; may be repeated"
    parser.add_argument("--also", action="append", default=[], metavar="NAME=COMMAND", help=another)
    parser.add_argument("--json", type=Path, help="the file for all figures (default: bench.json in the cache)")
    parser.add_argument("--chart", type=Path, help="draw the figures into this SVG file")
    earlier = "show and draw the figures of an earlier run, from its JSON, and measure nothing"
    parser.add_argument("--from", dest="earlier", type=Path, metavar="JSON", help=earlier)
    read = parser.parse_args(given)
    return Options(
        only=read.only or ("bare,proxy" if read.short else ""),
        measures=read.measures or "",
        rounds=min(max(1, read.rounds or (1 if read.short else 3)), 20),
        seconds=1.0 if read.quick else min(max(0.2, read.seconds), 60.0),
        short=read.short,
        also=tuple(
            (name, Path(command).absolute()) for name, _, command in (each.partition("=") for each in read.also)
        ),
        json=read.json,
        chart=read.chart,
        earlier=read.earlier,
    )


def chosen(options: Options) -> tuple[list[Contestant], list[Measure]]:
    """Return the contestants and measures that the options select; raises `SystemExit` for an unknown name."""
    contestants = everyone()
    if options.only:
        wanted = {name.strip().lower() for name in options.only.split(",")}
        unknown = wanted - {each.name.lower() for each in contestants}
        if unknown:
            raise SystemExit(f"there is no contestant {', '.join(sorted(unknown))}")
        contestants = [each for each in contestants if each.name.lower() in wanted]
    contestants += [Proxy(name, command) for name, command in options.also]
    todo = hot_paths(_SHORT_LOAD) if options.short else measures(seconds=options.seconds)
    if options.measures:
        words = [word.strip() for word in options.measures.split(",")]
        todo = [measure for measure in todo if any(word in measure.name for word in words)]
    return contestants, todo


def installed(contestants: Sequence[Contestant], cache: Path) -> list[Contestant]:
    """Install the contestants; return those that could be installed, and print why others could not."""
    there = []
    for each in contestants:
        try:
            each.install(cache)
        except NotInstalledError as error:
            _say(f"{each.name} is left out: {error}")
        else:
            there.append(each)
    return there


def time_help(bench: Bench, contestants: Sequence[Contestant], number: int, report: Report) -> None:
    """Time the `--help` of all contestants that have one, in round *number*."""
    for contestant in contestants:
        if found := bench.help(contestant):
            report.add(number, "help", contestant.name, Taken(start=found))


def run(
    bench: Bench, contestants: Sequence[Contestant], todo: Sequence[Measure], options: Options, report: Report
) -> None:
    """Measure in rounds, in which the contestants take turns. The short form starts no measure after 35 seconds."""
    end = time.monotonic() + (_SHORT if options.short else _LONG)
    for number in range(1, options.rounds + 1):
        if not options.short:
            time_help(bench, contestants, number, report)
        for measure, contestant in product(todo, contestants):
            if contestant is contestants[0] and time.monotonic() > end:
                _say(f"the time limit is reached: round {number} ends before {measure.name}")
                return
            began = time.monotonic()
            taken = bench.take(contestant, measure)
            if taken:
                report.add(number, measure.name, contestant.name, taken)
                took = time.monotonic() - began
                _say(f"round {number}/{options.rounds}  {measure.name}  {contestant.name}  {took:.1f} s")


def show(report: Report, options: Options, about: str = "") -> None:
    """Print the tables and draw the requested chart. The table has only the rows whose names contain *about*."""
    rounds = report.last_round
    if options.chart:
        try:
            options.chart.write_text(drawn(report.rounds(), report.contestants))
        except (OSError, ValueError) as error:
            _say(f"no chart: {error}")
        else:
            _say(f"chart: {options.chart}")
    print("\n" + ", ".join(f"{name} {version}".strip() for name, version in report.contestants.items()))
    print("".join(f"\n- {said}" for said in report.troubles()))
    print(f"medians of {rounds} round{'s' * (rounds != 1)}; in brackets, the ratio to the bare handler\n")
    print(report.markdown(about))
    if not about and (judged := targets_table(report.rounds())):
        print(f"\n{judged}\n\n{not_judged(report.rounds())}".rstrip())


def main(given: Sequence[str]) -> int:
    """Run the benchmarks and print the tables."""
    options = arguments(given)
    if options.earlier:
        try:
            show(Report.read(options.earlier), options)
        except (OSError, ValueError) as error:
            raise SystemExit(f"no figures: {error}") from error
        return 0
    cache = cache_folder(os.environ)
    try:
        client, upstream = compiled(cache, "load.c"), compiled(cache, "upstream.c")
    except NotInstalledError as error:
        _say(f"no benchmark: {error}")
        return 0 if options.short else 1
    contestants, todo = chosen(options)
    contestants = installed(contestants, cache)
    pinned = cores()
    if pinned is None:
        _say("there is only one core: client and upstream share it with the gateway, and two measures are left out")
    report = Report({each.name: each.version for each in contestants})
    busy, stopped = os.getloadavg()[0], False
    if busy > _QUIET:
        _say(f"the machine is busy (load {busy:.1f}): not even the ratios will be reliable")
    try:
        with closing(Bench(client, upstream, pinned, schedules_of(*todo))) as bench:
            run(bench, contestants, todo, options, report)
    except KeyboardInterrupt:
        stopped = True
        _say("stopped: the last round is not complete")
    path = options.json or cache / ("bench-short.json" if options.short else "bench.json")
    report.write(path, {"arguments": list(given), "rounds": report.last_round, "load": busy})
    _say(f"all figures: {path}")
    show(report, options, "CPU" if options.short else "")
    return 130 if stopped else 1 if report.failed else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, and prints what is known
    try:
        sys.exit(main(sys.argv[1:]))
    except CannotServeError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)  # while something was being installed
