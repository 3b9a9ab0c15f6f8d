"""Claude uses a computer, through Anthropic's own SDK."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.support.running import KEY, Proxy
from tests.support.talking import sent

MODELS = [
    ("anthropic--claude-4-sonnet", "2025-01-24"),
    ("anthropic--claude-4.5-sonnet", "2025-01-24"),
    ("anthropic--claude-4.6-sonnet", "2025-11-24"),
    ("anthropic--claude-4.8-opus", "2025-11-24"),
]


@pytest.fixture
def client(wide_proxy: Proxy) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=wide_proxy.url, api_key=KEY, max_retries=0) as client:
        yield client


def use(client: anthropic.Anthropic, model: str, date: str, betas: list[str]) -> Any:
    computer = {
        "type": f"computer_{date.replace('-', '')}",
        "name": "computer",
        "display_width_px": 1024,
        "display_height_px": 768,
    }
    question = {"role": "user", "content": "What is on the screen?"}
    return client.beta.messages.create(  # type: ignore[call-overload]  # the date decides which of the tools it is
        model=model,
        max_tokens=1000,
        tools=[computer],
        tool_choice={"type": "tool", "name": "computer"},
        messages=[question],
        betas=betas,
    )


@pytest.mark.parametrize(("model", "date"), MODELS)
def test_the_computer_of_a_model_is_used(wide_proxy: Proxy, client: anthropic.Anthropic, model: str, date: str) -> None:
    message = use(client, model, date, [f"computer-use-{date}"])
    [(_, body)] = sent(wide_proxy)

    assert [(block.type, block.name) for block in message.content] == [("tool_use", "computer")]
    assert body["anthropic_beta"] == [f"computer-use-{date}"]


@pytest.mark.parametrize(
    ("model", "date", "betas", "wrong"),
    [
        ("anthropic--claude-4.5-sonnet", "2025-01-24", [], "needs computer-use-2025-01-24"),
        ("anthropic--claude-4.5-sonnet", "2025-11-24", ["computer-use-2025-11-24"], "does not know the tool"),
        ("anthropic--claude-3.5-sonnet", "2025-01-24", ["computer-use-2025-01-24"], "does not know the tool"),
    ],
)
def test_a_computer_that_cannot_be_used_is_refused_in_words(
    wide_proxy: Proxy, client: anthropic.Anthropic, model: str, date: str, betas: list[str], wrong: str
) -> None:
    with pytest.raises(anthropic.BadRequestError, match=wrong):
        use(client, model, date, betas)

    assert sent(wide_proxy) == []
