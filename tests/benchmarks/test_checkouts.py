"""What is compared comes out of the repository, and leaves nothing in it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.checkouts import ROOT, commit_of, exported
from benchmarks.installing import NotInstalledError

GIT = ["git", "-C", str(ROOT)]


def git(*arguments: str) -> str:
    return subprocess.run([*GIT, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def _clone() -> None:
    if not shutil.which("git") or subprocess.run([*GIT, "rev-parse", "HEAD"], check=False).returncode:
        pytest.skip("this is no clone that git reads")


def test_a_commit_is_written_out_as_it_was(tmp_path: Path) -> None:
    worktrees = git("worktree", "list")
    exported(commit_of("HEAD"), tmp_path)

    assert (tmp_path / "pyproject.toml").read_text() == git("show", "HEAD:pyproject.toml")
    assert git("worktree", "list") == worktrees


def test_the_checkout_is_written_out_as_it_is_without_what_git_ignores(tmp_path: Path) -> None:
    exported(None, tmp_path)

    assert (tmp_path / "benchmarks/checkouts.py").read_bytes() == (ROOT / "benchmarks/checkouts.py").read_bytes()
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("name", ["no-such-commit", "HEAD:README.md", "--all", ""])
def test_what_is_no_commit_is_refused_by_name(name: str) -> None:
    with pytest.raises(NotInstalledError, match=f"there is no commit {name!r}"):
        commit_of(name)
