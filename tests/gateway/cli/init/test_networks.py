"""Networks in which SAP AI Core is not reached just so: what is said of them, and the options that help."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

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


def test_what_says_how_sap_ai_core_is_reached_may_stand_in_the_file_or_the_environment(
    run: Run, key_of: KeyOf, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of("eu", url="http://sap.invalid/auth/eu", serviceurls={"AI_API_URL": "http://sap.invalid"})
    (run.folder / "config.json").write_text(json.dumps({"upstream": {"proxy": cloud.url}}))
    by_file = run("init", "-k", key)
    monkeypatch.setenv("SAP_AI_PROXY_UPSTREAM__PROXY", cloud.url)
    by_variable = run("-c", "b.json", "init", "-k", key)
    monkeypatch.setenv("SAP_AI_PROXY_UPSTREAM__PROXY", "socks://x")
    refused = run("-c", "c.json", "init", "-k", key)

    assert (by_file.exit_code, by_variable.exit_code) == (0, 0), by_file.output + by_variable.output
    assert "upstream" not in json.loads((run.folder / "b.json").read_text())
    assert refused.exit_code == 1
    assert refused.stderr.startswith("sap-ai-proxy: SAP_AI_PROXY_UPSTREAM__PROXY: is not a URL; ")


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("corp:8080", "--proxy is not a URL; write one that starts with http:// and names a host.\n"),
        (
            "https://corp:8080",
            "--proxy must not start with https://: TLS to the proxy is not supported; write http://.\n",
        ),
        ("http://[x", "--proxy is not a URL; write one that starts with http:// and names a host.\n"),
    ],
)
def test_a_proxy_that_no_command_could_use_is_refused_before_anything_is_done(
    run: Run, key_of: KeyOf, proxy: str, said: str
) -> None:
    told = run("init", "-k", key_of("eu"), "--proxy", proxy)

    assert (told.exit_code, told.stderr) == (1, f"sap-ai-proxy: {said}")
    assert "config.json" not in run.files


def test_a_proxy_may_be_named_by_a_variable_whose_text_is_written_nowhere(
    run: Run, key_of: KeyOf, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of("eu", url="http://sap.invalid/auth/eu", serviceurls={"AI_API_URL": "http://sap.invalid"})
    monkeypatch.setenv("OUR_PROXY", cloud.url)
    told, unset = run("init", "-k", key, "--proxy", "${OUR_PROXY}"), run("init", "-k", key, "--proxy", "${NOT_SET}")

    assert told.exit_code == 0, told.output
    assert run.config["upstream"] == {"proxy": "${OUR_PROXY}"}
    assert unset.stderr == "sap-ai-proxy: --proxy: the environment variable NOT_SET is not set; set it.\n"


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
    assert "; set upstream.ca_bundle (--ca-bundle) to a file of the certificates" in refused.stderr
    assert trusted.exit_code == 0, trusted.output
    assert run.config["upstream"] == {"ca_bundle": str(authority.file)}
    assert again.exit_code == 0, again.output
