"""A real Prometheus scrapes a served proxy, and answers every question of the rules and of the dashboard."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import emulator
from emulator.world import World, tenant
from tests.support.certificates import certificate
from tests.support.monitoring import RULES, filled, names_in, rules, targets
from tests.support.processes import free_port, new_place, until
from tests.support.prometheus import Prometheus, program, promtool, running_prometheus
from tests.support.running import KEY, Cloud, Proxy, config_of
from tests.support.sources import held

MODEL, CLAUDE = "gpt-4.1", "anthropic--claude-4.5-haiku"
SECONDS = "500ms"
"""How often Prometheus asks and judges here, so that nobody waits for it."""


@dataclass
class Watched:
    """A proxy that has had traffic and trouble, and the Prometheus that scrapes it."""

    proxy: Proxy
    prometheus: Prometheus

    @property
    def metrics(self) -> str:
        return self.proxy.ask("GET", "/metrics").body.decode()


def ask(proxy: Proxy, model: str = MODEL, **more: Any) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}
    return proxy.ask("POST", "/v1/chat/completions", body).status


def config_in_trouble(cloud: Cloud, folder: Path) -> dict[str, Any]:
    """Write a config file with a third subaccount, whose token service nobody can reach."""
    config = config_of(cloud)
    own = certificate(folder, "client")
    nowhere = f"http://127.0.0.1:{free_port()}"
    key = {
        "clientid": "lost", "certificate": own.file.read_text(), "key": own.key_file.read_text(),
        "certurl": nowhere, "serviceurls": {"AI_API_URL": nowhere},
    }  # fmt: skip
    lost = {"service_key": key, "deployment_models": {MODEL: [f"{nowhere}/v2/inference/deployments/lost"]}}
    return {**config, "subAccounts": {**config["subAccounts"], "lost": lost}}


def scrape_config(url: str, key: Path) -> str:
    """Write the example of `deploy/`, pointed at a proxy, as often as tests want it."""
    config = yaml.safe_load((RULES.parent / "prometheus.yml").read_text(encoding="utf-8"))
    [job] = config["scrape_configs"]
    job["authorization"]["credentials_file"] = str(key)
    job["static_configs"] = [{"targets": [url.removeprefix("http://")]}]
    intervals = {"scrape_interval": SECONDS, "scrape_timeout": SECONDS, "evaluation_interval": SECONDS}
    rules_file = key.parent / "rules.yml"
    rules_file.write_text(RULES.read_text(encoding="utf-8"), encoding="utf-8")
    return yaml.safe_dump({**config, "global": intervals, "rule_files": [str(rules_file)]})


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    program("prometheus")
    folder, port = tmp_path_factory.mktemp("watched"), free_port()
    url, place = f"http://127.0.0.1:{port}", new_place(folder)
    world = World(tuple(tenant(name, "default", (MODEL, CLAUDE)) for name in ("eu", "us")))
    key = folder / "proxy.key"
    key.write_text(KEY)
    with emulator.serve(world) as running:
        cloud = Cloud(running.url)
        place.write("config.json", config_in_trouble(cloud, folder))
        with place.running("--port", str(port), "--workers", "2") as run:
            run.await_answer(url)
            proxy = Proxy(url, None, cloud)  # type: ignore[arg-type]  # it is in other processes
            until(lambda: proxy.ask("GET", "/ready").status == 200, amiss=lambda: run.said)
            quota, gone, *_ = cloud.deployments(MODEL, "eu")
            cloud.fault(quota, "429-provider", retry_after=300)
            cloud.fault(gone, "404")
            for model in (MODEL, CLAUDE) * 8:
                ask(proxy, model)
            for deployment in cloud.deployments(CLAUDE):
                cloud.fault(deployment, "500", times=1)
            assert {ask(proxy, CLAUDE), ask(proxy, "nobody")} == {502, 404}
            with running_prometheus(scrape_config(url, key), folder) as prometheus:
                until(lambda: prometheus.query("aicore_proxy_ready"))
                for _ in range(4):
                    ask(proxy, stream=True)
                yield Watched(proxy, prometheus)


def test_every_metric_of_the_rules_and_the_dashboard_is_one_of_the_proxy(watched: Watched) -> None:
    offered = set(re.findall(r"^# TYPE (\w+)", watched.metrics, re.MULTILINE)) | {"up"}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked = [rule["expr"] for rule in rules()] + [target["expr"] for _, target in targets()]

    held("/metrics has each of them.", sorted({name for each in asked for name in names_in(each)} - offered - recorded))


def test_promtool_has_nothing_to_say_of_the_metrics(watched: Watched) -> None:
    told = promtool("check", "metrics", said=watched.metrics)

    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_every_panel_of_the_dashboard_shows_something(watched: Watched) -> None:
    asked = {filled(target["expr"]): panel["title"] for panel, target in targets()}
    empty = set(asked)

    def all_shown() -> bool:
        empty.difference_update([each for each in empty if watched.prometheus.query(each)])
        return not empty

    until(all_shown, amiss=lambda: json.dumps({asked[each]: each for each in empty}, indent=1))


def test_prometheus_evaluates_every_rule_and_sees_the_trouble(watched: Watched) -> None:
    """Alerts wait for minutes before they fire; what they wait for is there at once."""
    expected = {"AICoreProxyCircuitOpen", "AICoreProxyLongCooldown", "AICoreProxySubaccountNotReady"}

    def found() -> list[dict[str, Any]]:
        groups = watched.prometheus.get("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    until(lambda: {rule["name"] for rule in found() if rule.get("state") == "pending"} >= expected, amiss=found)
    until(lambda: all(rule["health"] == "ok" for rule in found()), amiss=found)

    assert {rule["name"] for rule in found()} == {rule.get("alert") or rule["record"] for rule in rules()}
    assert {rule["name"] for rule in found() if rule.get("state") in {"pending", "firing"}} & {
        "AICoreProxyDown", "AICoreProxyNotReady", "AICoreProxyModelUnavailable"
    } == set()  # fmt: skip


def test_each_recorded_number_is_there_for_a_model_that_was_asked(watched: Watched) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}

    def found() -> set[str]:
        return {each for each in recorded if watched.prometheus.query(f'{each}{{model="{CLAUDE}"}}')}

    until(lambda: found() == recorded, amiss=found)


def test_what_an_operator_asks_of_the_gauges_is_answered(watched: Watched) -> None:
    """Numbers of the same scrape agree: two workers, of which each has a circuit for each of nine endpoints."""
    one = {
        "sum(aicore_proxy_endpoint_circuits)": "18",
        'sum(aicore_proxy_workers{state="accepting"})': "2",
        'count(process_resident_memory_bytes{process=~"supervisor|worker-[01]"})': "3",
        'aicore_proxy_subaccount_ready{subaccount="lost"}': "0",
        'sum by (fault) (aicore_proxy_token_failing{subaccount="lost"}) > bool 0': "1",
        "max(aicore_proxy_endpoint_cooldown_end_timestamp_seconds) > bool time()": "1",
    }

    def answers() -> dict[str, str]:
        return {each: answer["value"][1] for each in one for answer in watched.prometheus.query(each)}

    until(lambda: answers() == one, amiss=answers)
