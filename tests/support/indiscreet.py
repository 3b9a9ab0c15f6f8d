"""A proxy of which every setting is a marker, before an SAP AI Core that repeats in its errors all that it was sent."""

import json
import re
from typing import Any

from gateway.config.caller_keys import digest_of
from tests.support.raw_core import RawRequest, Script, answer, running_core

SECRETS = {
    "client secret": 'mk/client+secret=0"x',
    "private key": "MkPrivateKeyOfAClient0",
    "userinfo of the token URL": "mk-userinfo-0001",
    "token": "eyJhbGciOiJub25lIn0.TWstdG9rZW4tbWFya2Vy.c2lnbmF0dXJl",
    "key of alice": 'sk-alice/+=&"key-0002',
    "key of bob": "sk-bob~key|0003-x",
    "admin key": "sk-admin-key-00",  # as long as the name of a thread may be
    "key without a name": "sk-unnamed-key-0005",
    "wrong key": "sk-wrong/key+0006-x",
    "signing key": "mk-signing-key-0007-x",
    "password of the HTTP proxy": "mk-proxy-pass-0008",
    "header of the collector": "mk-otlp-header-0009",
    "another variable": "mk-environment-0010",
}
"""What the proxy knows and tells nobody, except those whom it is for."""
FOR_THE_CORE = ("client secret", "userinfo of the token URL", "token", "password of the HTTP proxy")
"""The secrets that the way to SAP AI Core needs."""
WORDS = {
    "prompt": "mk prompt of alice & 11",
    "argument of a tool": "mk-tool-argument-0012",
    "picture": "bWstcGljdHVyZS1vZi1hbGljZQ",
    "user": "mk-user-id-0013",
    "answer": "mk answer of a model & 14",
}
"""What alice says and is answered. It is hers alone, and in no log."""
HIDDEN_HOST = "hidden-host.invalid"
PATH_OF_A_DEPLOYMENT = "/v2/inference/deployments"
FAULTS = (401, 403, 404, 429, 500)
MODELS = (
    "gpt-ok", "gpt-garbled", "gpt-cut", "gpt-moved", "gpt-refused", "gpt-tls", "gpt-lost", "gpt-defect",
    "gpt-no-token", "gpt-moved-token", "gpt-garbled-token", "gpt-certificate", *(f"gpt-{status}" for status in FAULTS),
)  # fmt: skip
EXTENSION = """
import sys

from routing import OpenAIChatProtocol

class Defective(OpenAIChatProtocol):
    name = "defective"

    def build_endpoint(self, base_url, model, stream):
        if sys.argv[1:]:
            return base_url  # in other commands than the one that serves
        raise ZeroDivisionError("a defect of an extension")

def extend(router):
    router.register_converter("gpt-defect", Defective())
"""
_PEM = "-----BEGIN {0}-----\n{1}\n-----END {0}-----\n"


def _echo(request: RawRequest) -> str:
    """Repeat a request, as the error messages of some gateways do."""
    asked = f"{request.head.decode('latin-1')}\n{request.body.decode('utf-8', 'replace')}"
    return f"cannot reach http://{HIDDEN_HOST}{PATH_OF_A_DEPLOYMENT}/d0 with: {asked}"


def _refusal(status: int) -> Script:
    return lambda request: answer({"error": {"message": _echo(request), "code": "x", "type": "x"}}, status)


