"""The description of the config file for editors."""

import json
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest

from gateway.config.caller_keys import CallerKey
from gateway.config.network import Proxy
from gateway.config.schema_file import SCHEMA_FILE, json_schema, secret_keys
from gateway.config.schema_writer import main, written_schema
from gateway.config.settings import Settings
from tests.gateway.configs import ANCESTOR
from tests.support.sources import held

ROOT = Path(__file__).parents[3]


def test_the_checked_in_schema_is_current():
    assert json_schema() == written_schema(), "run `make schema`"


def test_the_schema_is_written_as_it_is_checked_in(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.config.schema_writer.SCHEMA_FILE", tmp_path / "schema.json")
    main()

    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == SCHEMA_FILE.read_text(encoding="utf-8")


def test_the_schema_describes_every_key():
    schema = json_schema()

    bare = [
        f"{name}.{key}"
        for name, definition in [("", schema), *schema["$defs"].items()]
        for key, described in definition["properties"].items()
        if "description" not in described and "$ref" not in described
    ]

    held("Describe these in a docstring below the field, or by `description`, and run `make schema`.", bare)


def examples():
    return [ANCESTOR, *(json.loads(path.read_text()) for path in sorted(ROOT.glob("examples/**/*config*.json")))]


@pytest.mark.parametrize("config", examples())
def test_example_files_fit_the_schema(config):
    jsonschema.validate(config, json_schema())


@pytest.mark.parametrize("config", [{"port": "x"}, {"prot": 1}, {"secret_authentication_tokens": "abc"}])
def test_an_editor_finds_mistakes_by_the_schema(config):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, json_schema())


def test_every_setting_that_is_kept_as_a_secret_is_marked_as_one() -> None:
    kept = {each.name for each in (*fields(Settings), *fields(CallerKey), *fields(Proxy)) if "Secret" in str(each.type)}

    assert kept == {"secret", "signing_keys", "url"}
    assert secret_keys() == {"secret_authentication_tokens", "key", "hash", "secret_signing_keys", "proxy"}
