"""A commit of this repository, or the files as they are now, installed into an environment of its own."""

import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

from benchmarks.installing import HERE, NotInstalledError, run_installer

ROOT = HERE.parent


def commit_of(name: str, root: Path = ROOT) -> str:
    """Give the full id of the commit that is called *name*; raises `NotInstalledError`."""
    try:
        found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except subprocess.CalledProcessError as error:
        raise NotInstalledError(f"there is no commit {name!r}") from error
    return found.decode().strip()


def exported(commit: str | None, folder: Path, root: Path = ROOT) -> None:
    """Write the files of a commit into an empty *folder*; without one, those of the checkout that git would add.

    No worktree is made, so nothing is left in the repository however this ends.
    """
    if commit:
        with tarfile.open(fileobj=BytesIO(_git(root, "archive", "--format=tar", commit))) as archive:
            archive.extractall(folder, filter="data")
        return
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").decode()
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, folder / name)


def program_of(commit: str | None, folder: Path) -> Path:
    """Install the commit, or the checkout as it is, below *folder*; gives its command. Raises `NotInstalledError`."""
    source, environment, log = folder / "source", folder / "venv", folder / "log"
    source.mkdir(parents=True)
    exported(commit, source)
    run_installer([sys.executable, "-m", "venv", str(environment)], log)
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run_installer([*pip, str(source)], log)
    return environment / "bin/sap-ai-proxy"


def _git(root: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True).stdout  # noqa: S603, S607 - git, of the path
    except OSError as error:
        raise NotInstalledError(f"git: {error}") from error
