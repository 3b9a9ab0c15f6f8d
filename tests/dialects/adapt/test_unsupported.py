"""What only a client's own dialect or server knows: said in other words, refused, or named when it is left out."""

import json

import pytest

from dialects.adapt.unsupported import approximate_or_reject
from dialects.capabilities.models import profile_for
from dialects.core.conversation import JSON, Conversation, Media, MediaKind, Message, Opaque, Role, Text, ToolCall
from dialects.core.faults import FaultError, FaultKind
from dialects.interface import Envelope, Rendered
from dialects.registry import BACKENDS, CLIENTS
from dialects.translator import ClientRequest, translator_for
from tests.support.rows import Rows

PDF = {"file_data": "data:application/pdf;base64,AAAA"}
MODELS = Rows(
    __file__,
    "MODELS",
    {
        "openai-chat": "gpt-4.1",
        "openai-responses": "gpt-5.3-codex",
        "anthropic-messages": "anthropic--claude-4.5-sonnet",
        "gemini": "gemini-2.5-flash",
        "bedrock-converse": "amazon--nova-pro",
        "orchestration": "gpt-5",
    },
)
LONG = "mcp__" + "x" * 80


def chat(*content: JSON, role: str = "user") -> JSON:
    return {"messages": [{"role": "user", "content": "hi"}, {"role": role, "content": list(content)}]}


def responses(*items: JSON) -> JSON:
    return {"input": [{"role": "user", "content": "hi"}, *items]}


def messages(*content: JSON, role: str = "user") -> JSON:
    said = [{"role": "user", "content": "hi"}, {"role": role, "content": list(content)}]
    return {"max_tokens": 99, "messages": said}


def gemini(*parts: JSON, role: str = "user", **fields: object) -> JSON:
    return {"contents": [{"parts": [{"text": "hi"}]}, {"role": role, "parts": list(parts)}], **fields}


def ask(client: str, body: JSON, backend: str, model: str = "") -> Rendered:
    conversation = CLIENTS[client].parse_request({"model": "m", **body})
    profile = profile_for(model or MODELS[backend])
    return translator_for(
        ClientRequest(client, body, Envelope("t", "m", 0, conversation)), backend, profile
    ).render_request(profile)


def others(client: str) -> list[str]:
    return [backend for backend in BACKENDS if backend != client]


def refusal(client: str, body: JSON, backend: str, model: str = "") -> tuple[str | None, str]:
    with pytest.raises(FaultError) as refused:
        ask(client, body, backend, model)
    assert FaultKind.INVALID_REQUEST is refused.value.fault.kind
    return refused.value.fault.param, refused.value.fault.message


