"""One conversation, carried from a Gemini to a Claude to a GPT and back: nothing is lost that is not named."""

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import pytest

from tests.support.judges import frames
from tests.support.running import HttpAnswer, Proxy
from tests.support.talking import CHAT, MESSAGES, PIXEL, RESPONSES, gemini_path, sent

GEMINI, CLAUDE, GPT = "gemini-3.5-flash", "anthropic--claude-4.5-sonnet", "gpt-5.3-codex"
CUT, WHOLE = "half an emoji: \ud83d.", "half an emoji: \ufffd."
DRAWN = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
RESULT = "22 degrees \ud83d and sunny"
QUESTION = f"What does get_weather say of this picture? {CUT}"
SKIPPED = "skip_thought_signature_validator"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CARRIED_OR_NAMED = {"thinking", "thinking signature"}
"""What may be named: each vendor's thinking means nothing to another's models."""


class Teller(ABC):
    """A client that says again whatever it was told; *thinks* if it asks for thinking."""

    name: ClassVar[str]

    def __init__(self, *, thinks: bool = True) -> None:
        self.said: list[Any] = []
        self.thinks = thinks

    @abstractmethod
    def request(self, model: str) -> tuple[str, dict[str, Any]]:
        """The path, and the body with the whole history."""

    @abstractmethod
    def hear(self, answer: Any) -> list[Any]:
        """Keep the answer; give the calls in it."""

    @abstractmethod
    def give(self, calls: list[Any]) -> None:
        """Say what the calls gave back."""

    @abstractmethod
    def say(self, text: str, picture: str = "") -> None:
        """Say something, and show a picture."""

    @abstractmethod
    def draw(self) -> None:
        """Let the last answer hold a picture, as models that draw are heard to answer."""


class Messages(Teller):
    name = "messages"

    def request(self, model: str) -> tuple[str, dict[str, Any]]:
        tools = [{"name": "get_weather", "input_schema": CITY}]
        thinking = {"thinking": {"type": "enabled", "budget_tokens": 2000}} if self.thinks else {}
        return MESSAGES, {"model": model, "max_tokens": 4000, "messages": self.said, "tools": tools, **thinking}

    def hear(self, answer: Any) -> list[Any]:
        self.said.append({"role": "assistant", "content": answer["content"]})
        return [block for block in answer["content"] if block["type"] == "tool_use"]

    def give(self, calls: list[Any]) -> None:
        results = [{"type": "tool_result", "tool_use_id": call["id"], "content": RESULT} for call in calls]
        self.said.append({"role": "user", "content": results})

    def say(self, text: str, picture: str = "") -> None:
        source = {"type": "base64", "media_type": "image/png", "data": picture}
        shown = [{"type": "image", "source": source}] if picture else []
        self.said.append({"role": "user", "content": [*shown, {"type": "text", "text": text}]})

    def draw(self) -> None:
        self.said[-1]["content"].append({"type": "text", "text": f"![image](data:image/png;base64,{DRAWN})"})


class Chat(Teller):
    name = "chat"

    def request(self, model: str) -> tuple[str, dict[str, Any]]:
        tools = [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]
        effort = {"reasoning_effort": "low"} if self.thinks else {}
        return CHAT, {"model": model, "messages": self.said, "tools": tools, **effort}

    def hear(self, answer: Any) -> list[Any]:
        message = answer["choices"][0]["message"]
        self.said.append(message)
        return message.get("tool_calls") or []

    def give(self, calls: list[Any]) -> None:
        self.said += [{"role": "tool", "tool_call_id": call["id"], "content": RESULT} for call in calls]

    def say(self, text: str, picture: str = "") -> None:
        url = {"url": f"data:image/png;base64,{picture}"}
        shown = [{"type": "image_url", "image_url": url}] if picture else []
        self.said.append({"role": "user", "content": [*shown, {"type": "text", "text": text}]})

    def draw(self) -> None:
        self.said[-1]["images"] = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DRAWN}"}}]


