"""Config files: the ancestor's, the smallest ones, and what their settings hold."""

import json
from dataclasses import astuple

from gateway.config.settings import pools

KEY = {
    "clientid": "id",
    "clientsecret": "hunter2",
    "url": "https://auth.example",
    "identityzoneid": "zone",
    "serviceurls": {"AI_API_URL": "https://api.example"},
}
BASE = "https://api.example/v2/inference/deployments"
ANCESTOR = {
    "subAccounts": {
        "eu": {
            "resource_group": "default",
            "service_key_json": "eu.json",
            "deployment_models": {"gpt-4.1": [f"{BASE}/d1", f"{BASE}/d2"], "gemini-2.5-pro": [f"{BASE}/d3/"]},
        },
        "us": {
            "resource_group": "team-a",
            "service_key_json": "us.json",
            "deployment_models": {"gpt-4.1": [f"{BASE}/d4"]},
        },
    },
    "secret_authentication_tokens": ["token-1", "token-2"],
    "port": 3002,
    "host": "0.0.0.0",
}
VARIABLES = {"AICORE_SERVICE_KEY": json.dumps(KEY), "AICORE_RESOURCE_GROUP": "team-b"}


def with_account(**keys):
    """A config file of one subaccount, eu."""
    return {"subAccounts": {"eu": {"service_key_json": "eu.json", **keys}}}


def rows(settings):
    """Endpoints by where they are, weight and tier: two of them count as equal whatever their weight."""
    return {model: [astuple(each)[:6] for each in endpoints] for model, endpoints in pools(settings).items()}


def only(settings):
    """The subaccount, where there is one."""
    [account] = settings.subaccounts.values()
    return account