CHAT, RESPONSES, MESSAGES, GEMINI = "openai-chat", "openai-responses", "anthropic-messages", "gemini"
IN_RESULT = {"type": "tool_result", "tool_use_id": "a"}
REFUSED = [
    # --- what one server holds
    (RESPONSES, {**responses(), "previous_response_id": "resp_0"}, "previous_response_id", "send all of it"),
    (RESPONSES, {**responses(), "conversation": "conv_1"}, "conversation", "send all of it"),
    (RESPONSES, {**responses(), "prompt": {"id": "p"}}, "prompt", "send the instructions"),
    (RESPONSES, {**responses(), "background": True}, "background", "leave it out"),
    (RESPONSES, responses({"type": "item_reference", "id": "msg_1"}), "input[1]", "send the item itself"),
    (RESPONSES, responses({"id": "msg_1"}), "input[1]", "send the item itself"),
    (RESPONSES, responses({"type": "compaction", "encrypted_content": "x"}), "input[1]", "send the items"),
    (GEMINI, gemini({"text": "a"}, cachedContent="cachedContents/1"), "cachedContent", "send all of it"),
    # --- several answers
    (CHAT, {**chat({"type": "text", "text": "a"}), "n": 2}, "n", "one response at a time"),
    (
        GEMINI,
        gemini({"text": "a"}, generationConfig={"candidateCount": 2}),
        "generationConfig.candidateCount",
        "one response at a time",
    ),
    # --- files by their ids
    (CHAT, chat({"type": "file", "file": {"file_id": "f"}}), "messages[1].content[0]", "send the data"),
    (
        RESPONSES,
        responses({"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}),
        "input[1].content[0]",
        "send the data",
    ),
    (
        RESPONSES,
        responses(
            {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "file_id": "f"}}
        ),
        "input[1].output",
        "send the data",
    ),
    (
        MESSAGES,
        messages({"type": "image", "source": {"type": "file", "file_id": "f"}}),
        "messages[1].content[0]",
        "send the data",
    ),
    (MESSAGES, messages({"type": "container_upload", "file_id": "f"}), "messages[1].content[0]", "send the data"),
    (
        MESSAGES,
        messages({**IN_RESULT, "content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}]}),
        "messages[1].content[0].content[0]",
        "send the data",
    ),
    # --- what nobody else has a word for
    (CHAT, chat({"type": "hologram"}), "messages[1].content[0]", "of the type hologram"),
    (RESPONSES, responses({"role": "user", "content": [{"type": "hologram"}]}), "input[1].content[0]", "hologram"),
    (MESSAGES, messages({"type": "hologram"}), "messages[1].content[0]", "of the type hologram"),
    (
        MESSAGES,
        messages({"type": "document", "source": {"type": "content", "content": [{"type": "hologram"}]}}),
        "messages[1].content[0].source.content[0]",
        "of the type hologram",
    ),
    (GEMINI, gemini({"hologram": {}}), "contents[1].parts[0]", "of the type hologram"),
]


@pytest.mark.parametrize(("client", "body", "param", "why"), REFUSED)
def test_what_the_model_would_miss_is_refused_by_its_place_and_with_what_to_do(client, body, param, why):
    for backend in others(client):
        place, message = refusal(client, body, backend)
        assert param == place
        assert why in message


def test_a_model_of_another_maker_that_speaks_openais_language_knows_no_more_than_others():
    body = {**chat({"type": "file", "file": {"file_id": "f"}}), "tools": [{"function": {"name": LONG}}]}

    assert refusal(CHAT, body, CHAT, "mistralai--mistral-large-instruct")[0] == "messages[1].content[0]"


@pytest.mark.parametrize(
    ("client", "body", "name"),
    [
        (CHAT, chat({"type": "hologram"}, role="assistant"), "hologram"),
        (CHAT, chat({"type": "hologram"}, role="system"), "hologram"),
        (RESPONSES, responses({"type": "web_search_call", "id": "w", "status": "completed"}), "web_search_call"),
        (
            MESSAGES,
            messages({"type": "server_tool_use", "id": "s", "name": "n", "input": {}}, role="assistant"),
            "server_tool_use",
        ),
        (MESSAGES, messages({"type": "compaction", "content": None}, role="assistant"), "compaction"),
        (MESSAGES, messages({"type": "hologram"}, role="system"), "hologram"),
        (GEMINI, gemini({"executableCode": {"code": "1"}}, role="model"), "executableCode"),
    ],
)
def test_what_the_model_said_itself_and_decoration_is_left_out_and_named(client, body, name):
    for backend in others(client):
        assert name in ask(client, body, backend).dropped


def test_a_speakers_name_is_left_out_and_named():
    body = {"messages": [{"role": "user", "name": "ann", "content": "hi"}]}

    assert {ask(CHAT, body, backend).dropped for backend in others(CHAT)} == {("name",)}


FOUND = {
    "type": "search_result",
    "source": "https://x/y",
    "title": "T",
    "content": [{"type": "text", "text": "found-it"}],
}
PAPER = {
    "type": "document",
    "title": "T",
    "source": {"type": "content", "content": [{"type": "text", "text": "found-it"}]},
}


@pytest.mark.parametrize("block", [FOUND, PAPER, {**PAPER, "source": {"type": "content", "content": "found-it"}}])
@pytest.mark.parametrize("inside", [False, True], ids=["said", "in-a-result"])
def test_what_can_be_said_as_text_is(block, inside):
    called = [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}]
    said = [{**IN_RESULT, "content": [block]}] if inside else [block]
    body = {
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "hi"}, *(called if inside else []), {"role": "user", "content": said}],
    }

    for backend in others(MESSAGES):
        asked = ask(MESSAGES, body, backend)
        text = json.dumps(asked.body)
        assert "found-it" in text
        assert r"<document name=\"T\"" in text
        assert ("https://x/y" in text) == (block is FOUND)
        assert asked.dropped == ()


