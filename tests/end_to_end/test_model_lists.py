"""Lists of models through the vendors' own SDKs, and what else the catalogue of SAP AI Core decides."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai.types import HttpOptions

import emulator
from emulator.world import World, tenant
from tests.support.processes import until
from tests.support.running import KEY, Cloud, Proxy, running_proxy
from tests.support.talking import CHAT, MESSAGES

OLD = "anthropic--claude-3.5-sonnet"
"""That it has ended, the catalogue alone knows."""
DEPLOYED = (
    "anthropic--claude-4.5-sonnet",
    OLD,
    "gemini-2.5-pro",
    "gemini-3.5-flash",
    "gpt-5",
    "text-embedding-3-small",
)
ASK = {"max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}


def november() -> float:
    """A moment after the published end of several models."""
    return datetime(2026, 11, 27, tzinfo=UTC).timestamp()


def small_world(*, catalogue: bool) -> World:
    """One subaccount with a model of each family, and one that has ended."""
    return World((tenant("eu", "default", DEPLOYED, copies=1),), catalogue=catalogue)


@pytest.fixture(scope="module", params=[True, False], ids=["catalogue", "built-in"])
def listing_proxy(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that has read the catalogue, and one in front of a tenant that has none."""
    with (
        emulator.serve(small_world(catalogue=request.param)) as running,
        running_proxy(Cloud(running.url), tmp_path_factory.mktemp("lists"), now=november) as proxy,
    ):
        assert not request.param or until(lambda: OLD in endings_of(proxy))
        yield proxy


def endings_of(proxy: Proxy) -> dict[str, tuple[str, str]]:
    """The models that end, each with the day and its successor."""
    endings = proxy.ask("GET", "/router/state").json["endings"]
    return {each["model"]: (each["on"], each["successor"]) for each in endings}


def test_openais_sdk_lists_models_with_limits(listing_proxy: Proxy) -> None:
    with openai.OpenAI(base_url=f"{listing_proxy.url}/v1", api_key=KEY, max_retries=0) as client:
        models = {model.id: model for model in client.models.list()}
        one = client.models.retrieve("gpt-5")

    assert set(models) == set(DEPLOYED)
    assert models["gpt-5"].to_dict() == one.to_dict()
    assert one.to_dict().items() >= {"context_length": 400_000, "max_output_tokens": 128_000}.items()
    assert (one.shutdown_date, models["gemini-2.5-pro"].shutdown_date) == (None, "2026-10-16")


def test_anthropics_sdk_lists_models_with_limits_and_ends(listing_proxy: Proxy) -> None:
    with anthropic.Anthropic(base_url=listing_proxy.url, api_key=KEY, max_retries=0) as client:
        models = {model.id: model for model in client.models.list()}
        one = client.models.retrieve("anthropic--claude-4.5-sonnet")

    assert set(models) == set(DEPLOYED)
    assert (one.max_input_tokens, one.max_tokens, one.lifecycle) == (200_000, 64_000, "active")
    assert one.capabilities is not None
    assert one.capabilities.image_input.supported
    ended = models["gemini-2.5-pro"]
    assert (ended.lifecycle, ended.retires_at) == ("deprecated", datetime(2026, 10, 16, tzinfo=UTC))


def test_googles_sdk_lists_models_with_limits(listing_proxy: Proxy) -> None:
    client = genai.Client(api_key=KEY, http_options=HttpOptions(base_url=listing_proxy.url))
    models = {model.name: model for model in client.models.list()}
    one = client.models.get(model="gemini-3.5-flash")

    assert set(models) == {f"models/{name}" for name in DEPLOYED}
    assert (one.input_token_limit, one.output_token_limit, one.thinking) == (1_048_576, 65_535, True)
    assert models["models/gpt-5"].input_token_limit == 272_000
    assert models["models/gemini-2.5-pro"].description == "Ends on 2026-10-16; use gemini-3.5-flash."


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
def test_codex_gets_its_own_list(listing_proxy: Proxy, path: str) -> None:
    models = listing_proxy.ask("GET", f"{path}?client_version=0.171.0").json["models"]

    assert [model["slug"] for model in models] == [name for name in DEPLOYED if not name.startswith("text-embedding")]
    assert all(model["base_instructions"] for model in models)


def test_what_has_ended_is_served_and_shown_among_the_states(listing_proxy: Proxy) -> None:
    told = listing_proxy.ask("POST", CHAT, {"model": "gemini-2.5-pro", **ASK})

    assert (told.status, told.headers["x-proxy-model"]) == (200, "gemini-2.5-pro")
    assert endings_of(listing_proxy)["gemini-2.5-pro"] == ("2026-10-16", "gemini-3.5-flash")
    assert endings_of(listing_proxy).keys() <= {"gemini-2.5-pro", OLD}


@pytest.mark.parametrize(
    ("beta", "limit"),
    [("", " This model takes 200000 tokens."), ("context-1m-2025-08-07", "")],
    ids=["usual", "larger"],
)
def test_an_overflow_without_numbers_gets_the_limit_of_the_model(listing_proxy: Proxy, beta: str, limit: str) -> None:
    """Of a context that a beta makes larger the limit is not known."""
    (deployment,) = listing_proxy.cloud.deployments("anthropic--claude-4.5-sonnet")
    listing_proxy.cloud.fault(deployment, "400", message="Input is too long for requested model.")
    body = {"model": "anthropic--claude-4.5-sonnet", **ASK}
    told = listing_proxy.ask("POST", MESSAGES, body, **{"anthropic-beta": beta})
    listing_proxy.cloud.heal()

    expected = f"prompt is too long: Input is too long for requested model.{limit}"
    assert (told.status, told.json["error"]["message"]) == (400, expected)


def test_what_the_catalogue_alone_knows_counts_once_it_is_read(tmp_path: Path) -> None:
    """The end of this Claude is not built in, and neither is it that gpt-5 and not the newest GPT succeeds gpt-4o."""
    world = World((tenant("eu", "default", (OLD, "gpt-5.5", "gpt-5"), copies=1),))
    with emulator.serve(world) as running, running_proxy(Cloud(running.url), tmp_path, now=november) as proxy:
        endings = until(lambda: endings_of(proxy))
        model = proxy.ask("GET", f"/v1/models/{OLD}").json
        told = proxy.ask("POST", CHAT, {"model": "gpt-4o", **ASK})

    assert endings == {OLD: ("2026-02-28", "anthropic--claude-4.6-sonnet")}
    assert (model["deprecated"], model["shutdown_date"]) == (True, "2026-02-28")
    assert (told.status, told.headers["x-proxy-fallback"]) == (200, "gpt-4o -> gpt-5")
