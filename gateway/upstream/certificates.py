"""Reads X.509 certificates: the end of their validity and their issuer."""

import http.client
import ssl
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.config.service_keys import CertificateFiles, CertificateText, Proof
from gateway.upstream.connection import HttpProxy

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_FORMATS: Final = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}
_NAMES: Final = (b"\x55\x04\x03", b"\x55\x04\x0a")
"""The object identifiers of the common name and the organization, from which an issuer is named, the best first."""
_UTF_16: Final = 0x1E
"""The tag of a BMPString."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The fields of a certificate that are used."""

    not_after: datetime
    """The end of its validity, in UTC."""
    issuer: str
    """The name of the authority that signed it; empty if it has none."""


def of_proof(proof: Proof) -> Certificate | None:
    """Return the client certificate of a service key; None if there is none, or it cannot be read."""
    match proof:
        case CertificateText(text, _):
            return of_pem(text)
        case CertificateFiles(path, _):
            with suppress(OSError, ValueError):
                return of_pem(path.read_text(encoding="utf-8"))
    return None


def of_pem(text: str) -> Certificate | None:
    """Parse the first certificate of a PEM text, which is the leaf of a chain; None if there is none."""
    _, found, rest = text.partition(_BEGIN)
    body, ended, _ = rest.partition(_END)
    if found and ended:
        with suppress(ValueError):
            return of_der(ssl.PEM_cert_to_DER_cert(f"{_BEGIN}{body}{_END}"))
    return None


def of_der(der: bytes) -> Certificate | None:
    """Parse a certificate in DER; None if it is not valid."""
    try:
        [(_, signed), *_] = _values(_inner(der, _SEQUENCE))
        fields = [each for each in _values(signed) if each[0] != _VERSION]
        # Serial number, algorithm, issuer, validity: RFC 5280, 4.1.
        issuer, (tag, not_after) = fields[2][1], list(_values(fields[3][1]))[1]
        until = datetime.strptime(not_after.decode("ascii"), _FORMATS[tag]).replace(tzinfo=UTC)
        return Certificate(until, _name(issuer))
    except (ValueError, LookupError):
        return None


def issuer_at(host: str, proxy: HttpProxy | None = None, timeout: float = 5.0) -> str:
    """Connect to a server and return the issuer of its certificate; empty if that fails.

    *host* has the form `name:port`. *proxy* is the HTTP proxy on the way. Blocks for up to *timeout* seconds.
    """
    certificate = of_der(_certificate_at(host, proxy, timeout))
    return certificate.issuer if certificate is not None else ""


def _certificate_at(host: str, proxy: HttpProxy | None, timeout: float) -> bytes:
    """Return the certificate of a server in DER; empty if that fails."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # no data is sent: this reads a certificate that is not trusted
    with suppress(OSError, http.client.HTTPException, ValueError):
        first = proxy.address if proxy is not None else host
        connection = http.client.HTTPSConnection(first, timeout=timeout, context=context)
        with closing(connection):
            if proxy is not None:
                shown = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
                connection.set_tunnel(host, headers=shown)
            connection.connect()
            if isinstance(connection.sock, ssl.SSLSocket):
                return connection.sock.getpeercert(binary_form=True) or b""
    return b""


def _name(issuer: bytes) -> str:
    """Return the common name or the organization of a distinguished name; empty if it has neither."""
    found: dict[bytes, str] = {}
    for _, members in _values(issuer):
        for _, member in _values(members):
            (_, identifier), (tag, value) = _values(member)
            found[identifier] = value.decode("utf-16-be" if tag == _UTF_16 else "utf-8", "replace")
    return next((found[each] for each in _NAMES if each in found), "")


def _inner(data: bytes, wanted: int) -> bytes:
    """Return the content of the first value of *data*; raises `ValueError` if its tag is not *wanted*."""
    tag, value = next(_values(data), (0, b""))
    if tag != wanted:
        raise ValueError("no certificate")
    return value


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tags and contents of consecutive DER values; raises `ValueError` if one is cut off."""
    at = 0
    while at + 2 <= len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            more = length & 0x7F
            length = int.from_bytes(data[at : at + more])
            at += more
        if at + length > len(data):
            raise ValueError("cut off")
        yield tag, data[at : at + length]
        at += length