def test_claude_is_told_in_its_own_words_where_a_body_is_written_anew():
    body = {
        **messages(FOUND, PAPER),
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    }

    asked = ask(MESSAGES, body, MESSAGES, "anthropic--claude-3.5-sonnet")

    assert asked.body["messages"][0]["content"][1:] == [FOUND, PAPER]


def test_a_document_in_pieces_keeps_its_pictures():
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    content = [{"type": "text", "text": "a"}, picture, {"type": "text", "text": "b"}]
    conversation = CLIENTS[MESSAGES].parse_request(
        {"model": "m", **messages({"type": "document", "source": {"type": "content", "content": content}})}
    )

    assert approximate_or_reject(conversation).messages[1].parts == (
        Text("<document>\na\nb\n</document>"),
        Media(MediaKind.IMAGE, "image/png", "AAAA"),
    )


@pytest.mark.parametrize(
    ("block", "role", "text"),
    [
        ({**IN_RESULT, "content": [{"type": "tool_reference", "tool_name": "WebFetch"}]}, "user", "WebFetch"),
        ({"type": "compaction", "content": "so far: blue"}, "assistant", "so far: blue"),
    ],
)
def test_what_names_a_tool_or_sums_up_is_said(block, role, text):
    for backend in others(MESSAGES):
        asked = ask(MESSAGES, messages(block, role=role), backend)
        assert text in json.dumps(asked.body)
        assert asked.dropped == ()


CUSTOM = [
    {"type": "custom_tool_call", "id": "i", "call_id": "a", "name": "apply_patch", "input": "*** Begin"},
    {"type": "custom_tool_call_output", "call_id": "a", "output": "it applied"},
]
SHELL = [
    {"type": "shell_call", "id": "i", "call_id": "a", "status": "completed", "action": {"commands": ["ls"]}},
    {"type": "shell_call_output", "call_id": "a", "output": [{"stdout": "it applied", "stderr": ""}]},
]
SCREEN = [
    {"type": "computer_call", "id": "i", "call_id": "a", "pending_safety_checks": [], "action": {"type": "screenshot"}},
    {
        "type": "computer_call_output",
        "call_id": "a",
        "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"},
    },
]


@pytest.mark.parametrize(
    ("items", "called", "given", "back"),
    [
        (CUSTOM, "apply_patch", {"input": "*** Begin"}, Text("it applied")),
        (SHELL, "shell", {"action": {"commands": ["ls"]}}, Text('[{"stdout":"it applied","stderr":""}]')),
        (SCREEN, "computer", {"action": {"type": "screenshot"}}, Media(MediaKind.IMAGE, "image/png", "AAAA")),
    ],
)
def test_what_ran_at_the_client_is_a_function_to_other_models(items, called, given, back):
    body = responses(*items, {"role": "user", "content": "go on"})
    [_, said, told, _] = CLIENTS[RESPONSES].parse_request({"model": "m", **body}).messages
    [call], [result] = said.parts, told.parts

    assert (called, given) == (call.name, json.loads(call.arguments))
    assert ("a", (back,)) == (result.call_id, result.parts)
    for backend in others(RESPONSES):
        asked = ask(RESPONSES, body, backend)
        assert called in json.dumps(asked.body)
        assert asked.dropped == ()


