"""Change routing in one small way after another, and see whether its tests notice.

Each mutant meets only the tests that reach the function it changes, with few examples of
each property, in a copy of the tree. What is made of tables at the top of a file is not
changed, and locks are not taken away: test_concurrency does that.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import chdir
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("routing", "dialects", "tests/routing", "proxy_helpers.py", "pyproject.toml")
WANTED = 85.0
"""Percent of the mutants that must not live."""
ALIVE = {0: "survived", 5: "no test", 33: "no test"}
"""What mutmut's exit codes say of a mutant that nothing noticed; all others mean that it was caught."""
FEW = "10"
"""Examples of each property: a mutant that lives does so after all of them."""
SETTINGS = """
[tool.mutmut]
source_paths = ["routing"]
only_mutate = {files}
also_copy = ["dialects", "proxy_helpers.py"]
pytest_add_cli_args_test_selection = ["tests/routing"]
pytest_add_cli_args = ["-x", "--ignore=tests/routing/test_concurrency.py", "--ignore=tests/routing/test_exports.py",
    "-p", "no:cacheprovider", "-p", "no:unraisableexception"]
timeout_multiplier = 4.0
timeout_constant = 3.0
use_git_change_detection = false
"""


def main() -> int:
    arguments = parsed()
    files = arguments.files or sorted(str(path.relative_to(ROOT)) for path in (ROOT / "routing").rglob("*.py"))
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        scratch = Path(folder)
        copy_to(scratch, files)
        with chdir(scratch):
            chosen = sample(files, arguments.sample, arguments.seed) if arguments.sample else []
        run(scratch, chosen, arguments.children, arguments.minutes * 60)
        fates = fates_in(scratch, chosen)
        print(table(fates))
        print(*(shown(scratch, name, fate) for name, fate in sorted(fates.items()) if fate in ALIVE.values()), sep="\n")
    share = killed(fates.values())
    print(f"{share:.1f} % of {len(fates)} mutants were caught; {WANTED:g} % must be")
    return 0 if share >= WANTED else 1


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "files", nargs="*", help="what to change, as routing/retry_budget.py (default: all of routing/)"
    )
    parser.add_argument("--sample", type=int, default=0, help="so many mutants, drawn at random (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="which ones to draw")
    parser.add_argument("--children", type=int, default=2, help="processes at once")
    parser.add_argument("--minutes", type=float, default=60, help="when to stop and to judge by what was tried")
    return parser.parse_args()


def copy_to(scratch: Path, files: Sequence[str]) -> None:
    """Copy what the tests of routing need, and tell mutmut what to change."""
    for name in COPIED:
        source, target = ROOT / name, scratch / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    with (scratch / "pyproject.toml").open("a") as settings:
        settings.write(SETTINGS.format(files=json.dumps(list(files))))


def sample(files: Iterable[str], count: int, seed: int) -> list[str]:
    """Draw from all mutants that there are."""
    from mutmut.mutation.file_mutation import mutate_file_contents  # noqa: PLC0415 - reads settings from where it is

    found = []
    for name in files:
        mutated = mutate_file_contents(name, (ROOT / name).read_text())
        module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        found += [f"{module}.{mutant}" for mutant in mutated.mutant_names]
    return random.Random(seed).sample(found, min(count, len(found)))


def run(scratch: Path, names: Sequence[str], children: int, seconds: float) -> None:
    """Try the mutants, for so long at most."""
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(children), *names]
    process = subprocess.Popen(command, cwd=scratch, env={**os.environ, "EXAMPLES": FEW, "NO_COLOR": "1"})
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:  # where interrupts are ignored, as in a shell's background
            process.kill()


def fates_in(scratch: Path, chosen: Sequence[str]) -> dict[str, str]:
    """What became of each mutant that was tried."""
    fates = {}
    for file in (scratch / "mutants").rglob("*.meta"):
        for name, code in json.loads(file.read_text())["exit_code_by_key"].items():
            if code is not None and (not chosen or name in chosen):
                fates[name] = ALIVE.get(code, "caught")
    return fates


def killed(fates: Iterable[str]) -> float:
    """Percent of them that were caught."""
    counts = Counter(fates)
    return 100 * counts["caught"] / max(1, counts.total())


def table(fates: Mapping[str, str]) -> str:
    by_module: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, fate in fates.items():
        by_module[name.rpartition(".")[0]][fate] += 1
    lines = [f"{'':36}{'caught':>9}{'survived':>9}{'no test':>9}"]
    for module, counts in sorted(by_module.items()):
        numbers = "".join(f"{counts[fate]:9}" for fate in ("caught", "survived", "no test"))
        lines.append(f"{module:36}{numbers}{killed(counts.elements()):8.1f} %")
    return "\n".join(lines)


def shown(scratch: Path, name: str, fate: str) -> str:
    """The change that nobody noticed."""
    command = [sys.executable, "-m", "mutmut", "show", name]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    changes = [
        line for line in done.stdout.splitlines() if line.startswith(("-", "+")) and line[:3] not in ("---", "+++")
    ]
    return "\n".join((f"{name}: {fate}", *changes))


if __name__ == "__main__":
    sys.exit(main())
