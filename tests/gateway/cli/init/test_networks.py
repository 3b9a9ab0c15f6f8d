"""Networks in which SAP AI Core is not reached just so: what is said of them, and the options that help."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.gateway.cli.init.conftest import Run
from tests.gateway.peers import Server, answer, forever
from tests.support.certificates import certificate
from tests.support.running import Cloud

KeyOf = Callable[..., str]


def test_a_proxy_is_used_and_written(run: Run, key_of: KeyOf, cloud: Cloud) -> None:
    """The emulator answers what is asked through it as a proxy as well: the path is all it looks at."""
    key = key_of("eu", url="http://sap.invalid/auth/eu", serviceurls={"AI_API_URL": "http://sap.invalid"})
    told = run("init", "-k", key, "--proxy", cloud.url)

    assert told.exit_code == 0, told.output
    assert run.config["upstream"] == {"proxy": cloud.url}


def test_a_certificate_of_the_network_is_trusted_if_it_is_given(
    run: Run, key_of: KeyOf, cloud: Cloud, tmp_path: Path
) -> None:
    own = cloud.tenants["eu"]["service_key"]
    credentials = {"client_id": own["clientid"], "client_secret": own["clientsecret"]}
    form = urlencode({"grant_type": "client_credentials", **credentials}).encode()
    with urlopen(f"{own['url']}/oauth/token", form) as answered:
        token = answered.read()
    authority = certificate(tmp_path, "Acme")
    context = certificate(tmp_path, "server", authority).server_context()
    with closing(Server(forever(answer(token)), context=context)) as there:
        key = key_of("eu", url=there.url)
        refused = run("init", "-k", key)
        trusted = run("init", "-k", key, "--ca-bundle", str(authority.file))
        again = run("init", "-k", key)

    assert refused.exit_code == 1
    assert "its certificate, signed by Acme, is not trusted" in refused.stderr
    assert "; set upstream.ca_bundle (--ca-bundle) to a file with the certificates" in refused.stderr
    assert trusted.exit_code == 0, trusted.output
    assert run.config["upstream"] == {"ca_bundle": str(authority.file)}
    assert again.exit_code == 0, again.output
