"""Installation of what the benchmarks need into a folder of their own, once, with pip, npm, apt-get and cc."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
_PATIENCE = 1_200.0


class NotInstalledError(RuntimeError):
    """Raised if something could not be installed. The text says what and why."""


def cache_folder(env: Mapping[str, str]) -> Path:
    """Return the folder for installations: BENCH_CACHE, or one in the user's cache."""
    base = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME", "/tmp")) / ".cache")  # noqa: S108 - nobody's home
    folder = Path(env.get("BENCH_CACHE") or base / "sap-ai-proxy-bench").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def compiled(cache: Path, source: str) -> Path:
    """Compile a C file of this folder unless that is done already; raises `NotInstalledError` if it fails."""
    path = HERE / source
    content = b"".join(each.read_bytes() for each in (path, *sorted(HERE.glob("*.h"))))
    program = cache / f"{path.stem}-{hashlib.sha256(content).hexdigest()[:12]}"
    if not program.exists():
        compiler = shutil.which("cc")
        if not compiler:
            raise NotInstalledError("there is no C compiler: install cc")
        fresh = program.with_suffix(f".{os.getpid()}")
        run_installer([compiler, "-O2", "-Wall", "-Wextra", "-o", str(fresh), str(path)], cache / f"{path.stem}.log")
        fresh.replace(program)
    return program


def virtualenv(cache: Path, name: str, *requirements: str) -> Path:
    """Create a virtual environment with these packages unless it exists; return its bin folder."""
    folder = cache / name
    stamp = folder / "requirements"
    wanted = "\n".join((sys.version, *requirements))
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        log = cache / f"{name}.log"
        run_installer([sys.executable, "-m", "venv", str(folder)], log)
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run_installer([*pip, *requirements], log)
        stamp.write_text(wanted)
    return folder / "bin"


def npm_package(cache: Path, name: str, package: str, overrides: Mapping[str, str]) -> Path:
    """Install an npm package without running its scripts unless it is installed; return its folder.

    *overrides* are versions of its dependencies, in place of versions that do not work.
    """
    folder = cache / name
    installed = folder / "node_modules" / package
    manifest = folder / "package.json"
    wanted = {"private": True, "dependencies": {package: "*"}, "overrides": dict(overrides)}
    if not installed.exists() or json.loads(manifest.read_text()) != wanted:
        for tool in ("npm", "node"):
            if not shutil.which(tool):
                raise NotInstalledError(f"there is no {tool}")
        quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts"]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        manifest.write_text(json.dumps(wanted))
        run_installer(["npm", "install", *quiet, "--prefix", str(folder)], cache / f"{name}.log")
    return installed


def debian_program(cache: Path, package: str, program: str) -> Path:
    """Return a program of this machine, or unpack it from its Debian package without installing that."""
    found = shutil.which(Path(program).name)
    if found:
        return Path(found)
    folder = cache / package
    unpacked = folder / program.lstrip("/")
    if not unpacked.exists():
        if not shutil.which("apt-get"):
            raise NotInstalledError(f"there is neither {package} nor apt-get")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        log = cache / f"{package}.log"
        run_installer(["apt-get", "download", package], log, folder)
        [archive, *_] = folder.glob("*.deb")
        run_installer(["dpkg-deb", "--extract", str(archive), str(folder)], log)
    return unpacked


def run_installer(command: Sequence[str], log: Path, folder: Path | None = None) -> None:
    """Run an installer; raises `NotInstalledError` with the last line of its output if it fails."""
    with log.open("w+") as out:
        try:
            code = subprocess.run(  # noqa: S603 - the commands are our own
                command, check=False, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=_PATIENCE
            ).returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotInstalledError(f"{command[0]}: {error}") from error
        out.seek(0)
        last = ([line for line in out.read().splitlines() if line.strip()] or [""])[-1]
    if code:
        raise NotInstalledError(f"{Path(command[0]).name} failed ({log}): {last.strip()}")
