"""Which addresses may be fetched from when a caller names them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.networks import PUBLIC_ONLY, FetchRules, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
        "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0",
        "fc00::1", "fd12::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::", "2002:a00:1::1", "2001::1",
        "192.0.0.8", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.175.48.1", "198.51.100.1", "203.0.113.1",
        "172.31.255.255", "100.127.255.255", "64:ff9b::a00:1", "64:ff9b:1::808:808", "100::1", "100:0:0:1::1",
        "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::1", "2002:808:808::1", "2620:4f:8000::1",
        "3fff::1", "3fff:fff::1", "5f00::1", "4000::1", "ff05::2",
    ],
)  # fmt: skip
def test_an_address_of_this_machine_or_its_networks_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "172.32.0.1",
        "100.128.0.1",
        "198.20.0.1",
        "2001:200::1",
        "2a00:1450:4001::1",
        "3fff:1000::1",
    ],
)
def test_an_address_of_the_open_internet_is_public_however_it_is_spelt(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.23", "100.100.100.200", "168.63.129.16",
        "192.0.0.192", "fd00:ec2::254", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "::ffff:168.63.129.16",
        "64:ff9b::a83f:8110",
    ],
)  # fmt: skip
def test_the_metadata_of_a_cloud_is_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses())
def test_what_python_knows_as_special_is_not_public_either(address: ipaddress.IPv4Address) -> None:
    if is_public(str(address)) and address not in ipaddress.ip_network("64:ff9b::/96"):
        assert address.is_global


@pytest.mark.parametrize("address", ["8.8.8.8", "10.0.0.1", "127.0.0.1", "::1", "::ffff:10.0.0.1", "fd00::1%eth0"])
def test_without_lists_public_addresses_are_allowed_and_no_others(address: str) -> None:
    assert PUBLIC_ONLY.allows("docs.example", address) == is_public(address)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.20.0.1", True), ("10.20.255.255", True), ("::ffff:10.20.0.1", True), ("fd12::1", True), ("8.8.8.8", True),
        ("10.21.0.1", False), ("192.168.1.1", False), ("127.0.0.1", False), ("169.254.169.254", False),
        ("fd13::1", False),
    ],
)  # fmt: skip
def test_a_network_lifts_the_ban_on_its_own_addresses_alone(address: str, allowed: bool) -> None:
    rules = FetchRules(allow=["10.20.0.0/16", "fd12::/16"])

    assert rules.allows("any.example", address) == allowed


@pytest.mark.parametrize(
    ("host", "address", "allowed"),
    [
        ("docs.example", "10.0.0.1", True), ("DOCS.example.", "192.168.1.1", True), ("docs.example", "fd00::1", True),
        ("a.corp.example", "10.0.0.1", True), ("a.b.corp.example", "172.16.0.1", True),
        ("corp.example", "10.0.0.1", False), ("acorp.example", "10.0.0.1", False),
        ("docs.example.evil", "10.0.0.1", False), ("x.docs.example", "10.0.0.1", False), ("example", "10.0.0.1", False),
        ("docs.example", "127.0.0.1", False), ("docs.example", "169.254.169.254", False),
        ("docs.example", "100.100.100.200", False), ("docs.example", "fd00:ec2::254", False),
        ("docs.example", "fd20:ce::254", False), ("docs.example", "fd00:c1::a9fe:a9fe", False),
        ("docs.example", "::1", False),
    ],
)  # fmt: skip
def test_a_name_lifts_the_ban_on_private_networks_and_not_on_the_machine_or_its_cloud(
    host: str, address: str, allowed: bool
) -> None:
    rules = FetchRules(allow=["docs.example", "*.corp.example"])

    assert rules.allows(host, address) == allowed


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("docs.example", "10.20.0.1"), ("docs.example", "8.8.8.8"), ("a.evil.example", "8.8.8.8"),
        ("any.example", "10.20.9.1"), ("any.example", "::ffff:10.20.9.1"), ("any.example", "203.0.112.7"),
        ("any.example", "2001:4860::1"),
    ],
)  # fmt: skip
def test_what_is_denied_is_denied_whatever_is_allowed(host: str, address: str) -> None:
    rules = FetchRules(
        allow=["10.20.0.0/16", "docs.example", "*.evil.example"],
        deny=["docs.example", "*.evil.example", "10.20.9.0/24", "203.0.112.0/24", "2001:4860::/32"],
    )

    assert not rules.allows(host, address)
    assert rules.allows("other.example", "10.20.0.1")
