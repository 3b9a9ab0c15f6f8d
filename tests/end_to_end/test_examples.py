"""The examples are run, so that they stay true."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

import routing.strategy
from gateway.cli.demo import config_for
from gateway.config.loader import load
from gateway.config.settings import pools
from routing import Endpoint
from tests.support.running import Cloud, config_of, running_proxy

EXTENSIONS = Path(__file__).parents[2] / "examples" / "extensions"
MODEL = "gpt-5.5"


@pytest.fixture
def extended(tmp_path: Path) -> Iterator[Path]:
    """A folder with the extensions beside the config file, as a user would put them; none outlives the test."""
    sources = list(EXTENSIONS.glob("*.py"))
    for source in sources:
        (tmp_path / source.name).write_text(source.read_text())
    with patch.dict(routing.strategy._STRATEGIES), patch.object(sys, "path", [*sys.path]):
        yield tmp_path
    for source in sources:
        sys.modules.pop(source.stem, None)


def test_a_strategy_of_ones_own_is_chosen_by_its_name(cloud: Cloud, extended: Path) -> None:
    config = config_of(cloud, {MODEL: []})
    more = {"extensions": ["cheapest_first"], "routing": {"strategy": "cheapest-first"}}
    with running_proxy(cloud, extended, **config, **more) as proxy:
        for _ in range(6):
            told = proxy.ask("POST", "/v1/chat/completions", {"model": MODEL, "messages": [HELLO]})
            assert told.headers["x-proxy-deployment"].partition("/")[0] == "eu"

        assert proxy.ask("GET", "/router/state").json["strategies"][MODEL] == "cheapest-first"


HELLO = {"role": "user", "content": "Hello"}


def test_a_busy_subaccount_is_helped_out_by_the_next_dearer_one(cloud: Cloud, extended: Path) -> None:
    with running_proxy(cloud, extended, extensions=["cheapest_first"], routing={"strategy": "cheapest-first"}) as proxy:
        leases = [proxy.gateway.balancer.acquire(MODEL) for _ in range(20)]
        used = [lease.endpoint.subaccount for lease in leases]
        for lease in leases:
            lease.close()

    assert used[:16] == ["eu"] * 16
    assert "us" in used[16:]


def test_a_protocol_of_ones_own_serves_the_models_of_its_pattern(cloud: Cloud, extended: Path) -> None:
    with running_proxy(cloud, extended, extensions=["future_model"]) as proxy:
        router = proxy.gateway.router
        endpoint = Endpoint("eu", "https://eu/v2/inference/deployments/d1", "future-model-9")
        router.balancer.replace_pools({endpoint.model: [endpoint]})
        route = router.route({"model": "future-model-9", "messages": [HELLO], "stream": True})

    assert route.endpoint_url == "https://eu/v2/inference/deployments/d1/v3/future-model-9/stream"
    assert route.protocol.name == "future-model"


def test_an_extension_that_cannot_be_imported_is_named(cloud: Cloud, tmp_path: Path) -> None:
    proxy = running_proxy(cloud, tmp_path, extensions=["nowhere"])
    with pytest.raises(ValueError, match=r"extensions\[0\]: the module 'nowhere' cannot be imported"):
        proxy.__enter__()


@pytest.fixture
def library(cloud: Cloud, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the program that uses the package without the proxy, in a process and a folder of its own."""
    (tmp_path / "config.json").write_text(json.dumps(config_for(cloud.tenants)))

    def run(model: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, EXTENSIONS.parent / "library" / "ask.py", "config.json", model, "Hello"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.mark.parametrize("model", [MODEL, "fast", "claude-sonnet-4-5", "gemini-3.5-flash"])
def test_a_program_may_use_the_package_without_the_proxy(library, model: str) -> None:
    told = library(model)

    assert told.stdout.strip()
    assert (told.returncode, told.stderr.strip().endswith(" ok")) == (0, True), told.stderr


def test_such_a_program_goes_elsewhere_after_a_failure(cloud: Cloud, library) -> None:
    for deployment in cloud.deployments(MODEL, "eu"):
        cloud.fault(deployment, "500")
    told = library(MODEL)
    [[eu, first], [us, second]] = [each.rsplit(" ", 1) for each in told.stderr.strip().split(" → ")]

    assert (eu[:2], first, us[:2], second) == ("eu", "500", "us", "ok")
    assert told.stdout.strip()


def test_the_example_config_says_what_it_seems_to(tmp_path: Path) -> None:
    key = {"clientid": "c", "clientsecret": "s", "url": "https://auth", "serviceurls": {"AI_API_URL": "https://api"}}
    source = EXTENSIONS.parent / "config.json"
    (tmp_path / "config.json").write_text(source.read_text())
    for name in ("eu_key.json", "us_key.json"):
        (tmp_path / name).write_text(json.dumps(key))
    settings = load(tmp_path / "config.json", {"PROXY_KEY": "sk-x"}, tmp_path)

    assert settings.warnings == ()
    assert settings.policy.strategy == "cache-affinity"
    assert settings.policy.strategy_for("gpt-5.5") == "least-latency"
    assert [endpoint.weight for endpoint in pools(settings)["gpt-5.5"]] == [1.0, 2.0]
    assert (settings.subaccounts["us"].discovery, settings.subaccounts["us"].weight) == (True, 2.0)
