"""What `/openapi.json` promises of answers, held against answers."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator

EVENTS = "text/event-stream"
_FORMS = {
    # the form of errors, as SDKs of the vendor read it
    "OpenAIError": r"",
    "AnthropicError": r"/v1/messages",
    "GoogleError": r"/v1beta/|/v1/models/.*:",
    "AnyError": r"/v1/models|/models",
}
"""Whose errors a path has that the document does not name; the last that matches."""
_OF_UNKNOWN_PATHS = {200, 400, 401, 404, 405, 413, 429}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. The names of headers are in lower case; a stream that was left early is not *whole*."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True

    @property
    def kind(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0]


class Contract:
    """The document, and what it promises."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self._schemas: dict[str, Draft202012Validator] = {}

    @cached_property
    def operations(self) -> list[tuple[str, str, Any]]:
        """Each method, path and description."""
        paths = self.document["paths"].items()
        return [(method.upper(), path, each) for path, item in paths for method, each in item.items()]

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        """The paths; those with the most letters of their own come first."""
        paths = sorted(self.document["paths"], key=lambda path: (path.count("{"), -len(path)))
        return [(re.compile(re.sub(r"\\{\w+\\}", "(?s:.+)", re.escape(path))), path) for path in paths]

    def find(self, method: str, target: str) -> Any:
        """The operation that a request calls; None if there is none."""
        path, wanted = path_of(target), ("get", "head") if method == "HEAD" else (method.lower(),)
        items = (self.document["paths"][template] for pattern, template in self._patterns if pattern.fullmatch(path))
        return next((item[each] for item in items for each in wanted if each in item), None)

    def broken(self, method: str, target: str, answer: Answer) -> list[str]:
        """Say what of an answer is not as the document promises."""
        operation = self.find(method, target)
        if operation is None:
            return list(self._unknown(method, target, answer))
        described = self._response(operation, answer.status)
        if described is None:
            return [f"the status {answer.status} is not documented"]
        return list(self._described(described, method, answer))

    def resolved(self, value: Any) -> Any:
        """Follow a reference, if it is one."""
        while isinstance(value, dict) and "$ref" in value:
            name = value["$ref"].removeprefix("#/components/").split("/")
            value = self.document["components"][name[0]][name[1]]
        return value

    def errors_in(self, schema: Any, value: Any) -> list[str]:
        """Say what of *value* does not fit a schema."""
        key = json.dumps(schema, sort_keys=True)
        if key not in self._schemas:
            whole = {**schema, "components": self.document["components"]}
            self._schemas[key] = Draft202012Validator(whole)
        return [
            f"{error.json_path}: {error.message[:200]}" for error in self._schemas[key].iter_errors(value)
        ]  # fmt: skip

    def _response(self, operation: Any, status: int) -> Any:
        responses = operation["responses"]
        return self.resolved(responses.get(str(status)) or responses.get(f"{status // 100}XX"))

    def _described(self, described: Any, method: str, answer: Answer) -> Iterator[str]:
        named = {name.lower() for name in described.get("headers", ())}
        ours = {name for name in answer.headers if name.startswith("x-proxy-") or name.endswith("request-id")}
        if not ours <= named:
            yield f"the headers {sorted(ours - named)} are not documented"
        content = described.get("content", {})
        if method == "HEAD" or (not answer.whole and answer.kind != EVENTS):
            return
        if not content:
            if answer.body:
                yield "it has a body"
        elif answer.kind not in content:
            yield f"the type {answer.kind!r} is not documented"
        elif answer.kind == EVENTS:
            yield from _events(answer)
        else:
            yield from self._value(content[answer.kind]["schema"], answer)

    def _value(self, schema: Any, answer: Answer) -> Iterator[str]:
        try:
            value = json.loads(answer.body) if answer.kind == "application/json" else answer.body.decode()
        except ValueError as error:
            yield f"the body is not {answer.kind}: {error}"
            return
        yield from self.errors_in(schema, value)

    def _unknown(self, method: str, target: str, answer: Answer) -> Iterator[str]:
        """The answer to a request that the document does not describe is an error in the form of its path."""
        if answer.status not in _OF_UNKNOWN_PATHS or (answer.status == 200 and method != "OPTIONS"):
            yield f"the status {answer.status} of a request that is not documented"
        elif answer.status != 200 and method != "HEAD" and answer.whole:
            form = [name for name, pattern in _FORMS.items() if re.match(pattern, path_of(target), re.DOTALL)][-1]
            yield from self._value({"$ref": f"#/components/schemas/{form}"}, answer)


def path_of(target: str) -> str:
    """The path that a target of a request names, without doubled parts."""
    path = unquote(target.partition("?")[0].partition("#")[0], errors="surrogateescape")
    return re.sub(r"^/v1(?=/v1(?:beta)?/)", "", re.sub("//+", "/", path), count=1)


def _events(answer: Answer) -> Iterator[str]:
    """What of a stream is no server-sent event with JSON as its data."""
    text = answer.body.decode(errors="replace").replace("\r\n", "\n")
    blocks = text.split("\n\n")
    if answer.whole and blocks[-1].strip("\n"):
        yield "the stream ends within an event"
    for block in blocks[:-1]:
        for line in block.split("\n"):
            name, _, data = line.partition(":")
            if name not in {"", "event", "data", "id", "retry"}:
                yield f"{line[:50]!r} is no line of an event"
            elif name == "data" and data.strip() not in {"", "[DONE]"} and not _is_json(data):
                yield f"{data[:50]!r} is no JSON"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
