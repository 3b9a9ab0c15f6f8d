"""What is to be done about each fault, in one line."""

from dataclasses import replace

import pytest

from dialects.core.faults import Fault, FaultKind
from gateway.cli.check.advice import NEW_KEY
from gateway.config.network import Proxies, Proxy
from gateway.config.service_keys import Secret
from gateway.upstream.tokens import NO_TOKEN_IN_TIME
from gateway.upstream.unreachable import Reason, Unreachable

HOST = "api.example:443"
CORP = Proxy(Secret("http://proxy:8080"), "HTTPS_PROXY")
CREDENTIALS = "http://USER:PASSWORD@HOST:PORT; write %40 for an @ in the password"
PROXY = ", or set upstream.proxy if this network needs an HTTP proxy"


@pytest.mark.parametrize(
    ("why", "code", "what", "fix"),
    [
        (Unreachable(Reason.UNKNOWN_HOST, HOST), "unreachable",
         "the name of its host is unknown", f"correct url{PROXY}"),
        (Unreachable(Reason.REFUSED, HOST), "unreachable",
         "the connection was refused", f"correct url{PROXY}"),
        (Unreachable(Reason.NO_ROUTE, HOST), "unreachable",
         "there is no route to its host", f"connect this machine to a network that reaches {HOST}{PROXY}"),
        (Unreachable(Reason.TIMED_OUT, HOST), "unreachable",
         "the connection timed out", f"allow connections to {HOST} in the firewall{PROXY}"),
        (Unreachable(Reason.SILENT, HOST), "unreachable",
         "it accepted the connection and did not answer in time",
         "try again in a few minutes; if it still does not answer, correct url"),
        (Unreachable(Reason.BROKEN, HOST), "unreachable",
         "the connection broke before an answer arrived",
         f"find out what cuts connections on the way to {HOST}, such as a firewall"),
        (Unreachable(Reason.EXPIRED, HOST, "certificate has expired"), "certificate",
         "its certificate has expired (certificate has expired)",
         f"correct the clock of this machine if it is wrong; otherwise {HOST} needs a new certificate"),
        (Unreachable(Reason.OTHER_HOST, HOST), "certificate",
         "its certificate is for another host", "correct url: the certificate there is for another host"),
        (Unreachable(Reason.CLIENT_CERTIFICATE_REFUSED, HOST, "certificate expired"), "client_certificate",
         "it refuses the client certificate (certificate expired)", NEW_KEY),
        (Unreachable(Reason.CLIENT_CERTIFICATE_UNUSABLE, HOST), "client_certificate",
         "the client certificate cannot be read, or does not belong to its key",
         "copy the certificate and its key again, both from the same service key"),
        (Unreachable(Reason.PROXY_PASSWORD, HOST), "proxy",
         "the HTTP proxy requires a user and a password",
         f"write both into upstream.proxy as {CREDENTIALS}"),
        (Unreachable(Reason.PROXY_PASSWORD, HOST, proxy_in="HTTPS_PROXY"), "proxy",
         "the HTTP proxy requires a user and a password",
         f"write both into HTTPS_PROXY as {CREDENTIALS}"),
        (Unreachable(Reason.NOT_STRICT, HOST, issuer="Acme"), "certificate",
         "its certificate, or that of its authority, violates RFC 5280, which upstream.strict_certificates enforces",
         "set upstream.strict_certificates to false, or ask Acme for certificates that comply with RFC 5280"),
        (Unreachable(Reason.TRUST_UNUSABLE, HOST, "SSL_CERT_FILE"), "certificate",
         "the file of trusted certificates cannot be read (SSL_CERT_FILE)",
         "name a file of certificates in PEM format, each of them complete"),
        (Unreachable(Reason.PROXY_REFUSED, HOST, "HTTP 403"), "proxy",
         "the HTTP proxy refuses to connect to it (HTTP 403)",
         f"allow {HOST} in that proxy, or set upstream.proxy to another one"),
    ],
)  # fmt: skip
def test_each_reason_not_to_be_reached_is_one_line_with_what_to_do(made, why, code, what, fix):
    advice = made.adviser().unreachable(why, "url")

    assert (advice.code, advice.what, advice.fix) == (code, f"{HOST} cannot be reached: {what}", fix)


def test_no_reason_is_without_advice(made):
    for reason in Reason:
        assert made.adviser().unreachable(Unreachable(reason, HOST), "url").fix


def test_a_certificate_that_is_not_trusted_is_told_with_who_signed_it(made):
    why = Unreachable(Reason.UNTRUSTED, HOST)
    known, unknown = made.adviser(issuer="Acme Inspection").unreachable(why, "url"), made.adviser().unreachable(why, "")

    assert known.what == f"{HOST} cannot be reached: its certificate, signed by Acme Inspection, is not trusted"
    assert known.fix == (
        "set upstream.ca_bundle to a file of the certificates that this network trusts, including Acme Inspection"
    )
    assert unknown.what == f"{HOST} cannot be reached: its certificate is not trusted"
    assert unknown.fix.endswith("including the authority that signed it")


