"""What is sent to other machines unencrypted."""

import pytest

from tests.gateway.configs import with_account

SECRET = "s3cret"


def warned(settings_of, *, upstream=None, **key_and_models):
    key = {"url": "https://auth.example", "serviceurls": {"AI_API_URL": "https://api.example"}}
    models = key_and_models.pop("models", {})
    key |= key_and_models
    account = {"service_key": {"clientid": "c", "clientsecret": SECRET, **key}, "deployment_models": models}
    config = with_account() | {"subAccounts": {"eu": account | {"discovery": True}}, "upstream": upstream or {}}
    return settings_of(config).warnings


@pytest.mark.parametrize("host", ["auth.example", "10.0.0.1", "[fd00::1]", "127.0.0.1.example", "0.0.0.0"])
def test_a_token_url_without_tls_on_another_machine_is_warned_about(settings_of, host):
    [line] = warned(settings_of, url=f"http://{host}:8080")

    assert line == (
        "subAccounts.eu: the token URL of its service key begins with http:// and leads to another machine, so its "
        "credentials are sent unencrypted; write https://"
    )


def test_an_api_without_tls_is_warned_about_once_for_all_its_deployments(settings_of):
    url = "http://api.example/v2/inference/deployments/d1"
    lines = warned(settings_of, serviceurls={"AI_API_URL": "http://api.example"}, models={"gpt-4.1": url})

    assert [line.partition(",")[0] for line in lines] == [
        "subAccounts.eu: AI_API_URL of its service key begins with http:// and leads to another machine"
    ]


def test_a_deployment_without_tls_is_warned_about_by_its_id(settings_of):
    at = "http://other.example/v2/inference/deployments/d1"
    lines = warned(settings_of, models={"gpt-4.1": [at, "https://api.example/v2/inference/deployments/d2"], "o3": at})

    assert [line.partition(",")[0] for line in lines] == [
        "subAccounts.eu: the URL of the deployment d1 begins with http:// and leads to another machine"
    ]


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost", "emulator.localhost", "[::1]:9", "127.8.8.8"])
def test_this_machine_may_be_reached_without_tls(settings_of, host):
    url = f"http://{host}/v2/inference/deployments/d1"
    at = {"url": f"http://{host}", "serviceurls": {"AI_API_URL": f"http://{host}"}}

    assert warned(settings_of, models={"gpt-4.1": url}, **at) == ()


@pytest.mark.parametrize(
    ("proxy", "lines"),
    [
        (f"http://me:{SECRET}@proxy.example:8080", 1),
        ("http://proxy.example:8080", 0),
        (f"http://me:{SECRET}@127.0.0.1:8080", 0),
        ("none", 0),
    ],
)
def test_a_password_that_an_http_proxy_gets_unencrypted_is_warned_about(settings_of, proxy, lines):
    told = warned(settings_of, upstream={"proxy": proxy})

    assert [line.partition(":")[0] for line in told] == ["upstream.proxy"] * lines
    assert SECRET not in "".join(told)
