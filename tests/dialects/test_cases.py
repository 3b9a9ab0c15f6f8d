"""What ``make fuzz`` has found, once and for all."""

import json
import signal

import pytest

from tests import fuzz


@pytest.mark.parametrize("path", sorted(fuzz.CASES.glob("*.json")), ids=lambda path: path.stem)
def test_what_was_found_is_mended(path):
    with fuzz.impatient(fuzz.PATIENCE):
        fuzz.replay(json.loads(path.read_text()))


def test_every_backend_has_models_to_be_asked_for():
    assert fuzz.MODELS.keys() == fuzz.BACKENDS.keys()


def test_what_hangs_is_noticed():
    with pytest.raises(TimeoutError), fuzz.impatient(1):
        signal.pause()


def test_every_target_is_fed_and_what_fails_is_kept(tmp_path, monkeypatch, capsys):
    def fail(case):
        raise KeyError(case["client"])

    monkeypatch.setattr(fuzz, "CASES", tmp_path)
    broken = fuzz.Target(fuzz.TARGETS["request"].make, fail)
    monkeypatch.setattr(fuzz, "TARGETS", {**fuzz.TARGETS, "request": broken})
    fuzzer = fuzz.Fuzzer(seed=1)
    for name in fuzz.TARGETS:
        fuzzer.step(name)
        fuzzer.step(name)

    assert set(fuzzer.runs) == set(fuzz.TARGETS)
    assert {json.loads(path.read_text())["target"] for path in tmp_path.glob("*.json")} == {"request"}
    assert set(fuzzer.finds.values()) == {path.name for path in tmp_path.glob("*.json")}
    assert "KeyError" in capsys.readouterr().out
