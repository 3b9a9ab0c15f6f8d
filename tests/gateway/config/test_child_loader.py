"""Settings that a child process loads: the same, and without what validates them in the process that has them."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config.child_loader import load_in_child, written_outcome
from gateway.config.loader import load
from gateway.config.settings import SettingsError
from tests.gateway.configs import KEY, with_account

WHOLE = with_account(service_key_json=None, service_key=KEY, deployment_ids={"gpt-5.5": "d1"}) | {
    "secret_authentication_tokens": ["sk-one"],
    "secret_signing_keys": ["a long random text"],
    "server": {"workers": 2, "admin_port": 3009},
    "model_filters": {"exclude": ["nano"]},
    "orchestration": {"timeout": 60, "per_model": {"gpt-5": {"fallbacks": ["gpt-5.5"]}}},
    "routing": {"strategy": "weighted", "aliases": {"fast": "gpt-5.5"}},
    "upstream": {"proxy": "http://proxy.example:8080", "no_proxy": "sap.example"},
}
LOAD = """
import sys
from pathlib import Path
from gateway.config.child_loader import load_in_child
from gateway.config.settings import SettingsError
try:
    settings = load_in_child(Path(sys.argv[1]), {}, None)
    said = f"{settings.port} {[module.__name__ for module in settings.extensions]}"
except SettingsError as error:
    said = str(error)
print(said, "pydantic" in sys.modules)
"""
"""Pytest's own threads are not there, as they are not where the proxy starts."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def said_by(file: Path, content: object) -> str:
    file.write_text(json.dumps(content), encoding="utf-8")
    (file.parent / "own.py").write_text("print('imported')\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", LOAD, file], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_all_that_settings_hold_passes_from_a_process_to_another(file: Path) -> None:
    file.write_text(json.dumps(WHOLE), encoding="utf-8")
    settings = load(file, {}, None)

    assert pickle.loads(written_outcome(file, {}, None)) == settings


def test_an_error_passes_with_every_mistake_and_warning(file: Path) -> None:
    file.write_text(json.dumps(WHOLE | {"port": "3001x", "log_levle": "info", "host": 5}), encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        load(file, {}, None)
    error = pickle.loads(written_outcome(file, {}, None))

    assert (str(error), error.mistakes, error.warnings) == (
        str(raised.value),
        raised.value.mistakes,
        raised.value.warnings,
    )


def test_what_validates_settings_is_not_loaded_where_they_are_used(file: Path) -> None:
    assert said_by(file, WHOLE | {"port": 3005}) == "3005 [] False"
    assert said_by(file, WHOLE | {"port": 0}) == f"{file}: port: is too small; write a number of at least 1 False"


def test_extensions_are_imported_once_where_they_are_used(file: Path) -> None:
    assert said_by(file, WHOLE | {"extensions": ["own"]}) == "imported\n3001 ['own'] True"


def test_a_child_that_dies_leaves_the_work_to_its_parent(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has gone wrong there is raised here."""
    file.write_text(json.dumps(WHOLE), encoding="utf-8")
    monkeypatch.setattr("threading.active_count", lambda: 1)
    monkeypatch.setattr(os, "fork", dead_child)

    assert load_in_child(file, {}, None) == load(file, {}, None)


def dead_child() -> int:
    """Fork a child that ends at once."""
    child = FORK()
    if child == 0:
        os._exit(1)
    return child


FORK = os.fork
