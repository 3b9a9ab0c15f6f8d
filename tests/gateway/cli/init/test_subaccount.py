"""Names of subaccounts, and which service keys open the same one."""

from pathlib import Path
from typing import Any

from gateway.cli.init.service_key import GivenKey, as_name, read_key
from gateway.cli.init.subaccount import Entry, entries
from gateway.config.service_keys import Secret, ServiceKey, is_same_tenant
from gateway.config.subaccounts import SubAccount

API = "https://api.ai.example/v2"


def key(zone: str = "mysub", secret: str = "s", **more: Any) -> ServiceKey:
    return ServiceKey("id", Secret(secret), f"https://{zone}.authentication.example/oauth/token", API, **more)


def known(*rows: tuple[str, str, ServiceKey]) -> dict[str, SubAccount]:
    return {name: SubAccount(name, group, own, {}) for name, group, own in rows}


def names(given: ServiceKey, groups: tuple[str, ...], name: str | None = None, **rows: Any) -> list[tuple[str, bool]]:
    of_file = known(*((each, *row) for each, row in rows.items()))
    made = entries(GivenKey(given, subdomain="mysub"), groups, name, of_file)
    return [(each.name, each.is_new) for each in made]


def test_a_subaccount_is_called_as_its_key_says_and_by_its_resource_groups_where_there_are_several() -> None:
    assert names(key(), ("default",)) == [("mysub", True)]
    assert names(key(), ("default",), "eu") == [("eu", True)]
    assert names(key(), ("a", "b"), "eu") == [("eu-a", True), ("eu-b", True)]


def test_what_the_config_file_has_keeps_its_name_whatever_key_of_it_is_given() -> None:
    assert names(key(secret="new"), ("default",), eu=("default", key())) == [("eu", False)]
    assert names(key(), ("default", "team"), eu=("default", key())) == [("eu", False), ("mysub-team", True)]
    assert names(key(), ("a", "b"), "eu", **{"eu-a": ("a", key())}) == [("eu-a", False), ("eu-b", True)]


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert names(key(), ("default",), mysub=("default", key("other"))) == [("mysub-2", True)]
    assert names(key(), ("team",), mysub=("default", key())) == [("mysub-2", True)]


def test_keys_of_one_tenant_are_known_by_its_id_or_its_token_service() -> None:
    other_api = ServiceKey("id", Secret("s"), key().token_url, "https://other/v2")

    assert is_same_tenant(key(), key(secret="x"))
    assert is_same_tenant(key("mysub", tenant="t"), key("mysub-cert", tenant="t"))
    assert not is_same_tenant(key(), key("other"))
    assert not is_same_tenant(key("a", tenant="t"), key("b", tenant="u"))
    assert not is_same_tenant(key(), other_api)


def test_a_name_is_fit_for_a_file() -> None:
    assert [as_name(each) for each in ("my sub/../x", "..", "a_b-1.2")] == ["my-sub-..-x", "default", "a_b-1.2"]


def test_the_zone_names_the_subaccount_and_the_host_where_there_is_none() -> None:
    text = '{"clientid": "c", "clientsecret": "s", %s"serviceurls": {"AI_API_URL": "https://api"}, "url": "https://sub.a.x"}'

    assert read_key(text % '"identityzone": "zone", ', {}).subdomain == "zone"
    assert read_key(text % "", {}).subdomain == "sub"
    assert read_key((text % "").replace("sub.a.x", "127.0.0.1/auth"), {}).subdomain == "default"


def test_an_entry_says_where_its_key_came_from() -> None:
    given = read_key(
        '{"credentials": {"clientid": "c", "clientsecret": "s", "url": "https://s.x", "serviceurls": {"AI_API_URL": "https://a"}}}',
        {},
        Path("key.json"),
    )

    assert (given.file, given.subdomain, entries(given, ("g",), None, {})) == (
        Path("key.json"),
        "s",
        (Entry("s", "g", is_new=True),),
    )
