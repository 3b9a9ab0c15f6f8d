"""Whose address a request has, behind proxies that are trusted and others."""

import pytest

from gateway.http.client_address import TrustedProxies, read_address

PROXY, INNER = "10.0.0.1", "192.0.2.7"


@pytest.mark.parametrize(
    ("trusted", "peer", "header", "client"),
    [
        ((), PROXY, "203.0.113.5", PROXY),
        ((PROXY,), PROXY, "203.0.113.5", "203.0.113.5"),
        ((PROXY,), PROXY, None, PROXY),
        ((PROXY,), PROXY, "198.51.100.1, 203.0.113.5", "203.0.113.5"),
        ((PROXY,), "10.0.0.2", "203.0.113.5", "10.0.0.2"),
        (("10.0.0.0/8", INNER), PROXY, f"203.0.113.5, {INNER}", "203.0.113.5"),
        (("10.0.0.0/8",), PROXY, "10.0.0.9", "10.0.0.9"),
        (("10.0.0.0/8",), PROXY, "203.0.113.5, unknown", PROXY),
        (("10.0.0.0/8",), PROXY, "", PROXY),
        ((PROXY,), PROXY, "203.0.113.5:4711", "203.0.113.5"),
        (("2001:db8::/32",), "2001:db8::1", "[2001:db9::5]:4711", "2001:db9::5"),
        (("10.0.0.1/8",), f"::ffff:{PROXY}", "203.0.113.5", "203.0.113.5"),
        ((PROXY,), "", "203.0.113.5", None),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(
    trusted: tuple[str, ...], peer: str, header: str | None, client: str | None
) -> None:
    environ = {"REMOTE_ADDR": peer} | ({} if header is None else {"HTTP_X_FORWARDED_FOR": header})

    assert TrustedProxies(trusted).client_of(environ) == (client and read_address(client))