def _completion(request: RawRequest) -> bytes:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    head = {"id": "chat-1", "created": 1, "model": "gpt-ok", "usage": usage}
    said = {"role": "assistant", "content": WORDS["answer"]}
    if b'"stream":true' not in request.body.replace(b" ", b""):
        choice = {"index": 0, "message": said, "finish_reason": "stop"}
        return answer({**head, "object": "chat.completion", "choices": [choice]})
    chunk = {**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": said, "finish_reason": None}]}
    last = {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return answer(_events(chunk, last) + b"data: [DONE]\n\n", kind="text/event-stream")


def _response(_: RawRequest) -> bytes:
    text = {"type": "output_text", "text": WORDS["answer"], "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    told = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-5"}
    return answer({**told, "output": [message], "usage": usage})


def _events(*chunks: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def _cut(request: RawRequest) -> bytes:
    """Begin a stream, then report an error that repeats the request, and break off."""
    delta = {"index": 0, "delta": {"role": "assistant", "content": "It"}, "finish_reason": None}
    body = _events({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [delta]})
    body += _events({"error": {"message": _echo(request), "code": "500"}})
    return answer(body, kind="text/event-stream").replace(b"Content-Length: ", b"Content-Length: 9")


def _moved(request: RawRequest) -> bytes:
    return answer({"error": _echo(request)}, 302, Location=f"http://{HIDDEN_HOST}/?{SECRETS['token']}")


def _token(_: RawRequest) -> bytes:
    return answer({"access_token": SECRETS["token"], "expires_in": 3600})


def _listing(request: RawRequest) -> bytes:
    """List the one deployment of a resource group, which has its name."""
    found = re.search(rb"(?im)^ai-resource-group: ([\w-]+)", request.head)
    model = {"name": f"gpt-{found[1].decode() if found else ''}", "version": "latest"}
    listed = {"id": model["name"].removeprefix("gpt-"), "status": "RUNNING", "scenarioId": "foundation-models"}
    return answer(
        {"count": 1, "resources": [{**listed, "details": {"resources": {"backendDetails": {"model": model}}}}]}
    )


SCRIPTS: dict[str, Script] = {
    "/no-token/oauth/token": _refusal(401),
    "/moved-token/oauth/token": _moved,
    "/garbled-token/oauth/token": lambda request: answer(f"<p>{_echo(request)}</p>".encode(), kind="text/html"),
    "/oauth/token": _token,
    "/lm/deployments": _listing,
    "/lm/": _refusal(500),
    "/deployments/kept": _response,
    "/deployments/garbled": lambda request: answer(f'{{"choices": {_echo(request)}'.encode()),
    "/deployments/cut": _cut,
    "/deployments/moved": _moved,
    **{f"/deployments/{status}": _refusal(status) for status in FAULTS},
    "/deployments/": _completion,
}


def scripted_core() -> Any:
    """Run the SAP AI Core; for a `with` statement."""
    return running_core(SCRIPTS)


def config_for(port_of_core: int, port: int, **more: Any) -> dict[str, Any]:
    """Write the config file of a proxy on a port, with the secrets in it, or in variables that it refers to."""
    core, closed = f"http://127.0.0.1:{port_of_core}", "http://127.0.0.1:1"
    elsewhere = {"gpt-refused": closed, "gpt-tls": core.replace("http:", "https:"), "gpt-lost": "http://lost.invalid"}
    accounts = {}
    for model in (*MODELS, "gpt-5"):
        name = "kept" if model == "gpt-5" else model.removeprefix("gpt-")
        userinfo = f"http://user:{SECRETS['userinfo of the token URL']}@127.0.0.1:{port_of_core}"
        key = {"clientid": f"client-of-{name}", "clientsecret": "${CLIENT_SECRET}"}
        key |= {"url": f"{userinfo}/{name}", "serviceurls": {"AI_API_URL": core}}
        if model == "gpt-certificate":
            del key["clientsecret"], key["url"]
            key |= {"certificate": _PEM.format("CERTIFICATE", "AAAA"), "certurl": core.replace("http:", "https:")}
            key["key"] = _PEM.format("PRIVATE KEY", SECRETS["private key"])
        url = f"{elsewhere.get(model, core)}{PATH_OF_A_DEPLOYMENT}/{name}"
        accounts[name] = {"resource_group": name, "service_key": key, "deployment_models": {model: [url]}}
    return {
        "port": port,
        "subAccounts": accounts,
        "secret_authentication_tokens": [SECRETS["key without a name"]],
        "keys": [
            {"name": "alice", "key": "${KEY_OF_ALICE}"},
            {"name": "bob", "hash": f"sha256:{digest_of(SECRETS['key of bob']).hex()}"},
            {"name": "root", "key": SECRETS["admin key"], "admin": True},
        ],
        "secret_signing_keys": [SECRETS["signing key"]],
        "extensions": ["defective"],
        "log_level": "debug",
        "server": {"workers": 1, "max_body_bytes": 20_000},
        "routing": {
            "health_check_interval": 0,
            "cooldown": {"wait_at_most": 0},
            "retry": {"max_attempts": 1},
            "timeouts": {"connect": 2, "first_event": 3, "idle": 3, "answer": 3, "total": 6},
        },
        **more,
    }