class Responses(Teller):
    name = "responses"

    def request(self, model: str) -> tuple[str, dict[str, Any]]:
        tools = [{"type": "function", "name": "get_weather", "parameters": CITY}]
        thinking = {"reasoning": {"effort": "low", "summary": "auto"}} if self.thinks else {}
        kept = {"store": False, "include": ["reasoning.encrypted_content"]}
        return RESPONSES, {"model": model, "input": self.said, "tools": tools, **kept, **thinking}

    def hear(self, answer: Any) -> list[Any]:
        self.said += answer["output"]
        return [item for item in answer["output"] if item["type"] == "function_call"]

    def give(self, calls: list[Any]) -> None:
        self.said += [{"type": "function_call_output", "call_id": call["call_id"], "output": RESULT} for call in calls]

    def say(self, text: str, picture: str = "") -> None:
        shown = [{"type": "input_image", "image_url": f"data:image/png;base64,{picture}"}] if picture else []
        self.said.append({"role": "user", "content": [*shown, {"type": "input_text", "text": text}]})

    def draw(self) -> None:
        self.said.append({"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": DRAWN})


class Gemini(Teller):
    name = "gemini"

    def request(self, model: str) -> tuple[str, dict[str, Any]]:
        tools = [{"functionDeclarations": [{"name": "get_weather", "parametersJsonSchema": CITY}]}]
        thinking = {"thinkingConfig": {"thinkingBudget": 2000, "includeThoughts": True}} if self.thinks else {}
        body = {"contents": self.said, "tools": tools, "generationConfig": thinking}
        return gemini_path(model, stream=False), body

    def hear(self, answer: Any) -> list[Any]:
        content = answer["candidates"][0]["content"]
        self.said.append(content)
        return [part["functionCall"] for part in content["parts"] if "functionCall" in part]

    def give(self, calls: list[Any]) -> None:
        results = [{**call, "response": {"result": RESULT}} for call in calls]
        for result in results:
            del result["args"]
        self.said.append({"role": "user", "parts": [{"functionResponse": result} for result in results]})

    def say(self, text: str, picture: str = "") -> None:
        shown = [{"inlineData": {"mimeType": "image/png", "data": picture}}] if picture else []
        self.said.append({"role": "user", "parts": [*shown, {"text": text}]})

    def draw(self) -> None:
        self.said[-1]["parts"].append({"inlineData": {"mimeType": "image/png", "data": DRAWN}})


TELLERS = (Messages, Chat, Responses, Gemini)


def asked(proxy: Proxy, teller: Teller, model: str) -> tuple[HttpAnswer, str]:
    """Ask a model; give the answer, and all that it was told, as text."""
    proxy.cloud.forget()
    path, body = teller.request(model)
    told = proxy.ask("POST", path, body)
    assert told.status == 200, told.body
    [(_, body)] = sent(proxy)
    return told, json.dumps(body, ensure_ascii=False)


def dropped(told: HttpAnswer) -> set[str]:
    return set(filter(None, told.headers.get("x-proxy-dropped", "").split(", ")))


def words_in(answer: Any) -> list[str]:
    """The words of an answer that are not thoughts."""
    match answer:
        case {"content": [*blocks]}:
            return [block["text"] for block in blocks if block["type"] == "text"]
        case {"choices": [choice]}:
            return [choice["message"]["content"]]
        case {"output": [*items]}:
            return [part["text"] for item in items if item["type"] == "message" for part in item["content"]]
        case {"candidates": [candidate]}:
            return [
                part["text"] for part in candidate["content"]["parts"] if "text" in part and not part.get("thought")
            ]
        case _:
            raise AssertionError(answer)


