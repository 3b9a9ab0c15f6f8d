"""A subaccount whose SAP AI Core is not there yet when the proxy starts."""

import json
from pathlib import Path

import pytest

import emulator
from gateway.config.loader import load
from tests.support.processes import free_port, until
from tests.support.running import Cloud, HttpAnswer, Proxy, config_of, serving
from tests.support.worlds import mixed_world


def ask(proxy: Proxy, model: str, *, stream: bool = False) -> HttpAnswer:
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]}
    return proxy.ask("POST", "/v1/chat/completions", body)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_runs_there_is_asked_for_later_until_it_comes_up(tmp_path: Path, stream: bool) -> None:
    """Also where another subaccount has what could stand in: it does not."""
    port = free_port()
    with emulator.serve(mixed_world()) as here, emulator.serve(mixed_world(), port=port) as there:
        config = config_of(Cloud(there.url))
        config["subAccounts"]["us"]["deployment_models"] = {}
        config["subAccounts"]["eu"] = config_of(Cloud(here.url), {"gpt-4.1": []})["subAccounts"]["eu"]
        file = tmp_path / "config.json"
        file.write_text(json.dumps(config))
        there.close()
        with serving(load(file, {}, tmp_path), Cloud(here.url)) as proxy:
            ready, early = proxy.ask("GET", "/ready"), ask(proxy, "gpt-5", stream=stream)
            known = ask(proxy, "gpt-4.1", stream=stream)
            with emulator.serve(mixed_world(), port=port):
                assert until(lambda: proxy.ask("GET", "/ready").json["subaccounts"]["us"] == "ok")
                late, unknown = ask(proxy, "gpt-5", stream=stream), ask(proxy, "gpt-17", stream=stream)

    assert (ready.status, ready.json["status"], ready.json["subaccounts"]["eu"]) == (200, "ready", "ok")
    assert ready.json["subaccounts"]["us"].startswith("no token")
    assert early.status == 503
    assert 1 <= int(early.headers["retry-after"]) <= 16
    assert (
        "'gpt-5' is not known yet: the proxy has not listed the deployments of us yet."
        in early.json["error"]["message"]
    )
    assert (known.status, known.headers["x-proxy-model"]) == (200, "gpt-4.1")
    assert (late.status, late.headers["x-proxy-model"]) == (200, "gpt-5")
    assert (unknown.status, unknown.headers["x-proxy-fallback"]) == (200, "gpt-17 -> gpt-5.5")
