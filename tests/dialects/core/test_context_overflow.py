"""Conversations that are too long: recognised in every vendor's words, said in those of every client's."""

import json

import pytest

from dialects import anthropic_messages, gemini, openai_chat, openai_responses
from dialects.core.context_overflow import overflow_in, with_limit
from dialects.core.faults import Fault, FaultKind, Overflow, http_status
from dialects.core.upstream_errors import fault_from, fault_in_stream
from routing.classification import CLASSIFICATIONS, Effect, Scope

KIND = FaultKind.CONTEXT_LENGTH_EXCEEDED
WORDINGS = {
    "prompt is too long: 215432 tokens > 200000 maximum": Overflow(215432, 200000),
    "prompt is too long": Overflow(),
    "Input is too long for requested model.": Overflow(),
    "The model returned the following errors: Input is too long for requested model.": Overflow(),
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or "
    "`max_tokens` and try again": Overflow(188240, 200000, 21333),
    "This model's maximum context length is 1047576 tokens. However, your messages resulted in 1100000 tokens. Please "
    "reduce the length of the messages.": Overflow(1100000, 1047576),
    "This model's maximum context length is 8192 tokens. However, you requested 9001 tokens (5001 in the messages, "
    "4000 in the completion). Please reduce the length of the messages or completion.": Overflow(5001, 8192, 4000),
    "This model's maximum context length is 8192 tokens, however you requested 9001 tokens (9001 in your prompt; 0 for "
    "the completion).": Overflow(9001, 8192),
    "This endpoint's maximum context length is 128000 tokens. However, you requested about 140000 tokens (130000 of "
    "text input, 10000 in the output).": Overflow(140000, 128000),
    "Your input exceeds the context window of this model. Please adjust your input and try again.": Overflow(),
    "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 275003 tokens. Please reduce "
    "the length of the messages.": Overflow(275003, 272000),
    "Prompt contains 65673 tokens and 0 draft tokens, too large for model with 32768 maximum context length": Overflow(
        65673, 32768
    ),
    "The input (345516 tokens) is longer than the model's context length (262144 tokens).": Overflow(),
    "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).": Overflow(
        1196265, 1048575
    ),
    "The input token count exceeds the maximum number of tokens allowed (1048576).": Overflow(None, 1048576),
    "Unable to submit request because the input token count is 1200000 but model only supports up to 1048576. Reduce "
    "the input token count and try again.": Overflow(1200000, 1048576),
    "Unable to submit request because the input token count is 23345 but the model supports up to 20000.": Overflow(
        23345, 20000
    ),
    "Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update the input to try again.": (
        Overflow()
    ),
    "400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token count: 9001 ": Overflow(
        9001, 8192
    ),
    "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292": Overflow(4292, 4081),
    "Input length 600 exceeds maximum allowed token size 512": Overflow(600, 512),
    "400 - LLM Module: prompt is too long: 215432 tokens > 200000 maximum": Overflow(215432, 200000),
}
SHAPES = {
    "bedrock": lambda message: {"message": message},
    "openai": lambda message: {"error": {"message": message, "type": "invalid_request_error", "code": None}},
    "google": lambda message: {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}},
    "ai core": lambda message: {"error": "BadRequest", "message": message},
    "orchestration": lambda message: {"error": {"request_id": "r", "code": 400, "message": message}},
    "anthropic": lambda message: {"type": "error", "error": {"type": "invalid_request_error", "message": message}},
}
CLIENTS = {
    "chat": lambda fault: openai_chat.render_fault(fault)["error"]["message"],
    "responses": lambda fault: openai_responses.render_fault(fault)["error"]["message"],
    "messages": lambda fault: anthropic_messages.render_fault(fault)["error"]["message"],
    "gemini": lambda fault: gemini.render_fault(fault)["error"]["message"],
}
UNCOUNTED = Fault(KIND, "It does not fit.", overflow=Overflow())
COUNTED = Fault(KIND, "It does not fit.", overflow=Overflow(2100, 2000))
WITH_THE_ANSWER = Fault(KIND, "It does not fit.", overflow=Overflow(1500, 2000, 700))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("message", WORDINGS)
def test_an_overflow_is_recognised_in_every_vendors_words(message, shape):
    body = json.dumps(SHAPES[shape](message)).encode()
    found = fault_from(400, {}, body)

    assert (found.kind, found.overflow, http_status(found)) == (KIND, WORDINGS[message], 400)
    assert (
        message.removeprefix("400 - LLM Module: ").strip() == found.message.removeprefix("400 - LLM Module: ").strip()
    )


@pytest.mark.parametrize("code", ["validationException", "invalid_request_error", "INVALID_ARGUMENT", "400", "424", ""])
@pytest.mark.parametrize("message", WORDINGS)
def test_an_overflow_is_recognised_within_a_stream(message, code):
    found = fault_in_stream(code, message)

    assert (found.kind, found.overflow, http_status(found)) == (KIND, WORDINGS[message], 400)


