"""Fuzzes proxies over HTTP: ``python -m tests.surface --requests 20000 --seed 3``.

What breaks a law is written to ``tests/surface/cases``, where a test replays it.
``--only INDEX`` sends a single request of a seed again, and ``--replay FILE`` a case.
"""

import argparse
import hashlib
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.surface.case import Case, read_case
from tests.surface.fuzzer import Find, Outcome, broken, case_at, growth, run
from tests.surface.proxies import Served, serving

CASES = Path(__file__).parent / "cases"
LONG = 10_000
"""After so many requests, the proxies have been warm for long enough that growth means something."""
MOST_GROWTH = {"threads": 1, "descriptors": 1}
"""How many more a process may have per 1,000 requests once it is warm."""
MOST_MEMORY = 384 * 1024
"""How much memory in KiB a worker may have in the end.

It starts with 50 MiB. The C library keeps for each thread what its largest request so far has needed, some 17 MiB, so
the memory rises in steps until every thread has had such a request: to 200 MiB after 30,000 requests.
"""


def main() -> int:
    """Fuzz, or send one case; the exit status is 1 if a law was broken."""
    parser = argparse.ArgumentParser("tests.surface")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    parser.add_argument("--only", type=int, metavar="INDEX")
    parser.add_argument("--replay", type=Path, metavar="FILE")
    options = parser.parse_args()
    with TemporaryDirectory() as folder, serving(Path(folder)) as served:
        if options.replay is not None:
            return _one(served, read_case(options.replay.read_text()))
        if options.only is not None:
            return _one(served, case_at(options.only, options.seed, served))
        print(f"seed {options.seed}", flush=True)
        outcome = run(served, options.seed, options.requests)
        _report(outcome, served)
        grown = _grown(served) if options.requests >= LONG else []
        print("\n".join([*grown, f"{len(outcome.finds) + len(grown)} finds"]))
    return 1 if outcome.finds or grown else 0


def _one(served: dict[str, Served], case: Case) -> int:
    print(case.written())
    laws = [*broken(served[case.proxy], case), *served[case.proxy].settle()]
    print("\n".join(laws) or "no law is broken")
    return 1 if laws else 0


def _report(outcome: Outcome, served: dict[str, Served]) -> None:
    for find in outcome.finds:
        print(f"find: request {find.index}, {find.case.name}, {find.case.proxy}: {find.law} -> {_kept(find)}")
    print(f"{sum(outcome.names.values())} requests in {outcome.seconds:.0f} s")
    print("statuses:", ", ".join(f"{status} {count}" for status, count in sorted(outcome.statuses.items())))
    for name, each in served.items():
        first, last = each.usages[0], each.usages[-1]
        slopes = ", ".join(f"{what} {slope:+.2f}" for what, slope in growth(each.usages).items())
        print(f"{name}: {first} -> {last}; per 1,000 requests, when warm: {slopes}")


def _grown(served: dict[str, Served]) -> list[str]:
    """Say what has grown and should not have."""
    found = []
    for name, each in served.items():
        slopes, memory = growth(each.usages), median(usage.memory for usage in each.usages[-5:])
        found += [
            f"{name}: {slopes[what]:.2f} {what} more" for what, most in MOST_GROWTH.items() if slopes[what] > most
        ]
        found += [f"{name}: {memory:.0f} KiB of memory"] if memory > MOST_MEMORY else []
    return [f"find: {each}" for each in found]


def _kept(find: Find) -> str:
    """Write the case of a find to a file."""
    written = find.case.written() + "\n"
    CASES.mkdir(exist_ok=True)
    path = CASES / f"{hashlib.sha256(written.encode()).hexdigest()[:10]}.json"
    path.write_text(written)
    return path.name


if __name__ == "__main__":
    sys.exit(main())
