"""The keys of callers, as the config file and the environment write them."""

import json
import subprocess

import pytest

from gateway.config.caller_keys import CallerKey, digest_of, key_for_models, key_for_operations, unnamed_key
from gateway.config.loader import load
from gateway.config.service_keys import Secret
from tests.gateway.configs import with_account

ALICE = {"name": "alice", "key": "sk-of-alice-0123456789"}
HASH = "sha256:" + digest_of("sk-of-ops-0123456789").hex()
OPS = {"name": "ops", "hash": HASH, "admin": True}
TOKEN = "sk-token-0123456789"
TOKEN_NAME = digest_of(TOKEN).hex()[:8]


def keys_of(settings):
    return [(key.name, key.secret and key.secret.reveal(), key.is_admin) for key in settings.keys]


def test_named_keys_stand_beside_the_old_list(settings_of):
    settings = settings_of(with_account() | {"secret_authentication_tokens": [TOKEN], "keys": [ALICE, OPS]})

    assert keys_of(settings) == [
        (TOKEN_NAME, TOKEN, False),
        ("alice", "sk-of-alice-0123456789", False),
        ("ops", None, True),
    ]
    assert [key.digest for key in settings.keys][2] == digest_of("sk-of-ops-0123456789")
    assert "sk-of-alice" not in repr(settings)


def test_named_keys_alone_open_the_proxy_to_other_machines(settings_of):
    settings = settings_of(with_account() | {"host": "0.0.0.0", "keys": [ALICE]})

    assert (settings.host, settings.warnings) == ("0.0.0.0", ())


def test_a_named_key_may_take_its_value_from_a_variable(settings_of):
    config = with_account() | {"keys": [{"name": "alice", "key": "${ALICE}"}, {"name": "ops", "hash": "${OPS}"}]}
    settings = settings_of(config, {"ALICE": "sk-from-elsewhere-01\n", "OPS": HASH})

    assert keys_of(settings) == [("alice", "sk-from-elsewhere-01", False), ("ops", None, False)]


def test_all_named_keys_may_stand_in_one_variable(write_config, home):
    env = {"SAP_AI_PROXY_KEYS": json.dumps([ALICE, OPS])}
    settings = load(write_config(with_account() | {"keys": [{"name": "old", "key": "sk-old"}]}), env, home)

    assert [key.name for key in settings.keys] == ["alice", "ops"]


def test_the_old_list_may_name_a_key_twice(settings_of):
    settings = settings_of(with_account() | {"secret_authentication_tokens": [TOKEN, "sk-2", TOKEN]})

    assert [key.secret.reveal() for key in settings.keys] == [TOKEN, "sk-2"]


def test_the_shell_line_in_the_message_makes_the_hash_that_is_asked_for():
    line = "printf %s 'sk-of-ops-0123456789' | sha256sum"
    digits = subprocess.run(["sh", "-c", line], capture_output=True, check=True, text=True).stdout.split()[0]

    assert f"sha256:{digits}" == HASH


