"""Requests that a caller wrote carelessly: what is read for what it means, what is left out, and what is refused."""

import copy

import pytest

from dialects import anthropic_messages, openai_chat
from dialects.core.faults import FaultError, FaultKind
from proxy_helpers import Converters
from tests.proxy_helpers.calls import CALL, TOOL_USE

CHAT = {"messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Weather?"}]}
CLAUDE = {"system": "Be brief", "messages": [{"role": "user", "content": "Weather?"}]}
FROM_CHAT = [
    Converters.convert_openai_to_claude,
    Converters.convert_openai_to_claude37,
    Converters.convert_openai_to_gemini,
    Converters.convert_openai_to_responses,
]
FROM_CLAUDE = [
    Converters.convert_claude_request_to_openai,
    Converters.convert_claude_request_to_gemini,
    Converters.convert_claude_request_for_bedrock,
]
NO_NUMBERS = ["many", None, True, [], {}, float("nan"), "inf"]
TURNS = {
    Converters.convert_openai_to_claude: "messages",
    Converters.convert_openai_to_claude37: "messages",
    Converters.convert_openai_to_gemini: "contents",
    Converters.convert_openai_to_responses: "input",
    Converters.convert_claude_request_to_openai: "messages",
    Converters.convert_claude_request_to_gemini: "contents",
}
"""Where each body holds what was said."""


def saying(base: dict, *messages: object) -> dict:
    """Add messages behind those of a request."""
    return base | {"messages": [*base["messages"], *messages]}


def user(*content: object) -> dict:
    return {"role": "user", "content": list(content)}


def typed(text: str) -> dict:
    return {"type": "text", "text": text}


SENSELESS_SETTINGS = [
    *((name, value) for name in ("max_tokens", "temperature", "top_p") for value in NO_NUMBERS),
    *(("max_completion_tokens", value) for value in NO_NUMBERS),
    *(("stop", value) for value in (5, None, {}, ["END", 5])),
]
SENSELESS_MESSAGES = [
    {"role": "critic", "content": "Boo"},
    {"role": ["user"], "content": "Hi"},
    {"content": "Hi"},
    {"role": "tool", "content": "22C"},
    {"role": "function", "content": "22C"},
    {"role": "user"},
    {"role": "user", "content": None},
    {"role": "assistant", "content": None},
    {"role": "user", "content": True},
    user({"image": "none"}),
    {"role": "user", "content": {}},
]


