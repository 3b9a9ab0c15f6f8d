"""Who may call."""

import hmac

import pytest

from gateway.config.caller_keys import CallerKey, digest_of, unnamed_key
from gateway.http.auth import Auth, Caller, headers_in, keys_in, why_refused

KEY = "sk-right"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {"authorization": f" {KEY} "},
        {"x-api-key": KEY},
        {"api-key": KEY},
        {"x-goog-api-key": KEY},
        {"authorization": "Bearer wrong", "x-api-key": KEY},
    ],
)
def test_a_key_is_found_wherever_an_sdk_puts_it(headers: dict[str, str]) -> None:
    assert Auth([unnamed_key(KEY)]).admit(keys_in(headers, {})) is not None


def test_headers_are_read_from_a_wsgi_environment_in_lower_case() -> None:
    environ = {"HTTP_X_API_KEY": KEY, "CONTENT_TYPE": "text/plain", "wsgi.version": (1, 0), "HTTP_HOST": "localhost"}

    assert headers_in(environ) == {"x-api-key": KEY, "host": "localhost"}


def test_a_key_may_stand_in_the_query() -> None:
    assert Auth([unnamed_key(KEY)]).admit(keys_in({}, {"key": KEY})) is not None


@pytest.mark.parametrize("key", ["", "sk", "sk-right ", "sk-rightx", "xsk-right", "Basic sk-right", "SK-RIGHT"])
def test_a_key_counts_whole_or_not_at_all(key: str) -> None:
    assert Auth([unnamed_key(KEY)]).admit([key]) is None


@pytest.mark.parametrize("offered", ["sk-1", "sk-3", "sk-none", ""])
def test_every_key_is_compared_whole_and_in_constant_time(monkeypatch: pytest.MonkeyPatch, offered: str) -> None:
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    Auth(map(unnamed_key, ["sk-1", "sk-2", "sk-3"])).admit([offered])

    assert compared == [(32, 32)] * 3


def test_no_key_at_all_opens_nothing_once_keys_are_configured() -> None:
    assert Auth([unnamed_key(KEY)]).admit(()) is None


def test_without_configured_keys_everyone_may_call() -> None:
    access = Auth([])

    assert access.is_open
    assert access.admit(()) == Caller("anonymous")
    assert access.admit(["whatever"]) == Caller("anonymous")


def test_callers_are_told_apart_by_a_name_that_is_not_their_key() -> None:
    access = Auth(map(unnamed_key, ["sk-one", "sk-two"]))
    one, two = access.admit(["sk-one"]), access.admit(["sk-two"])

    assert one is not None
    assert two is not None
    assert one != two
    assert "sk-one" not in one.name
    assert one == access.admit(["wrong", "sk-one"])


def test_a_key_without_a_name_is_called_by_the_digits_that_ids_were_signed_with_so_far() -> None:
    assert Auth([unnamed_key("sk-one")]).admit(["sk-one"]) == Caller("456f1612")


def test_a_named_key_admits_the_caller_of_that_name_with_its_rights() -> None:
    auth = Auth([CallerKey("alice", digest_of("sk-a")), CallerKey("root", digest_of("sk-r"), is_admin=True)])

    assert [auth.admit(["sk-a"]), auth.admit(["sk-r"]), auth.admit(["alice"])] == [
        Caller("alice"),
        Caller("root", is_admin=True),
        None,
    ]
    assert auth.has_admins
    assert not Auth([unnamed_key(KEY)]).has_admins


def test_a_caller_without_a_key_is_told_where_it_goes_and_one_with_a_wrong_key_that_it_is_wrong() -> None:
    assert why_refused(keys_in({"authorization": "Bearer sk-wrong"}, {})) == "Incorrect API key provided."
    assert keys_in({"authorization": "Bearer "}, {"key": ""}) == ()
    assert why_refused(keys_in({}, {})).startswith("This request has no API key: send a key of this proxy as")