@pytest.mark.parametrize(
    ("keys", "where", "words"),
    [
        ({"alice": "sk"}, "keys", "must be a list"),
        (["sk-1"], "keys[0]", "must be an object, not a string"),
        ([{"key": "sk-1"}], "keys[0].name", "is missing"),
        ([{**ALICE, "name": ""}], "keys[0].name", "is empty"),
        ([{**ALICE, "name": "al ice"}], "keys[0].name", "'al ice' does not fit into log lines; write at most 64"),
        ([{**ALICE, "name": "al\nice"}], "keys[0].name", "does not fit into log lines"),
        ([{**ALICE, "name": "élise"}], "keys[0].name", "does not fit into log lines"),
        ([{**ALICE, "name": "a" * 65}], "keys[0].name", "does not fit into log lines"),
        ([{**ALICE, "name": "anonymous"}], "keys[0].name", "'anonymous' is reserved"),
        ([{**ALICE, "name": "0a1b2c3d"}], "keys[0].name", "'0a1b2c3d' is reserved"),
        ([ALICE, {**ALICE, "key": "sk-2"}], "keys[1].name", "'alice' is the name of keys[0] too; write another name"),
        ([ALICE, {**ALICE, "name": "bob"}], "keys[1]", "is the same key as keys[0]; write another key"),
        ([{**ALICE, "key": TOKEN}], "keys[0]", "is the same key as secret_authentication_tokens[0]"),
        ([{**OPS, "hash": "sha256:" + TOKEN}], "keys[0].hash", "write sha256: and the 64 digits that `printf %s"),
        ([{**OPS, "hash": HASH[7:]}], "keys[0].hash", "is not the hash of a key"),
        ([{"name": "alice"}], "keys[0]", "has no key; write its key or its hash (the key of 'alice')"),
        ([{**ALICE, "hash": HASH}], "keys[0]", "has both a key and a hash; keep one of them (the key of 'alice')"),
        ([{**ALICE, "key": ""}], "keys[0].key", "is empty"),
        ([{**ALICE, "key": " "}], "keys[0].key", "is blank"),
        ([{**ALICE, "key": "${NOT_SET}"}], "keys[0].key", "variable NOT_SET is not set"),
        ([{**ALICE, "key": "sk-\u00a01"}], "keys[0].key", "has a character that no header can carry"),
        ([{**ALICE, "key": "sk-1\nsk-2"}], "keys[0].key", "has a character that no header can carry"),
        ([{**ALICE, "key": "sk-ключ"}], "keys[0].key", "has a character that no header can carry"),
        ([{**ALICE, "key": "bearer sk-1"}], "keys[0].key", 'begins with "Bearer "'),
        ([{**ALICE, "admin": "perhaps"}], "keys[0].admin", "must be true or false, not a string"),
    ],
)
def test_a_mistake_in_a_key_is_reported_where_it_stands_and_without_the_key(mistakes_in, keys, where, words):
    found = mistakes_in(with_account() | {"secret_authentication_tokens": [TOKEN], "keys": keys})

    assert list(found) == [where]
    assert words in found[where]
    assert "sk-" not in found[where]


def test_a_mistake_in_a_key_does_not_add_that_there_are_no_keys(mistakes_in):
    assert list(mistakes_in(with_account() | {"host": "0.0.0.0", "keys": [{**ALICE, "name": "é"}]})) == ["keys[0].name"]


def test_a_misspelled_property_of_a_key_is_named_with_what_may_be_meant(settings_of):
    settings = settings_of(with_account() | {"keys": [{**ALICE, "admn": True}]})

    assert settings.warnings == ('keys[0].admn: this key is unknown and has no effect; did you mean "admin"?',)


TEXT = CallerKey("plain", b"1", Secret("sk-plain"))
HASHED = CallerKey("hashed", b"2")
ADMIN = CallerKey("root", b"3", Secret("sk-root"), is_admin=True)
HASHED_ADMIN = CallerKey("far", b"4", is_admin=True)


@pytest.mark.parametrize(
    ("keys", "for_models", "for_operations"),
    [
        ([], None, None),
        ([TEXT, unnamed_key("sk-2")], "sk-plain", "sk-plain"),
        ([ADMIN, TEXT], "sk-plain", "sk-root"),
        ([HASHED, TEXT], "sk-plain", "sk-plain"),
        ([ADMIN], "sk-root", "sk-root"),
        ([ADMIN, HASHED], None, "sk-root"),
        ([TEXT, HASHED_ADMIN], "sk-plain", None),
        ([HASHED], None, None),
    ],
)
def test_tools_get_an_admin_key_only_where_every_key_is_one(keys, for_models, for_operations):
    chosen = [choose(keys) for choose in (key_for_models, key_for_operations)]

    assert [key and key.reveal() for key in chosen] == [for_models, for_operations]
