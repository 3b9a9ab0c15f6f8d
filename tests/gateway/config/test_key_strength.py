"""Keys that others may know or guess."""

import re
from dataclasses import replace

import pytest

from gateway.config.caller_keys import digest_of
from gateway.config.key_strength import PLACEHOLDER_KEYS, with_judged_keys
from gateway.config.loader import load
from gateway.config.settings import SettingsError
from tests.gateway.configs import with_account
from tests.support.sources import ROOT, held

LONG = "sk-of-a-caller-01"
REMEDY = 'write another one, as `echo "sk-$(openssl rand -hex 24)"` prints'


def test_an_example_key_of_the_documentation_is_refused_where_other_machines_reach_the_proxy(settings_of):
    settings = settings_of(with_account() | {"secret_authentication_tokens": [LONG, "sk-choose-your-own"]})
    with pytest.raises(SettingsError) as error:
        with_judged_keys(replace(settings, host="0.0.0.0"))

    assert [mistake.where for mistake in error.value.mistakes] == ["secret_authentication_tokens[1]"]
    assert str(error.value).startswith(f"{settings.source}: secret_authentication_tokens[1]: is an example key of the")
    assert "sk-choose" not in str(error.value)


def test_on_this_machine_an_example_key_of_the_documentation_is_warned_of(settings_of):
    settings = with_judged_keys(settings_of(with_account() | {"keys": [{"name": "alice", "key": "sk-demo"}]}))

    what = "is an example key of the documentation, which everybody can read"

    assert settings.warnings == (f"keys[0]: {what}; {REMEDY}",)


def test_the_hash_of_an_example_key_is_known_as_one(settings_of):
    named = {"name": "alice", "hash": "sha256:" + digest_of("sk-demo").hex()}
    settings = settings_of(with_account() | {"keys": [named]})

    assert "is an example key" in with_judged_keys(settings).warnings[0]


def test_a_short_key_is_warned_of_without_being_shown(settings_of):
    settings = settings_of(
        with_account() | {"host": "0.0.0.0", "secret_authentication_tokens": ["sk-15-characters"[:15]]}
    )

    assert settings.warnings == ()
    assert with_judged_keys(settings).warnings == (
        f"secret_authentication_tokens[0]: is shorter than 16 characters, so it can be guessed; {REMEDY}",
    )


def test_a_key_of_sixteen_characters_is_not_warned_of(settings_of):
    settings = settings_of(with_account() | {"secret_authentication_tokens": ["sk-16-characters"]})

    assert with_judged_keys(settings).warnings == ()


def test_a_short_key_from_a_variable_is_named_by_the_variable(write_config, home):
    env = {"SAP_AI_PROXY_SECRET_AUTHENTICATION_TOKENS": '["sk-short"]'}
    settings = with_judged_keys(load(write_config(with_account()), env, home))

    assert settings.warnings[0].startswith("SAP_AI_PROXY_SECRET_AUTHENTICATION_TOKENS[0]: is shorter than 16")


def test_the_demo_keeps_its_key_without_a_word(settings_of):
    settings = settings_of(with_account() | {"secret_authentication_tokens": ["sk-demo"]})
    demo = replace(settings, is_demo=True, host="0.0.0.0")

    assert with_judged_keys(demo) is demo


def test_every_key_that_the_documentation_shows_is_known_as_an_example():
    pages = [
        *ROOT.glob("*.md"),
        *(each for folder in ("docs", "deploy", "examples") for each in (ROOT / folder).rglob("*")),
    ]
    shown = {
        (path.name, key)
        for path in pages
        if path.suffix in {".md", ".json", ".sh", ".mjs", ".py", ".yml", ".yaml", ".toml"}
        and path.name != "CHANGELOG.md"
        for key in re.findall(
            r"\bsk-[A-Za-z0-9][\w.-]*|(?<=PROXY_KEY: )[A-Z-]+$", path.read_text("utf-8"), re.MULTILINE
        )
    }

    assert ("secret.example.yaml", "CHANGE-ME") in shown
    assert len(shown) > 5
    held(
        "Add these to PLACEHOLDER_KEYS in gateway/config/key_strength.py, or show one that is there.",
        sorted(f"{name}: {key}" for name, key in shown if key not in PLACEHOLDER_KEYS),
    )


def test_every_hash_that_the_documentation_shows_is_that_of_an_example_key():
    shown = set(re.findall(r"sha256:([0-9a-f]{64})", (ROOT / "docs/keys.md").read_text("utf-8")))

    assert shown
    assert shown <= {digest_of(key).hex() for key in PLACEHOLDER_KEYS}
