"""The libraries that are deployed: locked with their hashes, within their bounds, without a defect that is known."""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.sources import ROOT, held

DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUN_TIME = [Requirement(each) for each in PROJECT["project"]["dependencies"]]
OTEL = [Requirement(each) for each in PROJECT["project"]["optional-dependencies"]["otel"]]
BUILD = [Requirement(each) for each in PROJECT["build-system"]["requires"]]
NEEDED = {
    "requirements.txt": RUN_TIME,
    "requirements-otel.txt": [*RUN_TIME, *OTEL],
    "requirements-build.txt": BUILD,
}
"""What each lock file is made from."""
IDENTIFIER = re.compile(r"CVE-\d{4}-\d{4,}|GHSA(-[0-9a-z]{4}){3}|changelog")


def _audit() -> Any:
    """Load the script that audits, as `make audit` does."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci/audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


AUDIT = _audit()
KNOWN = tomllib.loads(AUDIT.KNOWN_DEFECTS.read_text(encoding="utf-8"))


def text_of(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def locked(name: str) -> dict[str, Any]:
    return AUDIT.read_lock(text_of(name))


def versions(name: str) -> dict[str, str]:
    return {package: entry.version for package, entry in locked(name).items()}


@pytest.mark.parametrize("name", NEEDED)
def test_every_dependency_is_locked_within_its_bound(name: str) -> None:
    found = versions(name)
    offenders = [
        f"{each} is wanted, {found.get(canonicalize_name(each.name), 'nothing')} is locked"
        for each in NEEDED[name]
        if not each.specifier.contains(found.get(canonicalize_name(each.name), "0"), prereleases=True)
    ]

    held("Run `make lock`.", offenders)


@pytest.mark.parametrize("name", NEEDED)
def test_every_locked_version_has_the_hashes_of_its_files_and_no_index_is_named(name: str) -> None:
    found, lines = locked(name), text_of(name).splitlines()
    entries = [line for line in lines if line and not line.startswith((" ", "#"))]

    assert len(found) == len(entries) > 0
    assert [package for package, entry in found.items() if not entry.hashes] == []
    assert [line for line in lines if "//" in line or line.startswith("-") or ";" in line] == []


def test_the_extra_adds_to_what_is_locked_without_it() -> None:
    without, added = locked("requirements.txt"), locked("requirements-otel.txt")

    assert {name: entry for name, entry in added.items() if name in without} == without
    assert {canonicalize_name(each.name) for each in OTEL} <= added.keys() - without.keys()


@pytest.mark.parametrize("name", NEEDED)
def test_no_locked_version_has_a_known_defect(name: str) -> None:
    held("Run `make lock`.", list(AUDIT.defects(versions(name), KNOWN)))


def test_no_lower_bound_lets_a_known_defect_in() -> None:
    lowest = {}
    for each in (*RUN_TIME, *OTEL, *BUILD):
        [bound] = each.specifier
        assert bound.operator == ">="
        lowest[canonicalize_name(each.name)] = bound.version

    held("Raise the bound in pyproject.toml.", list(AUDIT.defects(lowest, KNOWN)))


def test_a_known_defect_has_a_name_and_is_of_a_package_that_is_deployed() -> None:
    deployed = set().union(*(locked(name) for name in NEEDED))
    names = [each for fixed in KNOWN.values() for named in fixed.values() for each in named]

    assert sorted(KNOWN) == list(KNOWN)
    assert KNOWN.keys() - deployed == set()
    assert [each for each in names if not IDENTIFIER.fullmatch(each)] == []
    assert [f for fixed in KNOWN.values() for f in [[*map(Version, fixed)]] if f != sorted(f)] == []


def test_a_version_with_a_known_defect_is_noticed() -> None:
    found = list(AUDIT.defects({"orjson": "3.11.5", "idna": "3.15"}, KNOWN))

    assert found == ["orjson 3.11.5 has CVE-2025-67221: 3.11.6 is the first version without"]


def test_what_is_installed_must_be_what_is_locked() -> None:
    assert list(AUDIT.differences({"flask": "3.1.3"}, {"flask": "3.1.3"})) == []
    assert list(AUDIT.differences({"flask": "3.1.3", "idna": "3.15"}, {"flask": "3.1.2", "other": "1"})) == [
        "flask is 3.1.2, and 3.1.3 is locked",
        "idna is missing, and 3.15 is locked",
        "other is 1, and nothing is locked",
    ]


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        ([{"expression": "MPL-2.0 AND (Apache-2.0 OR MIT)"}], None),
        ([{"license": {"name": "License :: OSI Approved :: BSD License"}}, {"license": {"id": "MIT"}}], None),
        ([{"expression": "MIT AND GPL-3.0-only"}], "GPL-3.0-only"),
        ([{"license": {"name": "License :: Other/Proprietary License"}}], "License :: Other/Proprietary License"),
        ([], "none"),
    ],
)
def test_a_licence_must_be_one_of_those_that_are_allowed(told: list[Any], missing: str | None) -> None:
    found = list(AUDIT.not_allowed([{"name": "some", "version": "1", "licenses": told}]))
    wanted = [f"some has the licence {missing}, which .ci/audit.py does not list"] if missing else []

    assert found == wanted


def test_what_no_advisory_service_was_asked_about_does_not_count_as_clean() -> None:
    report = {
        "dependencies": [
            {"name": "flask", "version": "3.1.2", "vulns": [{"id": "CVE-2026-27205", "fix_versions": ["3.1.3"]}]},
            {"name": "idna", "version": "3.20", "vulns": []},
            {"name": "orjson", "skip_reason": "not found"},
        ]
    }

    assert AUDIT.advisories(report) == (["flask 3.1.2 has CVE-2026-27205: fixed in 3.1.3"], ["orjson"])


def test_building_and_installing_run_no_code_of_ours() -> None:
    setuptools = PROJECT["tool"]["setuptools"]

    assert PROJECT["build-system"].keys() == {"requires", "build-backend"}
    assert PROJECT["build-system"]["build-backend"] == "setuptools.build_meta"
    assert [name for name in ("setup.py", "setup.cfg", "MANIFEST.in") if (ROOT / name).exists()] == []
    assert setuptools.keys() == {"dynamic", "py-modules", "packages", "package-data"}
    assert list(ROOT.glob("gateway/**/*.pth")) == []


def test_what_is_installed_is_held_against_the_lock_in_a_release() -> None:
    release = (ROOT / ".ci/release").read_text(encoding="utf-8")
    supply = (ROOT / ".ci/supply").read_text(encoding="utf-8")

    assert ".ci/supply sbom" in release
    assert "--require-hashes --only-binary :all:" in supply
    assert Path(ROOT / ".ci/supply").stat().st_mode & 0o111 != 0
