"""A commit of this repository, or the files as they are now, installed into an environment of its own."""

import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

from benchmarks.installing import HERE, NotInstalledError, run_installer

ROOT = HERE.parent


def commit_of(name: str) -> str:
    """Give the full id of the commit that is called *name*; raises `NotInstalledError`."""
    try:
        return _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").decode().strip()
    except subprocess.CalledProcessError as error:
        raise NotInstalledError(f"there is no commit {name!r}") from error


def exported(commit: str | None, folder: Path) -> None:
    """Write the files of a commit into an empty *folder*; without one, those of the checkout that git would add.

    No worktree is made, so nothing is left in the repository however this ends.
    """
    if commit:
        with tarfile.open(fileobj=BytesIO(_git("archive", "--format=tar", commit))) as archive:
            archive.extractall(folder, filter="data")
        return
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def program_of(commit: str | None, folder: Path) -> Path:
    """Install the commit, or the checkout as it is, below *folder*; gives its command. Raises `NotInstalledError`."""
    source, environment, log = folder / "source", folder / "venv", folder / "log"
    source.mkdir(parents=True)
    exported(commit, source)
    run_installer([sys.executable, "-m", "venv", str(environment)], log)
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run_installer([*pip, str(source)], log)
    return environment / "bin/sap-ai-proxy"


def _git(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True).stdout  # noqa: S603, S607 - git, of the path
    except OSError as error:
        raise NotInstalledError(f"git: {error}") from error
