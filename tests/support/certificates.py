"""Certificates for servers on this machine, made when a test needs them."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Certificate:
    """A certificate and its private key, in two files."""

    subject: x509.Name
    private: ec.EllipticCurvePrivateKey
    file: Path
    key_file: Path

    def server_context(self) -> ssl.SSLContext:
        """What a server with this certificate listens with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key_file)
        return context


def certificate(
    folder: Path,
    name: str,
    issuer: Certificate | None = None,
    *,
    addresses: Sequence[str] = ("127.0.0.1",),
    hosts: Sequence[str] = ("localhost",),
    ends: datetime | None = None,
    strict: bool = True,
) -> Certificate:
    """Make a key and a certificate that *ends* then, or tomorrow, signed by *issuer* or by itself.

    One that is not *strict* lacks what RFC 5280 asks for, as those of many companies do.
    """
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signer = issuer.private if issuer else private
    names = [*(x509.IPAddress(ip_address(each)) for each in addresses), *(x509.DNSName(each) for each in hosts)]
    usage = x509.KeyUsage(True, False, False, False, False, issuer is None, issuer is None, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, ends or now) - timedelta(days=1))
        .not_valid_after(ends or now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if strict:
        builder = (
            builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .add_extension(usage, critical=True)
        )
    made = builder.sign(signer, hashes.SHA256())
    file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return Certificate(subject, private, file, key_file)
