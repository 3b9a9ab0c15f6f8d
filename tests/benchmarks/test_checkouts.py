"""What is compared comes out of the repository, and leaves nothing in it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.checkouts import commit_of, exported
from benchmarks.installing import NotInstalledError

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="there is no git")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One commit of two files; then one is changed, one removed, one added and one that git ignores."""
    root = tmp_path_factory.mktemp("repository")
    git(root, "init", "--quiet")
    (root / "package").mkdir()
    (root / "package/kept.py").write_text("before")
    (root / "removed.py").write_text("removed")
    (root / ".gitignore").write_text("*_key.json\n")
    git(root, "add", ".")
    git(root, "-c", "user.name=n", "-c", "user.email=e@localhost", "commit", "--quiet", "--message", "One")
    (root / "package/kept.py").write_text("after")
    (root / "removed.py").unlink()
    (root / "added.py").write_text("added")
    (root / "my_key.json").write_text("secret")
    return root


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True).stdout


def files_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*.*")
        if path.is_file() and path.name != ".gitignore"
    }


def test_a_commit_is_written_out_as_it_was(repository: Path, tmp_path: Path) -> None:
    before = git(repository, "worktree", "list"), git(repository, "status", "--short")
    exported(commit_of("HEAD", repository), tmp_path, repository)

    assert files_of(tmp_path) == {"package/kept.py": "before", "removed.py": "removed"}
    assert (git(repository, "worktree", "list"), git(repository, "status", "--short")) == before


def test_the_checkout_is_written_out_as_it_is_without_what_git_ignores(repository: Path, tmp_path: Path) -> None:
    exported(None, tmp_path, repository)

    assert files_of(tmp_path) == {"package/kept.py": "after", "added.py": "added"}


@pytest.mark.parametrize("name", ["no-such-commit", "HEAD:removed.py", "--all", ""])
def test_what_is_no_commit_is_refused_by_name(name: str, repository: Path) -> None:
    with pytest.raises(NotInstalledError, match=f"there is no commit {name!r}"):
        commit_of(name, repository)
