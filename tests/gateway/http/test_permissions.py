"""Which callers may read how the proxy is doing, and which may change what it does."""

import pytest

from dialects.core.faults import FaultError, http_status
from gateway.config.caller_keys import CallerKey, digest_of, unnamed_key
from gateway.http.auth import ANONYMOUS_CALLER, Auth, Caller
from gateway.http.client_address import TrustedProxies
from gateway.http.permissions import may_change, may_read_operations, require_changer, require_reader

KEYLESS = Auth([])
PLAIN_ONLY = Auth([unnamed_key("sk-plain")])
WITH_ADMIN = Auth([unnamed_key("sk-plain"), CallerKey("root", digest_of("sk-root"), is_admin=True)])
PLAIN, ADMIN = Caller("alice"), Caller("root", is_admin=True)
HERE, ELSEWHERE = {"REMOTE_ADDR": "127.0.0.1"}, {"REMOTE_ADDR": "10.0.0.7"}


@pytest.mark.parametrize(
    ("auth", "caller", "reads"),
    [
        (KEYLESS, ANONYMOUS_CALLER, True),
        (PLAIN_ONLY, PLAIN, True),
        (WITH_ADMIN, PLAIN, False),
        (WITH_ADMIN, ADMIN, True),
    ],
)
def test_once_there_is_an_admin_key_only_admin_keys_read_the_state(auth: Auth, caller: Caller, reads: bool) -> None:
    assert may_read_operations(auth, caller) is reads


@pytest.mark.parametrize(
    ("auth", "caller", "environ", "changes"),
    [
        (KEYLESS, ANONYMOUS_CALLER, HERE, True),
        (KEYLESS, ANONYMOUS_CALLER, ELSEWHERE, False),
        (PLAIN_ONLY, PLAIN, HERE, True),
        (PLAIN_ONLY, PLAIN, {"REMOTE_ADDR": "::1"}, True),
        (PLAIN_ONLY, PLAIN, {"REMOTE_ADDR": "::ffff:127.0.0.1"}, True),
        (PLAIN_ONLY, PLAIN, ELSEWHERE, False),
        (PLAIN_ONLY, PLAIN, {**ELSEWHERE, "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, False),
        (PLAIN_ONLY, PLAIN, {**HERE, "HTTP_X_FORWARDED_FOR": "10.0.0.7"}, False),
        (PLAIN_ONLY, PLAIN, {**HERE, "HTTP_FORWARDED": "for=10.0.0.7"}, False),
        (PLAIN_ONLY, PLAIN, {**HERE, "HTTP_X_REAL_IP": "10.0.0.7"}, False),
        (PLAIN_ONLY, PLAIN, {"REMOTE_ADDR": ""}, False),
        (PLAIN_ONLY, PLAIN, {}, False),
        (WITH_ADMIN, PLAIN, HERE, False),
        (WITH_ADMIN, ADMIN, ELSEWHERE, True),
    ],
)
def test_changes_need_an_admin_key_or_come_from_this_machine_while_there_is_none(
    auth: Auth, caller: Caller, environ: dict[str, str], changes: bool
) -> None:
    assert may_change(auth, caller, environ) is changes


def test_a_trusted_proxy_on_this_machine_is_not_the_machine_itself() -> None:
    proxies = TrustedProxies(["127.0.0.0/8"])

    assert not may_change(PLAIN_ONLY, PLAIN, HERE, proxies)
    assert may_change(PLAIN_ONLY, PLAIN, {"REMOTE_ADDR": "::1"}, proxies)
    assert may_change(WITH_ADMIN, ADMIN, HERE, proxies)


def test_a_caller_that_may_not_is_refused_with_what_is_needed() -> None:
    refused = []
    for refuse in (
        lambda: require_reader(WITH_ADMIN, PLAIN),
        lambda: require_changer(WITH_ADMIN, PLAIN, HERE),
        lambda: require_changer(PLAIN_ONLY, PLAIN, ELSEWHERE),
    ):
        with pytest.raises(FaultError) as error:
            refuse()
        refused.append((http_status(error.value.fault), error.value.fault.message.partition(":")[0]))

    assert refused == [
        (403, "This needs an admin key"),
        (403, "This needs an admin key"),
        (403, "This proxy has no admin key, so it accepts changes only from the machine it runs on"),
    ]


def test_a_caller_that_may_is_not_refused() -> None:
    require_reader(PLAIN_ONLY, PLAIN)
    require_changer(PLAIN_ONLY, PLAIN, HERE)
    require_changer(WITH_ADMIN, ADMIN, ELSEWHERE)