@pytest.mark.parametrize("code", ["context_length_exceeded", "model_context_window_exceeded"])
def test_an_overflow_is_recognised_by_its_code_alone(code):
    body = json.dumps({"error": {"message": "No.", "type": "invalid_request_error", "code": code}}).encode()

    assert KIND is fault_from(400, {}, body).kind
    assert KIND is fault_in_stream(code, "No.").kind


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens", "invalid_request"),
        (400, "The maximum tokens you requested exceeds the model limit of 32768", "invalid_request"),
        (400, "messages.0.content.0.text: too long", "invalid_request"),
        (413, "prompt is too long: 215432 tokens > 200000 maximum", "too_large"),
        (429, "Too many tokens, please wait before trying again.", "rate_limited"),
        (429, "input token count exceeds the maximum number of tokens allowed", "rate_limited"),
        (503, "prompt is too long", "overloaded"),
        (403, "prompt is too long", "request_forbidden"),
    ],
)
def test_other_limits_are_no_overflow(status, message, kind):
    found = fault_from(status, {}, json.dumps({"message": message}).encode())

    assert (FaultKind(kind), None) == (found.kind, found.overflow)


def test_an_overflow_is_nobodys_failure_and_is_not_tried_elsewhere():
    row = CLASSIFICATIONS[KIND]

    assert (row.effect, row.cooldown, row.try_elsewhere) == (Effect.NEUTRAL, Scope.NONE, False)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("message", WORDINGS)
def test_what_one_client_is_told_would_be_recognised_with_the_same_counts(message, client):
    """Another proxy, or a client that knows all vendors, reads of it what was read here."""
    before = fault_from(400, {}, json.dumps({"message": message}).encode())
    said = CLIENTS[client](before)
    after = overflow_in("", said)

    assert after is not None
    counted = before.overflow
    if counted.tokens and counted.limit:
        assert (counted.tokens + counted.output, counted.limit) == (after.tokens + after.output, after.limit)


def test_openais_clients_are_told_by_a_code():
    told = openai_chat.render_fault(COUNTED)["error"]

    assert (told["type"], told["code"]) == ("invalid_request_error", "context_length_exceeded")
    assert told == openai_responses.render_fault(COUNTED)["error"]


@pytest.mark.parametrize(
    ("client", "fault", "words"),
    [
        ("messages", COUNTED, "prompt is too long: 2100 tokens > 2000 maximum"),
        ("messages", UNCOUNTED, "prompt is too long: It does not fit."),
        (
            "messages",
            WITH_THE_ANSWER,
            (
                "input length and `max_tokens` exceed context limit: 1500 + 700 > 2000, decrease input length or"
                " `max_tokens` and try again"
            ),
        ),
        (
            "chat",
            COUNTED,
            (
                "This model's maximum context length is 2000 tokens. However, your messages resulted in 2100 tokens."
                " Please reduce the length of the messages."
            ),
        ),
        ("chat", UNCOUNTED, "Your input exceeds the context window of this model. It does not fit."),
        (
            "chat",
            WITH_THE_ANSWER,
            (
                "This model's maximum context length is 2000 tokens. However, you requested 2200 tokens (1500 in the"
                " messages, 700 in the completion). Please reduce the length of the messages."
            ),
        ),
        (
            "gemini",
            COUNTED,
            "The input token count (2100) exceeds the maximum number of tokens allowed (2000).",
        ),
        (
            "gemini",
            UNCOUNTED,
            "The input token count exceeds the maximum number of tokens allowed. It does not fit.",
        ),
    ],
)
def test_each_client_is_told_in_its_vendors_words(client, fault, words):
    assert words == CLIENTS[client](fault)


def test_anthropics_clients_are_told_of_an_invalid_request_and_googles_of_an_invalid_argument():
    assert anthropic_messages.render_fault(COUNTED)["error"]["type"] == "invalid_request_error"
    assert gemini.render_fault(COUNTED)["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("messages", "prompt is too long: It does not fit. This model takes 2000 tokens."),
        ("chat", "Your input exceeds the context window of this model. It does not fit. This model takes 2000 tokens."),
        (
            "gemini",
            (
                "The input token count exceeds the maximum number of tokens allowed. It does not fit. "
                "This model takes 2000 tokens."
            ),
        ),
    ],
)
def test_a_limit_that_the_model_did_not_say_is_added_behind_the_words(client, words):
    assert CLIENTS[client](with_limit(UNCOUNTED, 2000)) == words


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("message", WORDINGS)
def test_an_added_limit_changes_no_words_before_it(message, client):
    """However a client recognises an overflow, and whatever it reads of the counts, it does so still."""
    before = fault_from(400, {}, json.dumps({"message": message}).encode())
    plain, hinted = CLIENTS[client](before), CLIENTS[client](with_limit(before, 2000))

    assert hinted.startswith(plain.strip().rstrip("."))
    assert hinted[len(plain.strip().rstrip(".")) :] in (". This model takes 2000 tokens.", plain[-1], "")


@pytest.mark.parametrize("fault", [COUNTED, WITH_THE_ANSWER, Fault(FaultKind.INVALID_REQUEST, "No.")])
def test_what_says_its_limit_or_is_no_overflow_stays_as_it_is(fault):
    assert with_limit(fault, 999) is fault


def test_an_unknown_limit_is_not_added():
    assert with_limit(UNCOUNTED, None) is UNCOUNTED


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("message", [message for message, counted in WORDINGS.items() if counted.limit])
def test_a_limit_is_said_once(message, client):
    said = CLIENTS[client](fault_from(400, {}, json.dumps({"message": message}).encode()))

    assert said.count(str(WORDINGS[message].limit)) == 1