@pytest.mark.parametrize("thinks", [True, False], ids=["thinking", "not thinking"])
@pytest.mark.parametrize("kind", TELLERS, ids=lambda kind: kind.name)
def test_a_conversation_is_carried_from_vendor_to_vendor_and_back(
    proxy: Proxy, kind: type[Teller], thinks: bool
) -> None:
    teller = kind(thinks=thinks)
    teller.say(QUESTION, PIXEL)
    told, _ = asked(proxy, teller, GEMINI)
    assert dropped(told) == set()
    calls = teller.hear(json.loads(told.body))
    assert len(calls) == 1
    teller.give(calls)
    told, upstream = asked(proxy, teller, GEMINI)
    assert dropped(told) == set()
    assert '"thoughtSignature"' in upstream
    assert SKIPPED not in upstream
    carried = [WHOLE, PIXEL, "get_weather", '"city"', RESULT.replace("\ud83d", "\ufffd")]
    for model in (CLAUDE, GPT, GEMINI, CLAUDE, GPT):
        answer = json.loads(told.body)
        assert teller.hear(answer) == []
        carried += [json.dumps(word, ensure_ascii=False)[1:-1] for word in words_in(answer)]
        if DRAWN not in carried:
            teller.draw()
            carried.append(DRAWN)
        teller.say(f"And what do you say, {model}?")
        told, upstream = asked(proxy, teller, model)

        assert [each for each in carried if each not in upstream] == []
        assert dropped(told) <= CARRIED_OR_NAMED
        assert SKIPPED not in upstream or model is GEMINI


@pytest.mark.parametrize("kind", [Messages, Responses, Gemini], ids=lambda kind: kind.name)
def test_each_vendor_is_shown_its_own_thinking_again(proxy: Proxy, kind: type[Teller]) -> None:
    signs = {GEMINI: '"thoughtSignature"', CLAUDE: '"signature"', GPT: '"encrypted_content"'}
    teller = kind()
    for model in (GEMINI, CLAUDE, GPT, CLAUDE, GEMINI, GPT):
        teller.say(QUESTION)
        told, _ = asked(proxy, teller, model)
        [*calls] = teller.hear(json.loads(told.body))
        assert len(calls) == 1
        teller.give(calls)
        told, upstream = asked(proxy, teller, model)
        assert teller.hear(json.loads(told.body)) == []

        assert signs[model] in upstream
        assert SKIPPED not in upstream or model is not GEMINI
        assert [sign for other, sign in signs.items() if other is not model and f"{sign}:" in upstream] == []
        assert dropped(told) <= CARRIED_OR_NAMED


def blocks_in(told: HttpAnswer) -> list[dict[str, Any]]:
    """The blocks of a streamed message, as an SDK of Anthropic's puts them together."""
    blocks: list[dict[str, Any]] = []
    arguments: list[str] = []
    for event in (frame.json for frame in frames(told)):
        match event:
            case {"type": "content_block_start", "content_block": {**block}}:
                blocks.append(block)
                arguments.append("")
            case {"type": "content_block_delta", "index": index, "delta": {"partial_json": text}}:
                arguments[index] += text
            case {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}:
                name = kind.removesuffix("_delta")
                blocks[index][name] += delta[name]
            case _:
                pass
    inputs = [{"input": json.loads(said)} if said else {} for said in arguments]
    return [block | read for block, read in zip(blocks, inputs, strict=True)]


@pytest.mark.parametrize(("model", "sign"), [(GEMINI, "thoughtSignature"), (GPT, "encrypted_content")])
def test_what_signs_a_call_comes_back_from_a_stream_that_shows_no_thinking(proxy: Proxy, model: str, sign: str) -> None:
    teller = Messages(thinks=False)
    teller.say(QUESTION)
    path, body = teller.request(model)
    blocks = blocks_in(proxy.ask("POST", path, {**body, "stream": True}))

    assert [block["type"] for block in blocks] == ["tool_use", "thinking"]
    assert blocks[1]["thinking"] == ""
    teller.give(teller.hear({"content": blocks}))
    told, upstream = asked(proxy, teller, model)
    assert dropped(told) == set()
    assert f'"{sign}"' in upstream
    assert SKIPPED not in upstream
    assert [block["type"] for block in json.loads(told.body)["content"]] == ["text"]