def test_a_patch_that_failed_says_so():
    failed = {"type": "apply_patch_call_output", "call_id": "a", "status": "failed", "output": "no such file"}

    [_, told] = CLIENTS[RESPONSES].parse_request(responses(failed)).messages

    assert (told.parts[0].is_error, told.parts[0].parts) == (True, (Text("no such file"),))


@pytest.mark.parametrize("name", ["apply_patch", LONG])
def test_the_call_of_a_custom_tool_is_one_of_a_function_to_every_model(name):
    called = {"id": "a", "type": "custom", "custom": {"name": name, "input": "*** Begin"}}
    body = {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [called]},
            {"role": "tool", "tool_call_id": "a", "content": "it applied"},
        ]
    }

    for backend in BACKENDS:
        asked = ask(CHAT, body, backend)
        text = json.dumps(asked.body)
        assert "*** Begin" in text
        assert "it applied" in text
        assert '"custom"' not in text
        assert (name in text) == (name != LONG or backend == CHAT)
        assert asked.dropped == ()
    [_, said, _] = CLIENTS[CHAT].parse_request(body).messages
    assert said.parts == (ToolCall("a", name, '{"input":"*** Begin"}'),)


MIXED = [
    {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "Eq=="},
            {"type": "redacted_thinking", "data": "cmVk"},
            {"type": "text", "text": "let me see"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "t1",
                "is_error": True,
                "content": [{"type": "text", "text": "22C"}],
                "cache_control": {"type": "ephemeral"},
            },
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {
                "type": "document",
                "source": {"type": "text", "data": "words"},
                "title": "a",
                "citations": {"enabled": True},
            },
            FOUND,
        ],
    },
]


def test_anthropics_blocks_in_a_chat_are_understood_as_what_they_are():
    mixed = CLIENTS[CHAT].parse_request({"model": "m", "messages": MIXED})
    plain = CLIENTS[MESSAGES].parse_request({"model": "m", "max_tokens": 99, "messages": MIXED})

    assert plain.messages == mixed.messages
    assert plain.extra == mixed.extra == {"messages[].citations": [{"enabled": True}]}


def test_a_block_of_anthropics_in_a_tools_message_is_what_it_gave_back():
    body = {
        "messages": [
            {
                "role": "tool",
                "tool_call_id": "t1",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "22C"}],
            }
        ]
    }

    assert CLIENTS[CHAT].parse_request(body).messages[0].parts[0].parts == (Text("22C"),)


@pytest.mark.parametrize("url", ["https://x/v.webm", "data:video/webm;base64,AAAA"])
def test_a_video_goes_to_gemini_and_to_nobody_else(url):
    body = chat({"type": "video_url", "video_url": {"url": url}})
    [*_, part] = ask(CHAT, body, GEMINI).body["contents"][0]["parts"]

    place = {"inlineData": {"mimeType": "video/webm", "data": "AAAA"}}
    assert part == (place if url.startswith("data:") else {"fileData": {"mimeType": "video/webm", "fileUri": url}})
    for backend in others(CHAT):
        if backend != GEMINI:
            assert "video" in refusal(CHAT, body, backend)[1]


def test_blocks_within_blocks_are_followed_only_so_far():
    block: JSON = {"type": "text", "text": "x"}
    for _ in range(400):
        block = {**IN_RESULT, "content": [block]}

    assert "nested too deeply" in refusal(MESSAGES, messages(block), CHAT)[1]


def test_what_was_no_content_is_left_to_who_renders_it():
    note = Opaque("openai-chat", {"type": "name", "name": "ann"})
    conversation = Conversation("m", messages=(Message(Role.USER, (note,)),))

    assert conversation == approximate_or_reject(conversation)
