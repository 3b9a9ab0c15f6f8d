"""Installation of a commit of this repository, or of its current files, in a separate environment."""

import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

from benchmarks.installing import HERE, NotInstalledError, run_installer

ROOT = HERE.parent


def commit_of(name: str, root: Path = ROOT) -> str:
    """Return the full id of the commit called *name*; raises `NotInstalledError` if there is none."""
    try:
        found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except subprocess.CalledProcessError as error:
        raise NotInstalledError(f"there is no commit {name!r}") from error
    return found.decode().strip()


def exported(commit: str | None, folder: Path, root: Path = ROOT) -> None:
    """Write the files of a commit to an empty *folder*; without a commit, the files of the checkout that git would add.

    It uses no worktree, so it leaves nothing in the repository even if it is interrupted.
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
    """Install a commit or the current files below *folder*; return the command.

    Raises `NotInstalledError` if that fails.
    """
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
