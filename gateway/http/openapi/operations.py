"""The table of operations: what each route of the proxy reads, and how it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dialects.core.conversation import JSON

JSON_TYPE: Final = "application/json"
EVENTS: Final = "text/event-stream"
CSS, HTML, SCRIPT, SVG, PLAIN = "text/css", "text/html", "text/javascript", "image/svg+xml", "text/plain"
FAILURES: Final = {
    "400": "The request is invalid. The message says what is wrong, and where.",
    "401": "The key is missing or wrong; or the proxy has no keys, and a web page of another site sends the request.",
    "403": "The key may not do this, or the provider forbids the request.",
    "404": "Something that the request names does not exist.",
    "408": "The body of the request did not arrive in time.",
    "413": "The body is too large.",
    "415": "The encoding of the body is not supported.",
    "429": "A quota is used up, the caller has too many requests in progress, or too many wrong keys were sent.",
    "499": "The time limit of the request was reached, or its client has left.",
    "4XX": "The provider refuses the request with this status.",
    "500": "The proxy itself failed. Its log has the details.",
    "502": "The model failed, or its answer cannot be read.",
    "503": "No deployment, or no place in the proxy, can take the request now.",
    "504": "The model did not answer in time.",
}
"""The statuses of errors, with their meaning."""
WITHOUT_KEY: Final = frozenset({"401", "413", "500"})
"""The errors of an operation that needs no key."""
WITH_KEY: Final = WITHOUT_KEY | {"429"}
FOR_READERS: Final = WITH_KEY | {"403"}
"""The errors of an operation for callers that may read the state of the proxy."""
WITH_BODY: Final = WITH_KEY | {"400", "408", "415", "499", "503"}
OF_DEPLOYMENTS: Final = WITH_KEY | {"400", "403", "404", "499", "4XX", "502", "503", "504"}
"""The errors of an operation that a deployment answers."""
OF_MODELS: Final = WITH_BODY | OF_DEPLOYMENTS

Answers = Mapping[str, tuple[str, Mapping[str, str]]]
"""For each status, its meaning, and the schema of each content type."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. *answers* are those that are no errors in the client's dialect."""

    tag: str
    summary: str
    answers: Answers
    failures: frozenset[str] = field(default_factory=frozenset)
    """The statuses of its errors."""
    description: str = ""
    documented_at: str = ""
    """The vendor's page about it."""
    parameters: tuple[str, ...] = ()
    """The names of its parameters in the query and in headers."""
    body: str = ""
    """The schema of its body."""
    body_without_model: str = ""
    """The schema of its body where the path names the model."""
    needs_body: bool = True
    is_exchange: bool = False
    """Whether a deployment answers, so that headers say which one."""
    is_open: bool = False
    """Whether it needs no key."""
    is_shared: bool = False
    """Whether clients of several dialects call it, so that headers decide about the form of an error."""


def _parameter(name: str, place: str, description: str, schema: JSON | None = None, **more: object) -> JSON:
    return {"name": name, "in": place, "description": description, "schema": schema or {"type": "string"}, **more}


PARAMETERS: Final[JSON] = {
    "model": _parameter(
        "model", "path", "The name of a model.", {"type": "string", "minLength": 1, "maxLength": 200}, required=True
    ),
    "name": _parameter("name", "path", "The name of a model, or of a file of the page.", required=True),
    "answer": _parameter("answer", "path", "The id of a response.", required=True),
    "x-request-id": _parameter(
        "x-request-id",
        "header",
        "The id of the request, which the answer and the log then have. An id in another form is replaced.",
        {"type": "string", "pattern": "^[!-~]{1,128}$"},
    ),
    "traceparent": _parameter("traceparent", "header", "W3C's trace context, which is passed on to SAP AI Core."),
    "x-affinity-key": _parameter(
        "x-affinity-key", "header", "Requests with the same value belong together for `cache-affinity`."
    ),
    "x-request-tags": _parameter("x-request-tags", "header", "Words, separated by commas, for a strategy of your own."),
    "anthropic-version": _parameter("anthropic-version", "header", "The version of Anthropic's API. Any is accepted."),
    "anthropic-beta": _parameter("anthropic-beta", "header", "Names of betas, separated by commas."),
    "client_version": _parameter("client_version", "query", "Codex sends it, and gets the list in a form of its own."),
    "url": _parameter("url", "query", "The URL at which the browser reaches the proxy.", required=True),
    "accept": _parameter("accept", "header", "A browser, which prefers HTML to JSON, gets the page without a key."),
}
ABOUT_REQUESTS: Final = ("x-request-id", "traceparent", "x-affinity-key", "x-request-tags")
"""The headers that the proxy reads of every request to a model."""


