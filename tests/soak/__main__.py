"""Soaks a proxy in mixed traffic and outages, and reports what is amiss: ``python -m tests.soak --seconds 600``."""

import argparse
import json
import sys
from pathlib import Path

from tests.soak.soak import Options, run


def main(arguments: list[str] | None = None) -> int:
    """Print the report; the exit status is 1 if anything is amiss."""
    usual = Options()
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="how long (default: %(default)g)")
    parser.add_argument("--rate", type=float, default=usual.rate, help="requests a second (default: %(default)g)")
    parser.add_argument("--seed", type=int, default=usual.seed, help="of all that is random (default: %(default)s)")
    parser.add_argument(
        "--reload-every", type=float, default=usual.reload_every, metavar="SECONDS",
        help="the time between two reloads; 0 for none, so that workers live to the end (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument("--kills", type=int, default=usual.kills, help="workers to kill (default: %(default)s)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the report as JSON as well")
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep the log of the proxy")
    given = parser.parse_args(arguments)
    options = Options(given.seconds, given.rate, given.seed, given.reload_every, given.kills, log=given.log)
    verdict = run(options)
    print("\n".join(verdict.lines()), flush=True)
    if given.write:
        given.write.write_text(json.dumps(verdict.as_json(), indent=1) + "\n")
    return 1 if verdict.amiss else 0


if __name__ == "__main__":
    sys.exit(main())
