"""Hold the versions that are deployed against what is known of them: audit.py LOCK SBOM [PIP_AUDIT].

The lock file names versions and hashes, and the SBOM what was installed from it. The two must name the same. No version
may have a known defect, and every licence must be allowed. pip-audit asks an advisory service, if one can be reached.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

KNOWN_DEFECTS = Path(__file__).with_name("known_defects.toml")
ALLOWED = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MPL-2.0", "PSF-2.0"}
"""Licences, by their SPDX names. A new one is a decision: it must let anybody serve the proxy, and pass it on."""
CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""Older names of licences, and what they mean."""
UNNAMED = {"protobuf": "BSD-3-Clause"}
"""The licence of packages that say it in words of their own."""

_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)([^\n]*(?:\n +--hash=\S+(?: \\)?)*)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")


@dataclass(frozen=True, slots=True)
class Locked:
    """One entry of a lock file: the version, and the SHA-256 of each file that it may be installed from."""

    version: str
    hashes: tuple[str, ...]


def read_lock(text: str) -> dict[str, Locked]:
    """Read a lock file, as uv writes it, and give its entries by their normalized names."""
    return {
        canonicalize_name(name): Locked(version, tuple(_HASH.findall(rest)))
        for name, version, rest in _ENTRY.findall(text)
    }


def defects(versions: Mapping[str, str], known: Mapping[str, Mapping[str, list[str]]]) -> Iterator[str]:
    """Say which versions have a known defect."""
    for name, version in versions.items():
        for fixed, identifiers in known.get(name, {}).items():
            if Version(version) < Version(fixed):
                yield f"{name} {version} has {', '.join(identifiers)}: {fixed} is the first version without"


def differences(locked: Mapping[str, str], installed: Mapping[str, str]) -> Iterator[str]:
    """Say where what is installed is not what is locked."""
    for name in sorted(locked.keys() | installed.keys()):
        if locked.get(name) != installed.get(name):
            yield f"{name} is {installed.get(name, 'missing')}, and {locked.get(name, 'nothing')} is locked"


def licences(component: Mapping[str, Any]) -> set[str]:
    """Name the licences of a component of an SBOM, by their SPDX names where these are known."""
    found = [each.get("expression") or _named(each["license"]) for each in component.get("licenses", [])]
    told = found or [UNNAMED.get(canonicalize_name(component["name"]), "none")]
    return {CLASSIFIERS.get(one, one) for each in told for one in _parts(each)}


def not_allowed(components: list[dict[str, Any]]) -> Iterator[str]:
    """Say which components have a licence that is not allowed."""
    for component in components:
        if unknown := sorted(licences(component) - ALLOWED):
            yield f"{component['name']} has the licence {', '.join(unknown)}, which .ci/audit.py does not list"


def advisories(report: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Give what pip-audit found, and the packages that it could not ask for."""
    told = report["dependencies"]
    found = [
        f"{each['name']} {each['version']} has {one['id']}: fixed in {', '.join(one['fix_versions']) or 'no version'}"
        for each in told
        for one in each.get("vulns", [])
    ]
    return found, [each["name"] for each in told if "skip_reason" in each]


def _named(licence: Mapping[str, str]) -> str:
    return licence.get("id") or licence["name"]


def _parts(licence: str) -> list[str]:
    """Take an SPDX expression apart; a classifier has words of its own."""
    if "::" in licence:
        return [licence]
    return [part for part in re.split(r"[()\s]+", licence) if part and part not in {"AND", "OR"}]


def _ask(pip_audit: str, lock: str) -> tuple[list[str], str]:
    """Ask the advisory service. Give what it knows, and how far it was asked."""
    asked = subprocess.run(  # noqa: S603 - the tool of .ci/supply
        [pip_audit, "-r", lock, "--disable-pip", "--progress-spinner=off", "--format=json"],
        check=False,
        capture_output=True,
        text=True,
    )
    if not asked.stdout.startswith("{"):
        return [], "NOT asked: no advisory service can be reached"
    found, unanswered = advisories(json.loads(asked.stdout))
    return (
        found,
        f"NOT asked about {len(unanswered)} packages: it does not know them" if unanswered else "asked about all",
    )


def main(lock: str, sbom: str, pip_audit: str = "") -> int:
    """Print what is wrong, and what was looked at; give 0 if nothing is wrong."""
    locked = read_lock(Path(lock).read_text(encoding="utf-8"))
    versions = {name: entry.version for name, entry in locked.items()}
    components = json.loads(Path(sbom).read_text(encoding="utf-8"))["components"]
    installed = {canonicalize_name(each["name"]): each["version"] for each in components}
    known = tomllib.loads(KNOWN_DEFECTS.read_text(encoding="utf-8"))
    wrong = [*differences(versions, installed), *defects(versions, known), *not_allowed(components)]
    print(f"  {len(installed)} packages are installed as locked, by their hashes")
    print(f"  known defects: {len(known)} packages have some in older versions")
    print(f"  licences: {', '.join(sorted({one for each in components for one in licences(each)}))}")
    if pip_audit:
        found, extent = _ask(pip_audit, lock)
        wrong += found
        print(f"  advisories: {extent}")
    for each in wrong:
        print(f"audit: {each}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
