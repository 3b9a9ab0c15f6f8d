"""Simulates scenarios and prints what each contender did: `python -m simulation --only outage --seed 3`."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from simulation.report import INTRODUCTION, section
from simulation.run import CONTENDERS, run
from simulation.scenarios import SCENARIOS

PAGE = Path(__file__).parent.parent / "docs" / "simulation.md"


def _named(text: str, names: Sequence[str]) -> list[str]:
    """Return those of *names* that contain one of the comma-separated words in *text*; all names if it is empty."""
    words = [word.strip() for word in text.split(",")]
    return [name for name in names if any(word in name for word in words)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulation and print the table."""
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help="run only scenarios whose names contain one of these words, such as quota,hang",
    )
    parser.add_argument(
        "--contenders", default="", metavar="WORDS", help="run only contenders whose names contain one of these words"
    )
    parser.add_argument("--seed", type=int, default=1, help="the seed of the random numbers (default: 1)")
    parser.add_argument("--write", action="store_true", help=f"write the results to docs/{PAGE.name}, too")
    options = parser.parse_args(arguments)
    scenarios = [each for each in SCENARIOS if each.name in _named(options.only, [each.name for each in SCENARIOS])]
    contenders = _named(options.contenders, list(CONTENDERS))
    if not scenarios or not contenders:
        parser.error(
            "no scenario or contender has such a name. The names are: "
            + ", ".join([*(s.name for s in SCENARIOS), *CONTENDERS])
        )
    logging.disable()  # the router logs every circuit that opens or closes, thousands of times
    print(INTRODUCTION, flush=True)
    page = [INTRODUCTION]
    for scenario in scenarios:
        text = section(scenario, {name: run(scenario, name, options.seed) for name in contenders})
        print(text, flush=True)
        page.append(text)
    if options.write:
        PAGE.write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    main()