def _whole(schema: str, text: str = "The answer.", kind: str = JSON_TYPE) -> Answers:
    return {"200": (text, {kind: schema})}


def _whole_or_stream(schema: str) -> Answers:
    return {"200": ("The answer, or a stream of events if `stream` is true.", {JSON_TYPE: schema, EVENTS: "Events"})}


_CHAT: Final = Operation(
    "OpenAI",
    "Complete a chat.",
    _whole_or_stream("ChatCompletion"),
    OF_MODELS,
    description="The body may also be one of the Responses API, as Cursor sends it, or have blocks of Anthropic's.",
    documented_at="https://platform.openai.com/docs/api-reference/chat/create",
    parameters=ABOUT_REQUESTS,
    body="ChatRequest",
    body_without_model="ChatFields",
    is_exchange=True,
)
_RESPONSES: Final = Operation(
    "OpenAI",
    "Create a response.",
    _whole_or_stream("Response"),
    OF_MODELS,
    documented_at="https://platform.openai.com/docs/api-reference/responses/create",
    parameters=ABOUT_REQUESTS,
    body="ResponsesRequest",
    is_exchange=True,
)
_COMPACT: Final = Operation(
    "OpenAI",
    "Compact a conversation.",
    _whole("Compaction"),
    OF_MODELS,
    documented_at="https://platform.openai.com/docs/api-reference/responses/compact",
    parameters=ABOUT_REQUESTS,
    body="CompactRequest",
    is_exchange=True,
)
_EMBEDDINGS: Final = Operation(
    "OpenAI",
    "Create embeddings.",
    _whole("Embeddings"),
    OF_MODELS,
    description="Any number of texts: the proxy makes as many calls as the model needs.",
    documented_at="https://platform.openai.com/docs/api-reference/embeddings/create",
    parameters=ABOUT_REQUESTS,
    body="EmbeddingsRequest",
    body_without_model="EmbeddingsFields",
    is_exchange=True,
)
_MESSAGES: Final = Operation(
    "Anthropic",
    "Create a message.",
    _whole_or_stream("Message"),
    OF_MODELS,
    documented_at="https://platform.claude.com/docs/en/api/messages/create",
    parameters=(*ABOUT_REQUESTS, "anthropic-version", "anthropic-beta"),
    body="MessagesRequest",
    is_exchange=True,
)
_TOKENS_OF_MESSAGES: Final = Operation(
    "Anthropic",
    "Estimate the tokens of a message.",
    _whole("MessageTokens"),
    WITH_BODY | {"404"},
    documented_at="https://platform.claude.com/docs/en/api/messages/count_tokens",
    parameters=("anthropic-version", "anthropic-beta"),
    body="CountTokensRequest",
)
_GENERATE: Final = Operation(
    "Google",
    "Generate content.",
    _whole("GeneratedContent"),
    OF_MODELS,
    documented_at="https://ai.google.dev/api/generate-content#method:-models.generatecontent",
    parameters=ABOUT_REQUESTS,
    body="GeminiRequest",
    is_exchange=True,
)
_GENERATE_STREAM: Final = Operation(
    "Google",
    "Generate content as a stream.",
    _whole("Events", "A stream of events.", EVENTS),
    OF_MODELS,
    documented_at="https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent",
    parameters=ABOUT_REQUESTS,
    body="GeminiRequest",
    is_exchange=True,
)
_COUNT_TOKENS: Final = Operation(
    "Google",
    "Estimate the tokens of a conversation.",
    _whole("Tokens"),
    WITH_BODY | {"404"},
    documented_at="https://ai.google.dev/api/tokens#method:-models.counttokens",
    body="GeminiTokensRequest",
)
_NO_WEBSOCKET: Final[Answers] = {"426": ("WebSockets are not supported: send a POST request.", {JSON_TYPE: "Upgrade"})}
_PAGE: Final[Answers] = {
    "200": ("The page in a browser, else the name and version.", {JSON_TYPE: "Service", HTML: "Text"})
}
_FILE: Final[Answers] = {
    "200": ("The file.", {CSS: "Text", HTML: "Text", SCRIPT: "Text", SVG: "Text"}),
    "304": ("The browser has the current file.", {}),
}
_READY: Final[Answers] = {
    "200": ("At least one model can be served.", {JSON_TYPE: "Readiness"}),
    "503": ("No model can be served, or the proxy is about to stop.", {JSON_TYPE: "Readiness"}),
}
_NOTHING: Final[Answers] = {"200": ("The event is accepted and discarded.", {JSON_TYPE: "Discarded"})}

OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    # the view, or the method of Google's API; the HTTP method
    ("chat_completions", "POST"): _CHAT,
    ("responses", "POST"): _RESPONSES,
    ("responses_by_websocket", "GET"): Operation("OpenAI", "Refuse a WebSocket.", _NO_WEBSOCKET, WITH_KEY),
    ("compact", "POST"): _COMPACT,
    ("kept_response", "GET"): Operation("OpenAI", "Read a response.", _whole("Response"), OF_DEPLOYMENTS),
    ("kept_response", "DELETE"): Operation("OpenAI", "Delete a response.", _whole("Deleted"), OF_DEPLOYMENTS),
    ("input_items", "GET"): Operation("OpenAI", "List the input of a response.", _whole("Items"), OF_DEPLOYMENTS),
    ("cancel_response", "POST"): Operation("OpenAI", "Cancel a response.", _whole("Response"), OF_DEPLOYMENTS),
    ("embeddings", "POST"): _EMBEDDINGS,
    ("messages", "POST"): _MESSAGES,
    ("messages_count_tokens", "POST"): _TOKENS_OF_MESSAGES,
    ("generateContent", "POST"): _GENERATE,
    ("streamGenerateContent", "POST"): _GENERATE_STREAM,
    ("countTokens", "POST"): _COUNT_TOKENS,
    ("models", "GET"): Operation(
        "Models",
        "List the models.",
        _whole("ModelList"),
        WITH_KEY,
        description="Clients of Anthropic are known by the header `anthropic-version`, and those of Google by their "
        "path or by the header `x-goog-api-key`.",
        parameters=("client_version", "anthropic-version"),
        is_shared=True,
    ),
    ("model", "GET"): Operation(
        "Models",
        "Describe a model.",
        _whole("Model"),
        WITH_KEY | {"400", "404"},
        parameters=("anthropic-version",),
        is_shared=True,
    ),
    ("health", "GET"): Operation(
        "Operations", "Say that the process is alive.", _whole("Health"), WITHOUT_KEY, is_open=True
    ),
    ("ready", "GET"): Operation("Operations", "Say whether models can be served.", _READY, WITHOUT_KEY, is_open=True),
    ("metrics", "GET"): Operation(
        "Operations", "Read the metrics of all workers.", _whole("Text", "Prometheus metrics.", PLAIN), FOR_READERS
    ),
    ("router_state", "GET"): Operation(
        "Operations", "Read the state of the router.", _whole("RouterState"), FOR_READERS
    ),
    ("router_events", "GET"): Operation(
        "Operations",
        "Watch the state of the router.",
        _whole("Events", "A stream of the events `history` and `state`.", EVENTS),
        FOR_READERS | {"503"},
    ),
    ("router_actions", "POST"): Operation(
        "Operations",
        "Change the routing.",
        _whole("Applied"),
        WITH_KEY | {"400", "403", "404", "408", "499"},
        body="Action",
    ),
    ("openapi", "GET"): Operation("Operations", "Read this document.", _whole("Document"), WITH_KEY),
    ("page", "GET"): Operation(
        "Page", "Open the page, or read the version of the proxy.", _PAGE, WITH_KEY, parameters=("accept",)
    ),
    ("web_file", "GET"): Operation(
        "Page", "Read a file of the page.", _FILE, WITH_KEY | {"404"}, description="Only files that exist need no key."
    ),
    ("tool_guide", "GET"): Operation(
        "Page", "Read the settings of each tool.", _whole("Guide"), WITH_KEY | {"400"}, parameters=("url",)
    ),
    ("hello", "GET"): Operation("Page", "Read the version of the proxy.", _whole("Service"), WITH_KEY),
    ("event_logging", "POST"): Operation(
        "Page", "Discard events of Claude Code.", _NOTHING, WITH_KEY, body="Anything", needs_body=False
    ),
    ("event_logging", "OPTIONS"): Operation(
        "Page", "Allow events of Claude Code.", _NOTHING, WITHOUT_KEY, is_open=True
    ),
}
