"""What runs beside `make`: GitHub's workflows, the hooks before a commit, and what editors are told."""

import configparser
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.sources import ROOT, held, name_of

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github").rglob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
SCRIPT = re.compile(r"(?<![\w/])\.ci/[\w.]+")
TEXTS = {".css", ".html", ".js", ".json", ".md", ".mjs", ".py", ".sh", ".toml", ".yaml", ".yml"}
AS_THEY_CAME = {"tests/wire", "tests/dialects/cases"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def targets_called(script: str) -> set[str]:
    """Name the make targets that a script calls."""
    calls = re.findall(r"^.*?\bmake((?: +[\w=.$\"-]+)+)", script, re.MULTILINE)
    return {word for call in calls for word in call.split() if "=" not in word and not word.startswith("-")}


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in read(workflow)["jobs"].values():
        yield from job["steps"]


def runs(workflow: Path) -> str:
    return "\n".join(step["run"] for step in steps(workflow) if "run" in step)


def made() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", FORMS, ids=name_of)
def test_every_file_of_github_can_be_read(path: Path) -> None:
    assert isinstance(read(path), dict)


def test_every_target_and_script_of_a_workflow_exists() -> None:
    said = "\n".join(runs(path) for path in WORKFLOWS)
    absent = [f"make {target}" for target in targets_called(said) - made()]
    absent += [script for script in SCRIPT.findall(said) if not (ROOT / script).is_file()]

    assert targets_called(said) != set()
    held("What a workflow calls exists.", absent)


def test_the_workflow_calls_each_target_and_script_of_our_own_ci() -> None:
    own = (ROOT / ".ci/run").read_text(encoding="utf-8")
    said = runs(ROOT / ".github/workflows/ci.yml")
    wanted = {*targets_called(own), *SCRIPT.findall(own)}

    assert {"types", "lint", "test-cov", ".ci/packages"} <= wanted
    held("Add what .ci/run calls.", sorted(wanted - {*targets_called(said), *SCRIPT.findall(said)}))


def test_the_workflow_tests_each_python_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [found for each in project["classifiers"] if (found := each.rpartition("Python :: ")[2]) != each]

    assert read(ROOT / ".github/workflows/ci.yml")["jobs"]["check"]["strategy"]["matrix"]["python"] == named


def test_workflows_may_read_alone_know_no_secret_and_pin_what_they_use() -> None:
    offenders = []
    for path in WORKFLOWS:
        workflow, used = read(path), [step["uses"] for step in steps(path) if "uses" in step]
        granted = [workflow.get("permissions"), *(job.get("permissions", {}) for job in workflow["jobs"].values())]
        offenders += [f"{each} is no commit" for each in used if not PINNED.fullmatch(each)]
        offenders += [f"{name_of(path)} grants {more}" for more in granted if more not in ({"contents": "read"}, {})]
        if "secrets." in path.read_text(encoding="utf-8"):
            offenders.append(f"{name_of(path)} asks for a secret")

    held("A workflow that is taken over can do little.", offenders)


def test_scripts_that_a_workflow_runs_by_their_name_can_be_run() -> None:
    called = [line.split()[0] for path in WORKFLOWS for line in runs(path).splitlines() if line.startswith(".ci/")]

    assert called != []
    assert [script for script in called if not os.access(ROOT / script, os.X_OK)] == []


def test_hooks_before_a_commit_are_the_tools_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    hooks = [hook for repo in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    entries = [hook["entry"].removesuffix(" --force-exclude") for hook in hooks]

    assert entries == [".venv/bin/ruff format", ".venv/bin/ruff check", ".venv/bin/mypy"]
    assert [entry for entry in entries if entry.replace(".venv/bin", "$(BIN)") not in makefile] == []


def editor() -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(delimiters="=")
    parser.read_string("[top]\n" + (ROOT / ".editorconfig").read_text(encoding="utf-8"))
    return {name: dict(parser[name]) for name in parser.sections()}


def test_editors_are_told_what_ruff_holds() -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    told = editor()

    assert told["*.py"] == {"max_line_length": str(ruff["line-length"])}
    assert (told["*"]["indent_style"], told["*"]["indent_size"]) == ("space", "4")
    assert told["Makefile"] == {"indent_style": "tab"}


def texts() -> Iterator[Path]:
    """List our own files of text; what stands beside them, such as environments, is not looked at."""
    tops = [each for each in ROOT.iterdir() if each.name in {".ci", ".github"} or not each.name.startswith(".")]
    tops = [each for each in tops if each.name not in {"build", "dist", "htmlcov", "mutants", "node_modules"}]
    for top in tops:
        for path in top.rglob("*") if top.is_dir() else [top]:
            if path.suffix in TEXTS and not any(name_of(path).startswith(each) for each in AS_THEY_CAME):
                yield path


def untidy(text: bytes) -> Iterator[str]:
    """Say what of a file is not as .editorconfig wants it."""
    if b"\r" in text:
        yield "a line does not end with LF"
    if text and not text.endswith(b"\n"):
        yield "the last line has no end"
    if re.search(rb"[ \t]$", text, re.MULTILINE):
        yield "a line ends with a blank"
    if re.search(rb"^ *\t", text, re.MULTILINE):
        yield "a line begins with a tab"


def test_every_text_is_as_editors_are_told() -> None:
    offenders = [f"{name_of(path)}: {fault}" for path in texts() for fault in untidy(path.read_bytes())]

    held("Let the editor read .editorconfig.", offenders)


@pytest.mark.parametrize("text", [b"a\r\n", b"a", b"a \nb\n", b"\ta\n"])
def test_a_text_that_is_not_as_editors_are_told_is_noticed(text: bytes) -> None:
    assert len(list(untidy(text))) == 1