@pytest.mark.parametrize(
    ("proxies", "fix"),
    [
        (Proxies(), "set upstream.proxy if this network needs an HTTP proxy"),
        (Proxies(unused="HTTPS_PROXY"), "remove upstream.proxy, which keeps HTTPS_PROXY from being used"),
        (replace(Proxies.by(CORP), exempt=("api.example",), exempt_in="no_proxy"),
         "remove api.example from no_proxy if it can be reached only through the HTTP proxy"),
    ],
)  # fmt: skip
def test_a_host_that_is_not_reached_without_a_proxy_is_told_how_it_is_with_one(made, proxies, fix):
    advice = made.adviser(proxies).unreachable(Unreachable(Reason.TIMED_OUT, "api.example:443"), "url")

    assert advice.fix == f"allow connections to api.example:443 in the firewall, or {fix}"


def test_a_proxy_that_is_not_reached_is_corrected_where_it_is_named_and_no_other_is_suggested(made):
    why = Unreachable(Reason.REFUSED, "proxy:8080", is_proxy=True, proxy_in="HTTPS_PROXY")
    advice = made.adviser(Proxies.by(CORP)).unreachable(why, "url")

    assert advice.what == "the HTTP proxy proxy:8080 cannot be reached: the connection was refused"
    assert advice.fix == "correct HTTPS_PROXY"


@pytest.mark.parametrize(
    ("fault", "code", "what", "fix"),
    [
        (Fault(FaultKind.DEPLOYMENT_FORBIDDEN, "no", 403), "forbidden",
         "requests are answered with status 403: the service key may not use it", "extended"),
        (Fault(FaultKind.REQUEST_FORBIDDEN, "Not for you.", 403), "forbidden",
         "requests are answered with status 403: Not for you", "firewall"),
        (Fault(FaultKind.REFUSED_CREDENTIALS, "no", 401), "forbidden",
         "requests are answered with status 401: the access token is not accepted here", "correct its URL"),
        (Fault(FaultKind.GONE, "no", 404), "url",
         "requests are answered with status 404: its URL does not lead to a running deployment", "correct its URL"),
        (Fault(FaultKind.INVALID_REQUEST, "no", 405), "url",
         "requests are answered with status 405: its URL does not lead to a running deployment", "correct its URL"),
        (Fault(FaultKind.INVALID_REQUEST, "Subpath 'x' is not allowed for model 'm'.", 400), "path",
         "SAP AI Core does not support this protocol: Subpath 'x' is not allowed for model 'm'", "correct its URL"),
        (Fault(FaultKind.OVERLOADED, "It is overloaded.", 503), "failing",
         "requests are answered with status 503: It is overloaded", "try again in a few minutes"),
        (Fault(FaultKind.OTHER, "It is no model."), "failing", "It is no model", "try again"),
    ],
)  # fmt: skip
def test_what_an_empty_request_brings_to_light_is_one_line_with_what_to_do(made, fault, code, what, fix):
    advice = made.adviser().inference(fault, "its URL")

    assert (advice.code, advice.what) == (code, what)
    assert fix in advice.fix


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.INVALID_REQUEST, "messages: Field required", 400),
        Fault(FaultKind.INVALID_REQUEST, "no", 422),
        Fault(FaultKind.CONTENT_FILTERED, "no", 400),
    ],
)
def test_what_a_model_says_to_an_empty_request_is_well(made, fault):
    assert made.adviser().inference(fault, "its URL") is None


@pytest.mark.parametrize(
    ("fault", "code", "fix"),
    [
        (Fault(FaultKind.REFUSED_CREDENTIALS, "The key is refused.", 401), "service_key", NEW_KEY),
        (Fault(FaultKind.OVERLOADED, "It is busy.", 429), "token", "try again in a few minutes"),
        (
            Fault(FaultKind.SERVER_ERROR, "It sent a response without a token."),
            "token",
            "try again in a few minutes; if it keeps failing, correct url",
        ),
        (NO_TOKEN_IN_TIME, "unreachable", "try again in a few minutes; if it still does not answer, correct url"),
    ],
)
def test_a_token_that_does_not_come_is_told_with_what_to_do(made, fault, code, fix):
    advice = made.adviser().token(fault, "url")

    assert (advice.code, advice.fix) == (code, fix)


@pytest.mark.parametrize(
    ("status", "code", "fix"),
    [(403, "forbidden", "correct url"), (404, "url", "correct url"), (500, "listing", "try again in a few minutes")],
)
def test_deployments_that_cannot_be_listed_are_told_with_what_to_do(made, status, code, fix):
    advice = made.adviser().listing(Fault(FaultKind.OTHER, "It failed.", status), "url")

    assert advice.code == code
    assert advice.fix.startswith(fix)
