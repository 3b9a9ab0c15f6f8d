"""Service keys, from every place they come from and with everything that can be wrong with them."""

import json
from pathlib import Path

import pytest

from gateway.config.mistakes import ServiceKeyError
from gateway.config.service_keys import (
    CertificateFiles,
    CertificateText,
    Secret,
    expand,
    find,
    home_folder,
    load_json,
    parse,
    read_file,
    secret_of,
)

KEY = {
    "clientid": "sb-1!b2|aicore!b540",
    "clientsecret": "abc$Def=",
    "url": "https://eu.authentication.example",
    "identityzoneid": "zone-1",
    "serviceurls": {"AI_API_URL": "https://api.ai.example"},
}
VARIABLES = {
    "AICORE_CLIENT_ID": "id",
    "AICORE_CLIENT_SECRET": "secret",
    "AICORE_AUTH_URL": "https://auth.example",
    "AICORE_BASE_URL": "https://api.example/v2",
}


def read(raw, env=None, base=Path()):
    return parse(raw, env=env or {}, base=base)


def mistakes(raw, env=None, base=Path()):
    with pytest.raises(ServiceKeyError) as caught:
        read(raw, env, base)
    return {mistake.where: mistake.what for mistake in caught.value.mistakes}


def test_a_key_from_the_cockpit_is_read_whole():
    key = read(KEY)

    assert (key.client_id, key.proof, key.tenant) == ("sb-1!b2|aicore!b540", Secret("abc$Def="), "zone-1")
    assert key.token_url == "https://eu.authentication.example/oauth/token"
    assert key.api_url == "https://api.ai.example/v2"


@pytest.mark.parametrize("url", ["https://a.example", "https://a.example/", "https://a.example/oauth/token"])
def test_the_token_url_is_the_same_however_it_is_written(url):
    assert read(KEY | {"url": url}).token_url == "https://a.example/oauth/token"


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://a.example/", "https://a.example/v2", "https://a.example/v2/"]
)
def test_the_api_url_is_the_same_however_it_is_written(url):
    assert read(KEY | {"serviceurls": {"AI_API_URL": url}}).api_url == "https://a.example/v2"


def test_a_key_inside_credentials_is_read_too():
    assert read({"credentials": KEY}) == read(KEY)
    assert mistakes({"credentials": "x"}) == {
        "credentials": "must be an object, not a string; write the service key in braces"
    }


def test_a_key_that_has_no_tenant_id_has_an_empty_one():
    assert read({name: value for name, value in KEY.items() if name != "identityzoneid"}).tenant == ""


def test_line_ends_of_a_certificate_in_one_line_are_put_back():
    raw = {name: value for name, value in KEY.items() if name != "clientsecret"}
    raw |= {"certificate": "BEGIN\\nabc\\nEND", "key": "BEGIN\\nkey\\nEND\\n", "certurl": "https://eu.cert.example"}

    key = read(raw)

    assert key.proof == CertificateText("BEGIN\nabc\nEND\n", Secret("BEGIN\nkey\nEND\n"))
    assert key.token_url == "https://eu.cert.example/oauth/token"


def test_certificate_files_are_found_from_the_folder_of_the_key(tmp_path):
    (tmp_path / "c.pem").write_text("c")
    (tmp_path / "k.pem").write_text("k")
    raw = {name: value for name, value in KEY.items() if name != "clientsecret"}
    raw |= {"cert_file_path": "c.pem", "key_file_path": "k.pem"}

    assert read(raw, base=tmp_path).proof == CertificateFiles(tmp_path / "c.pem", tmp_path / "k.pem")

    (tmp_path / "k.pem").unlink()
    assert mistakes(raw, base=tmp_path) == {
        "key_file_path": f"names {tmp_path / 'k.pem'}, which does not exist; correct the path"
    }


def test_what_only_the_client_knows_is_its_secret_or_the_key_of_its_certificate(tmp_path):
    (tmp_path / "k.pem").write_text("a key")
    (tmp_path / "odd.pem").write_bytes(b"\xff")
    files = [CertificateFiles(tmp_path / "c.pem", tmp_path / name) for name in ("k.pem", "odd.pem", "none.pem")]
    proofs = [Secret("abc"), CertificateText("public", Secret("private")), *files]

    assert [secret_of(proof) for proof in proofs] == ["abc", "private", "a key", "", ""]


