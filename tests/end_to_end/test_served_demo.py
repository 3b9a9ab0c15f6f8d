"""What a new user gets: the served demo, with the vendors' SDKs pointed at it."""

import json
import os
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anthropic
import openai
import pytest
from click.testing import CliRunner

from gateway.cli.main import cli
from tests.end_to_end.test_anthropic_sdk import WEATHER as ANTHROPIC_WEATHER
from tests.end_to_end.test_anthropic_sdk import words
from tests.end_to_end.test_openai_sdk import CHAT_MODELS
from tests.end_to_end.test_openai_sdk import WEATHER as OPENAI_WEATHER
from tests.support.processes import COMMAND, PATIENCE, answers, free_port, until
from tests.support.running import KEY

ASKED = "What is the weather in Paris?"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a demo, served as ``make run`` serves it."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("sap-ai-proxy")),
        "--or-demo",
        "--port",
        str(port),
        "--log-level",
        "error",
    ]
    folder = tmp_path_factory.mktemp("demo")
    env = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{url}/health"), amiss=lambda: "the demo did not start")
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture(scope="module")
def by_openai(served: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def by_anthropic(served: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=served, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", CHAT_MODELS)
def test_openais_sdk_gets_text_a_stream_with_usage_and_a_call(by_openai: openai.OpenAI, model: str) -> None:
    ask = {"model": model, "messages": [{"role": "user", "content": "Hello there"}]}
    text = by_openai.chat.completions.create(**ask).choices[0].message.content
    chunks = list(by_openai.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    called = by_openai.chat.completions.create(
        model=model, messages=[{"role": "user", "content": ASKED}], tools=[OPENAI_WEATHER], tool_choice="required"
    )
    [call] = called.choices[0].message.tool_calls

    assert "Hello there" in text
    assert text == "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert chunks[-1].usage.total_tokens > 0
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments).keys() == {"city"}


@pytest.mark.parametrize("model", CHAT_MODELS)
def test_anthropics_sdk_gets_text_a_stream_with_usage_and_a_call(by_anthropic: anthropic.Anthropic, model: str) -> None:
    ask = {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": "Hello there"}]}
    text = words(by_anthropic.messages.create(**ask))
    with by_anthropic.messages.stream(**ask) as stream:
        streamed = stream.get_final_message()
    called = by_anthropic.messages.create(
        model=model,
        max_tokens=500,
        messages=[{"role": "user", "content": ASKED}],
        tools=[ANTHROPIC_WEATHER],
        tool_choice={"type": "any"},
    )
    [call] = [block for block in called.content if block.type == "tool_use"]

    assert "Hello there" in text
    assert text == words(streamed)
    assert streamed.usage.input_tokens > 0
    assert streamed.usage.output_tokens > 0
    assert call.name == "get_weather"
    assert call.input.keys() == {"city"}


def test_status_and_models_show_the_demo_to_people_and_to_programs(served: str, by_openai: openai.OpenAI) -> None:
    """What the two commands read is what a served proxy says, over all its workers."""
    model = CHAT_MODELS[0]
    by_openai.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello there"}])
    where = ["--url", served, "--key", KEY]

    def said(*arguments: str) -> str:
        told = CliRunner().invoke(cli, [*arguments, *where])
        assert (told.exit_code, told.stderr) == (0, "")
        return told.stdout

    status = json.loads(said("status", "--once", "--json"))
    models = json.loads(said("models", "--json"))
    latest = status["decisions"][0]
    [seen] = [each for each in status["models"] if each["name"] == latest["model"]]

    assert (status["health"], status["problems"], status["workers"]) == ("well", [], 1)
    assert (latest["outcome"], latest["client"], latest["requested"]) == ("ok", "openai-chat", model)
    assert seen["traffic"]["requests"] >= 1
    assert seen["traffic"]["tokens"]["output"] > 0
    assert said("status").startswith("✓ well  sap-ai-proxy ")
    assert {each["name"] for each in models} == {each["name"] for each in status["models"]}
    assert f"✓  {latest['model']} " in said("models")


def test_status_fills_a_terminal_until_q_and_leaves_it_as_it_was(served: str, tmp_path: Path) -> None:
    person, program = os.openpty()
    os.set_blocking(person, False)
    before, shown = termios.tcgetattr(program), bytearray()

    def shows(what: bytes) -> bool:
        with suppress(BlockingIOError):
            shown.extend(os.read(person, 65_536))
        return what in shown

    command = [*COMMAND, "status", "--url", served, "--key", KEY]
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8", "COLUMNS": "80"}
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stdin=program, stdout=program, stderr=program)
    try:
        assert until(lambda: shows(b"requests")), shown
        os.write(person, b"q")
        assert until(lambda: shows(b"\x1b[?1049l")), shown
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait(PATIENCE)
    after = termios.tcgetattr(program)
    for end in (person, program):
        os.close(end)

    assert shown.index(b"\x1b[?1049h") < shown.index(b"well") < shown.index(b"\x1b[?1049l")
    assert before == after
