"""What is read of a certificate, held against a library that knows all of X.509."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.config.service_keys import CertificateFiles, CertificateText, Secret
from gateway.upstream.certificates import of_der, of_pem, of_proof
from tests.support.certificates import certificate

LATE = datetime(2051, 2, 3, 4, 5, 6, tzinfo=UTC)
"""From 2050 on, times are written in another form."""


@pytest.mark.parametrize("ends", [datetime(2026, 11, 20, 8, 30, tzinfo=UTC), LATE])
def test_the_end_and_the_issuer_of_the_first_certificate_are_read(tmp_path, ends):
    authority = certificate(tmp_path, "Acme Inspection Root")
    own = certificate(tmp_path, "client", authority, ends=ends)
    read = of_pem(f"Bag Attributes\n{own.file.read_text()}{authority.file.read_text()}")

    assert (read.not_after, read.issuer) == (ends, "Acme Inspection Root")


def test_an_authority_without_a_common_name_is_called_by_its_organization():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Müller & Söhne"),
        ]
    )
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(LATE)
        .sign(key, hashes.SHA256())
    )

    assert of_der(made.public_bytes(Encoding.DER)).issuer == "Müller & Söhne"


def test_the_certificate_of_a_service_key_is_read_from_its_text_or_its_file(tmp_path):
    own = certificate(tmp_path, "client", ends=LATE)
    text = CertificateText(own.file.read_text(), Secret("key"))

    assert of_proof(text).not_after == LATE
    assert of_proof(CertificateFiles(own.file, own.key_file)).not_after == LATE
    assert of_proof(CertificateFiles(tmp_path / "gone.pem", own.key_file)) is None
    assert of_proof(Secret("hunter2")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_is_none(text):
    assert of_pem(text) is None


def test_a_certificate_that_is_cut_off_anywhere_or_has_an_odd_byte_is_read_or_is_none(tmp_path):
    own = x509.load_pem_x509_certificate(certificate(tmp_path, "client").file.read_bytes()).public_bytes(Encoding.DER)
    for at in range(len(own)):
        assert of_der(own[:at]) is None
        of_der(own[:at] + b"\xff" + own[at + 1 :])
