"""Comparison of two commits of the proxy: the cost of the later one as a ratio, with a confidence interval."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.checkouts import commit_of, program_of
from benchmarks.comparison import FEWEST, compared, comparison_table
from benchmarks.contestants import Proxy
from benchmarks.installing import NotInstalledError, cache_folder, compiled
from benchmarks.measures import Bench, CannotServeError, Measure
from benchmarks.plan import START, hot_paths, schedules_of
from benchmarks.processes import cores
from benchmarks.report import Report

HERE_AND_NOW = "checkout"
"""The name for the current files."""
_STARTS = 2


def in_turns(bench: Bench, pair: Sequence[Proxy], todo: Sequence[Measure], report: Report, number: int) -> None:
    """Measure both in round *number*. The order changes from round to round."""
    turns = list(pair) if number % 2 else list(reversed(pair))
    for _ in range(_STARTS):
        for proxy in turns:
            report.add(number, START, proxy.name, bench.start(proxy))
    for measure in todo:
        for proxy in turns:
            if taken := bench.take(proxy, measure):
                report.add(number, measure.name, proxy.name, taken)


def compare(cache: Path, options: argparse.Namespace, names: Sequence[str], commits: Sequence[str | None]) -> int:
    """Install both versions, measure them in rounds, print the table, and remove what was installed."""
    words = [word.strip() for word in options.measures.split(",")]
    todo = [each for each in hot_paths(options.seconds) if any(word in each.name for word in words)]
    with TemporaryDirectory(prefix="compare-", dir=cache) as folder:
        pair = []
        for name, commit in zip(names, commits, strict=True):
            _say(f"installing {name}")
            pair.append(Proxy(name, program_of(commit, Path(folder) / name)))
            pair[-1].install(cache)
        report = Report(dict.fromkeys(names, ""))
        client, upstream = compiled(cache, "load.c"), compiled(cache, "upstream.c")
        stopped = False
        try:
            with closing(Bench(client, upstream, cores(), schedules_of(*todo))) as bench:
                for number in range(1, options.rounds + 1):
                    in_turns(bench, pair, todo, report, number)
                    _say(f"round {number}/{options.rounds}")
        except KeyboardInterrupt:
            stopped = True
    report.write(options.json or cache / "compare.json", {"commits": list(commits), "rounds": report.last_round})
    base, new = names
    print(f"\nmedians of {report.last_round} rounds; the ratio is that of {new} to {base} within each\n")
    print(comparison_table(compared(report.rounds(), base, new), base, new))
    print("".join(f"\n- {said}" for said in report.troubles()))
    return 130 if stopped else 1 if report.failed else 0


def main(given: Sequence[str]) -> int:
    """Parse the command line, and compare."""
    parser = argparse.ArgumentParser(prog="compare", description="Compare two commits of the proxy.")
    parser.add_argument("base", help="the earlier commit, such as a branch, a tag or an id")
    parser.add_argument("new", nargs="?", help="the later commit (default: the current files)")
    hot = ", ".join(each.name for each in hot_paths(1))
    parser.add_argument(
        "--measures", default="", help=f"only the loads whose names contain one of these words: {hot}; or {START}"
    )
    few = f"the number of rounds (default: 9); fewer than {FEWEST} cannot tell a difference from noise"
    parser.add_argument("--rounds", type=int, default=9, help=few)
    parser.add_argument("--seconds", type=float, default=2.0, help="the duration of each load in seconds (default: 2)")
    parser.add_argument("--json", type=Path, help="the file for all figures (default: compare.json in the cache)")
    options = parser.parse_args(given)
    options.rounds = min(max(1, options.rounds), 100)
    options.seconds = min(max(0.2, options.seconds), 60.0)
    try:
        base = commit_of(options.base)
        new = commit_of(options.new) if options.new else None
        names = [base[:10], new[:10] if new else HERE_AND_NOW]
        if len(set(names)) == 1:
            raise SystemExit(f"{options.base} and {options.new} are the same commit")
        return compare(cache_folder(os.environ), options, names, [base, new])
    except (NotInstalledError, CannotServeError) as error:
        _say(f"no comparison: {error}")
        return 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # ends the started processes, and removes what was installed
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)  # while something was being installed
