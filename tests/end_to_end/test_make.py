"""The first command a user types, where Python is not what it should be."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(folder: Path, python: str, *goals: str) -> subprocess.CompletedProcess[str]:
    if not (folder / "pyproject.toml").exists():
        (folder / "pyproject.toml").touch()
    return subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), *goals, f"PYTHON={python}"],
        check=False, cwd=folder, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def script(folder: Path, says: str) -> str:
    path = folder / "python-of-old"
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("there", [True, False], ids=["old", "missing"])
def test_an_old_python_is_refused_before_anything_is_made_of_it(tmp_path: Path, there: bool) -> None:
    python = script(tmp_path, "exit 1") if there else str(tmp_path / "python-of-old")
    told = make(tmp_path, python, "run")
    said, *others = told.stderr.splitlines()

    assert told.returncode == 2
    assert said == f"{python} is not Python 3.11 or newer. Name one that is: make run PYTHON=python3.12"
    assert all(line.startswith("make") for line in others)
    assert told.stdout == ""
    assert not (tmp_path / ".venv").exists()


def test_half_an_environment_is_not_left_behind(tmp_path: Path) -> None:
    """As Debian's Python makes one that lacks pip, and the next try would take it for whole."""
    half = 'case "$1" in -m) mkdir -p .venv/bin; touch .venv/bin/python; exit 1;; esac'
    told = make(tmp_path, script(tmp_path, half), "install")

    assert told.returncode == 2
    assert not (tmp_path / ".venv").exists()


def environment(folder: Path, pip: str) -> None:
    """Make an environment that has everything but what is to be installed."""
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to(sys.executable)
    (folder / ".venv/bin/pip").write_text(f"#!/bin/sh\n{pip}\n")
    (folder / ".venv/bin/pip").chmod(0o755)


def installs(folder: Path, project: str) -> int:
    """Make what runs the proxy, and count how often pip is called."""
    (folder / "pyproject.toml").write_text(project)
    (folder / "called").unlink(missing_ok=True)
    told = make(folder, sys.executable, "install")
    assert told.returncode == 0, told.stderr
    return (folder / "called").read_text().count("pip") if (folder / "called").exists() else 0


def test_only_what_is_to_be_installed_installs_anew(tmp_path: Path) -> None:
    """Whoever merges a line for the linter does not wait for pip."""
    environment(tmp_path, "echo pip >>called")
    needs, more = '[project]\ndependencies = ["flask"]\n', '[project]\ndependencies = ["flask", "click"]\n'
    lines = [needs, needs, f"{needs}[tool.ruff]\nline-length = 120\n", more, more]

    assert [installs(tmp_path, said) for said in lines] == [1, 0, 0, 1, 0]


PIP = "echo Collecting flask; echo Installing collected packages: flask; echo Successfully installed flask"


def test_what_is_installed_is_said_and_nothing_where_nothing_is_to_be_done(tmp_path: Path) -> None:
    environment(tmp_path, PIP)
    first, again = (make(tmp_path, sys.executable, "install") for _ in range(2))

    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == "Installing the proxy into .venv, which takes a minute the first time\n"
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_terminal_shows_what_pip_is_at_in_one_line_that_goes_away(tmp_path: Path) -> None:
    environment(tmp_path, PIP)
    (tmp_path / "pyproject.toml").touch()
    command = f"make -f {ROOT / 'Makefile'} install PYTHON={sys.executable}"
    told = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        check=False, cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=60,
    )  # fmt: skip
    shown = told.stdout.decode().partition("first time")[2].replace("\n", "").split("\r")

    assert told.returncode == 0
    assert [part for part in shown if part] == [
        "\033[K  Collecting flask",
        "\033[K  Installing collected packages: flask",
        "\033[K",
    ]


def test_what_pip_said_is_shown_where_it_failed(tmp_path: Path) -> None:
    environment(tmp_path, "echo Collecting flask; echo ERROR: no flask for you >&2; exit 1")
    told = make(tmp_path, sys.executable, "install")

    assert told.returncode == 2
    assert told.stderr.startswith("Collecting flask\nERROR: no flask for you\n")
    assert not (tmp_path / ".venv/bin/.runs").exists()


def test_lint_installs_ruff_and_no_sdk(tmp_path: Path) -> None:
    """Whoever changes a line waits for one small tool, not for every vendor's client."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    told = make(tmp_path, sys.executable, "--dry-run", "lint")

    assert re.findall(r"--editable '(\..*?)'", told.stdout) == [".[lint]"]
    assert [re.split(r"[^a-z]", each)[0] for each in extras["lint"]] == ["ruff"]