def test_everything_that_is_missing_is_named_at_once():
    assert set(mistakes({})) == {"clientid", "clientsecret", "url", "serviceurls.AI_API_URL"}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"clientid": 7}, "clientid"),
        ({"clientsecret": ["x"]}, "clientsecret"),
        ({"clientsecret": None}, "clientsecret"),
        ({"url": "eu.authentication.example"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://a b"}, "url"),
        ({"url": "https://[a"}, "url"),
        ({"serviceurls": {"AI_API_URL": "ftp://x"}}, "serviceurls.AI_API_URL"),
        ({"serviceurls": "x"}, "serviceurls.AI_API_URL"),
        ({"serviceurls": {"AI_API_URL": "${NOPE}"}}, "serviceurls.AI_API_URL"),
        ({"certificate": "c", "key": "k"}, "clientsecret"),
        ({"clientsecret": "", "certificate": "c"}, "key"),
        ({"clientsecret": "", "key": "k"}, "certificate"),
        ({"clientsecret": "", "cert_file_path": "c"}, "key_file_path"),
        ({"clientsecret": "", "key_file_path": "k"}, "cert_file_path"),
    ],
)
def test_one_mistake_is_reported_where_it_stands_and_alone(change, where):
    assert [where] == list(mistakes(KEY | change))


@pytest.mark.parametrize(
    ("raw", "kind"), [(None, "null"), (True, "true or false"), (1.5, "a number"), ("x", "a string"), ([1], "a list")]
)
def test_what_is_no_object_is_named_and_not_quoted(raw, kind):
    assert mistakes(raw) == {"": f"must be an object, not {kind}; write the service key in braces"}


def test_variables_are_put_in_and_a_missing_one_is_named():
    raw = KEY | {"clientsecret": "${PART}-$${PART}-$Def"}

    assert read(raw, {"PART": "one"}).proof == Secret("one-${PART}-$Def")
    assert mistakes(raw) == {"clientsecret": "the environment variable PART is not set; set it"}


def test_expansion_leaves_other_dollars_alone():
    assert expand("a$b ${C} $$", {"C": "c"}) == "a$b c $$"


def test_a_secret_shows_itself_in_no_repr_and_no_error(tmp_path):
    key = read(KEY | {"clientsecret": "hunter2"})

    assert "hunter2" not in repr(key) + str(key) + f"{key}"
    assert "hunter2" not in str(
        mistakes(KEY | {"clientsecret": "hunter2", "url": "nope", "certificate": "c", "key": "k"})
    )


def test_a_key_file_is_read_with_or_without_a_byte_order_mark(tmp_path):
    file = tmp_path / "key.json"
    file.write_text(json.dumps(KEY), encoding="utf-8-sig")

    assert read_file(file, env={}) == read(KEY)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b'{"a": hunter2}', "at line 1, column 7"), (b"\xff\xfe\x00", "is not UTF-8 text")],
)
def test_a_file_that_cannot_be_read_is_described_and_not_quoted(tmp_path, content, words):
    file = tmp_path / "key.json"
    file.write_bytes(content)

    with pytest.raises(ServiceKeyError, match=words) as caught:
        load_json(file)

    assert "hunter2" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(ServiceKeyError, match="there is no file"):
        load_json(tmp_path / "nope.json")
    with pytest.raises(ServiceKeyError, match="cannot read"):
        load_json(tmp_path)


def test_the_environment_is_searched_in_the_order_of_saps_tools(tmp_path):
    """Each place is used when all before it are empty."""
    (tmp_path / ".aicore").mkdir()
    (tmp_path / ".aicore" / "config.json").write_text(
        json.dumps(VARIABLES | {"AICORE_CLIENT_ID": "from-file", "AICORE_RESOURCE_GROUP": "file-group"})
    )
    env = {
        "AICORE_SERVICE_KEY": json.dumps(KEY | {"clientid": "from-key"}),
        **VARIABLES,
        "AICORE_CLIENT_ID": "from-variables",
        "VCAP_SERVICES": json.dumps({"aicore": [{"credentials": KEY | {"clientid": "from-vcap"}}]}),
    }
    found = [find(env, tmp_path)]
    del env["AICORE_SERVICE_KEY"]
    found.append(find(env, tmp_path))
    for name in VARIABLES:
        del env[name]
    found.append(find(env, tmp_path))
    (tmp_path / ".aicore" / "config.json").unlink()
    found.append(find(env, tmp_path))
    found.append(find({}, tmp_path))

    assert [each and each.key.client_id for each in found] == [
        "from-key", "from-variables", "from-file", "from-vcap", None,
    ]  # fmt: skip
    assert [each and each.resource_group for each in found] == ["file-group"] * 3 + ["default", None]