class TestWhatIsLeftOut:
    @pytest.mark.parametrize(("name", "value"), SENSELESS_SETTINGS, ids=repr)
    @pytest.mark.parametrize("convert", FROM_CHAT)
    def test_a_setting_without_sense_is_as_if_it_were_not_there(self, convert, name, value, caplog):
        assert convert(CHAT) == convert(CHAT | {name: value})
        assert caplog.messages == [f"a request: {name} is left out: its value is not valid"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *((name, value) for name in ("temperature", "top_p", "top_k") for value in NO_NUMBERS),
            *(("stop_sequences", value) for value in (5, None, ["END", 5])),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("convert", FROM_CLAUDE)
    def test_so_is_one_of_anthropics(self, convert, name, value, caplog):
        assert convert(CLAUDE) == convert(CLAUDE | {name: value})
        assert caplog.messages == [f"a request: {name} is left out: its value is not valid"]

    @pytest.mark.parametrize("message", SENSELESS_MESSAGES, ids=repr)
    @pytest.mark.parametrize("convert", FROM_CHAT)
    def test_so_is_a_message_without_sense(self, convert, message, caplog):
        assert convert(CHAT) == convert(saying(CHAT, message))
        assert caplog.messages[-1].startswith("a request: messages[2] is left out: ")

    @pytest.mark.parametrize(
        "message", [{"role": "critic", "content": "Boo"}, {"role": "user"}, user({"a": 1})], ids=repr
    )
    @pytest.mark.parametrize("convert", FROM_CLAUDE)
    def test_so_is_one_of_an_anthropic_clients(self, convert, message, caplog):
        assert convert(CLAUDE) == convert(saying(CLAUDE, message))
        assert caplog.messages[-1].startswith("a request: messages[1] is left out: ")

    @pytest.mark.parametrize("part", [{"invalid": "block"}, 5, None, [], {"text": 5}], ids=repr)
    @pytest.mark.parametrize(
        ("base", "convert"), [(CHAT, each) for each in FROM_CHAT] + [(CLAUDE, e) for e in FROM_CLAUDE]
    )
    def test_so_is_a_part_without_sense(self, base, convert, part, caplog):
        where = f"messages[{len(base['messages'])}].content[1]"

        assert convert(saying(base, user("Hi"))) == convert(saying(base, user("Hi", part)))
        assert caplog.messages == [f"a request: {where} is left out: it is not a content part"]

    @pytest.mark.parametrize("convert", FROM_CHAT)
    def test_a_content_without_sense_leaves_the_calls_beside_it(self, convert, caplog):
        calling = {"role": "assistant", "content": None, "tool_calls": [CALL]}
        answer = {"role": "tool", "tool_call_id": "call_1", "content": "22C"}
        careless = saying(CHAT, calling | {"content": True}, answer)

        assert convert(saying(CHAT, calling, answer)) == convert(careless)
        assert caplog.messages == ["a request: messages[2].content is left out: its content is neither text nor parts"]

    @pytest.mark.parametrize("convert", TURNS)
    def test_where_all_was_senseless_nothing_is_said(self, convert, caplog):
        body = convert({"messages": [{"role": "user", "content": True}], "max_tokens": 77})

        assert body[TURNS[convert]] == []
        assert "77" in str(body)
        assert len(caplog.messages) == 1

    def test_what_was_left_out_is_not_quoted(self, caplog):
        secret = {"role": "secret", "content": {"secret": "secret"}}
        Converters.convert_openai_to_gemini(saying(CHAT, secret, user({"secret": 1})) | {"stop": {"secret": 1}})

        assert len(caplog.messages) == 4
        assert "secret" not in caplog.text


HANDWRITTEN = [
    (saying(CHAT, user("Hi", "there")), saying(CHAT, user(typed("Hi"), typed("there")))),
    (saying(CHAT, user({"text": "Hi"})), saying(CHAT, user(typed("Hi")))),
    (saying(CHAT, {"role": "user", "content": {"text": "Hi"}}), saying(CHAT, user(typed("Hi")))),
    (CHAT | {"max_tokens": "700", "temperature": "0.5"}, CHAT | {"max_tokens": 700, "temperature": 0.5}),
    (CHAT | {"stop": "END"}, CHAT | {"stop": ["END"]}),
]
CLAUDES_HANDWRITTEN = [
    (saying(CLAUDE, user("Hi", {"text": "there"})), saying(CLAUDE, user(typed("Hi"), typed("there")))),
    (saying(CLAUDE, {"role": "user", "content": {"text": "Hi"}}), saying(CLAUDE, user(typed("Hi")))),
    (CLAUDE | {"system": ["Be", {"text": "brief"}]}, CLAUDE | {"system": [typed("Be"), typed("brief")]}),
    (CLAUDE | {"system": {"text": "Be brief"}}, CLAUDE | {"system": [typed("Be brief")]}),
    (CLAUDE | {"max_tokens": "700", "top_k": "5"}, CLAUDE | {"max_tokens": 700, "top_k": 5}),
    (CLAUDE | {"stop_sequences": "END"}, CLAUDE | {"stop_sequences": ["END"]}),
]


class TestWhatIsUnderstood:
    @pytest.mark.parametrize(
        ("convert", "careless", "proper"),
        [
            *((each, *pair) for each in FROM_CHAT for pair in HANDWRITTEN),
            *((each, *pair) for each in FROM_CLAUDE for pair in CLAUDES_HANDWRITTEN),
        ],
    )
    def test_what_is_written_by_hand_means_what_it_says(self, convert, careless, proper, caplog):
        before = copy.deepcopy(careless)

        assert convert(proper) == convert(careless)
        assert careless == before
        assert caplog.messages == []

    @pytest.mark.parametrize("convert", FROM_CHAT)
    def test_a_number_as_content_is_text_to_gemini_alone(self, convert):
        number = saying(CHAT, {"role": "assistant", "content": "What?"}, {"role": "user", "content": 12345})

        assert ("12345" in str(convert(number))) is (convert is Converters.convert_openai_to_gemini)


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("convert", "request_body"),
        [
            *((each, saying(CHAT, user({"type": "hologram", "data": "x"}))) for each in FROM_CHAT),
            *((each, CHAT | {"tools": 5}) for each in FROM_CHAT),
            *((each, saying(CHAT, "Hi")) for each in FROM_CHAT),
            *(
                (each, saying(CLAUDE, {"role": "user", "content": [TOOL_USE | {"name": 5}]}))
                for each in FROM_CLAUDE[:2]
            ),
            *((each, saying(CLAUDE, "Hi")) for each in FROM_CLAUDE),
        ],
    )
    def test_what_the_model_would_miss_is_a_value_error_that_says_why(self, convert, request_body):
        with pytest.raises(ValueError, match="invalid_request") as refused:
            convert(request_body)

        assert isinstance(refused.value, FaultError)
        assert FaultKind.INVALID_REQUEST is refused.value.fault.kind

    @pytest.mark.parametrize(
        "careless",
        [
            *(CHAT | {name: value} for name, value in SENSELESS_SETTINGS if value is not None and value == value),  # noqa: PLR0124 - NaN
            *(saying(CHAT, each) for each in SENSELESS_MESSAGES if each.get("content")),
            *(careless for careless, _ in HANDWRITTEN[:4]),
        ],
        ids=repr,
    )
    def test_the_proxy_itself_reads_no_chat_leniently(self, careless):
        with pytest.raises(FaultError):
            openai_chat.parse_request(careless | {"model": "m"})

    @pytest.mark.parametrize("careless", [careless for careless, _ in CLAUDES_HANDWRITTEN], ids=repr)
    def test_nor_an_anthropic_request(self, careless):
        with pytest.raises(FaultError):
            anthropic_messages.parse_request(careless | {"model": "m"})