def test_the_resource_group_of_the_environment_wins_over_that_of_the_file(tmp_path):
    (tmp_path / ".aicore").mkdir()
    (tmp_path / ".aicore" / "config.json").write_text('{"AICORE_RESOURCE_GROUP": "team-b"}')

    assert find(VARIABLES | {"AICORE_RESOURCE_GROUP": "team-a"}, tmp_path).resource_group == "team-a"
    assert find(VARIABLES, tmp_path).resource_group == "team-b"


def test_a_certificate_in_the_environment_replaces_the_secret(tmp_path):
    env = {name: value for name, value in VARIABLES.items() if name != "AICORE_CLIENT_SECRET"}
    env |= {"AICORE_CERT_STR": "c", "AICORE_KEY_STR": "k", "AICORE_CERT_URL": "https://cert.example"}

    key = find(env, tmp_path).key

    assert (key.proof, key.token_url) == (CertificateText("c\n", Secret("k\n")), "https://cert.example/oauth/token")


def test_profile_home_and_named_file_choose_the_configuration_file(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("config.json", "config_work.json", "named.json"):
        (other / name).write_text(json.dumps(VARIABLES | {"AICORE_CLIENT_ID": name}))

    def who(**env):
        return find(env, tmp_path).key.client_id

    assert who(AICORE_HOME=str(other)) == "config.json"
    assert who(AICORE_HOME=str(other), AICORE_PROFILE="default") == "config.json"
    assert who(AICORE_HOME=str(other), AICORE_PROFILE="work") == "config_work.json"
    assert who(AICORE_CONFIG=str(other / "named.json"), AICORE_PROFILE="work") == "named.json"


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"AICORE_PROFILE": "work"}, "there is no file .*config_work.json"),
        ({"AICORE_CONFIG": "/nowhere/x.json"}, "there is no file /nowhere/x.json"),
        ({"AICORE_SERVICE_KEY": "{"}, "AICORE_SERVICE_KEY: is not valid JSON"),
        ({"AICORE_SERVICE_KEY": "9" * 5_000}, "is not valid JSON: one of its numbers has too many digits"),
        ({"AICORE_SERVICE_KEY": "[" * 100_000}, "is not valid JSON: it is nested too deeply"),
        ({"AICORE_CLIENT_ID": "x"}, "the AICORE_\\* variables.clientsecret: is missing"),
        (
            {"VCAP_SERVICES": '{"aicore": [{"credentials": {"clientid": "x"}}]}'},
            "VCAP_SERVICES.clientsecret: is missing",
        ),
    ],
)
def test_half_a_key_in_the_environment_is_a_mistake_and_not_passed_over(tmp_path, env, words):
    with pytest.raises(ServiceKeyError, match=words):
        find(env, tmp_path)


def test_a_configuration_file_that_is_no_object_is_refused(tmp_path):
    file = tmp_path / "c.json"
    file.write_text("[]")

    with pytest.raises(ServiceKeyError, match="must be an object of AICORE_\\* names, not a list"):
        find({"AICORE_CONFIG": str(file)}, tmp_path)


def test_other_bound_services_are_no_service_key(tmp_path):
    assert find({"VCAP_SERVICES": '{"xsuaa": [{"credentials": {"clientid": "x"}}]}'}, tmp_path) is None
    assert find({"VCAP_SERVICES": '{"aicore": []}'}, tmp_path) is None


LOCKED = "x" * 300
"""A name that is longer than any may be: to look for it fails, as it does in a folder that may not be entered."""


def test_a_home_that_may_not_be_entered_or_is_none_hides_no_key_elsewhere(tmp_path):
    for home in (tmp_path / LOCKED, None):
        assert find({"AICORE_SERVICE_KEY": json.dumps(KEY)}, home).key.client_id == KEY["clientid"]
        assert find({}, home) is None


def test_a_folder_that_is_named_for_the_key_and_may_not_be_entered_is_told(tmp_path):
    with pytest.raises(ServiceKeyError, match=r"cannot read .*config\.json: File name too long"):
        find({"AICORE_HOME": str(tmp_path / LOCKED)}, None)


def test_certificates_that_may_not_be_looked_for_are_told():
    files = {"cert_file_path": f"{LOCKED}/c.pem", "key_file_path": f"{LOCKED}/k.pem"}
    key = {name: value for name, value in KEY.items() if name != "clientsecret"} | files
    with pytest.raises(ServiceKeyError, match="which does not exist"):
        parse(key, env={}, base=Path())


def test_who_has_no_home_has_none(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path == home_folder()

    def nowhere(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nowhere)
    assert home_folder() is None
