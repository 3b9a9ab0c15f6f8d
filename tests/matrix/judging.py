"""Whether a cell of the matrix is as it should be."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import jsonschema

from tests import oracles
from tests.matrix.cells import Cell
from tests.matrix.clients import Client, Counted, Seen
from tests.matrix.scenes import Ask, Expect
from tests.support.running import Proxy

_PATHS = {
    "anthropic-messages": ("/invoke", "/invoke-with-response-stream"),
    "bedrock-converse": ("/converse", "/converse-stream"),
    "gemini": (":generateContent", ":streamGenerateContent"),
    "openai-chat": ("/chat/completions", "/chat/completions"),
    "openai-responses": ("/responses", "/responses"),
    "orchestration": ("/v2/completion", "/v2/completion"),
}
_ALPHABET = str.maketrans("-_", "+/")


class Judge:
    """Asks what cells ask, and judges the answers; it remembers what whole ones cost, for streams to cost the same."""

    def __init__(self, proxy: Proxy, clients: Mapping[str, Client]) -> None:
        self._proxy = proxy
        self._clients = clients
        self._counted: dict[str, Counted] = {}

    def judge(self, cell: Cell) -> None:
        """Raise `AssertionError` if the cell is not as it should be."""
        self._proxy.cloud.forget()
        seen = self._ask(cell)
        assert len(seen) == len(cell.expect)
        for answer, expect in zip(seen, cell.expect, strict=True):
            self._check_answer(answer, expect, cell)
        self._check_dropped(seen, cell)
        self._check_backend(cell)
        self._check_counts(seen, cell)

    def _ask(self, cell: Cell) -> list[Seen]:
        ask = cell.scene.ask
        model = cell.backend.model
        return self._clients[cell.client].ask(model, salted(ask, cell), stream=cell.stream)

    def _check_answer(self, seen: Seen, expect: Expect, cell: Cell) -> None:
        assert self._clients[cell.client].ends[expect.end] == seen.end
        assert expect.text in seen.text
        assert expect.exact in (None, seen.text)
        assert list(expect.calls) == [call.name for call in seen.calls]
        schemas = {tool.name: tool.schema for tool in cell.scene.ask.tools}
        for call in seen.calls:
            jsonschema.validate(call.arguments, schemas[call.name])
        ids = [call.id for call in seen.calls if call.id]
        assert len(ids) == len(set(ids))
        if expect.fits:
            jsonschema.validate(json.loads(seen.text), cell.scene.ask.schema)
        assert expect.thoughts in (None, bool(seen.thoughts)), f"thoughts: {seen.thoughts!r}"
        assert seen.counted.prompt > 0
        assert seen.counted.output > 0
        assert seen.counted.reasoning > 0 or not expect.reasoning
        assert bool(seen.cited) is expect.cited, seen.cited
        assert (seen.counted.cached > 0) is expect.cached, seen.counted

    def _check_dropped(self, seen: list[Seen], cell: Cell) -> None:
        """Nothing may be lost unsaid, and nothing may be lost but what the table says."""
        dropped = frozenset[str]().union(*(answer.dropped for answer in seen))

        assert cell.dropped == dropped, f"dropped: {sorted(dropped)}"

    def _check_backend(self, cell: Cell) -> None:
        """The backend must have understood all, and been told all."""
        sent = self._proxy.cloud.requests()
        assert [each["status"] for each in sent] == [200] * len(cell.expect), "the backend refused"
        path = _PATHS[cell.backend_dialect][cell.stream]
        assert all(each["path"].endswith(path) for each in sent), sent[0]["path"]
        for each in sent:
            oracles.check_request(each["path"], each["body"])
        said = list(_strings(sent[0]["body"]))
        for words in cell.scene.sent:
            assert any(words in text for text in said), f"the backend was not told {words!r}"
        if cell.scene.ask.file:
            data = base64.b64encode(cell.scene.ask.file.data).decode()
            # Google's clients write the other alphabet.
            assert any(data in text.translate(_ALPHABET) for text in said), "the backend was not shown the file"

    def _check_counts(self, seen: list[Seen], cell: Cell) -> None:
        """A stream costs what a whole answer costs; a second answer costs the more, the more pieces an SDK keeps."""
        counted = seen[0].counted
        key = f"{cell.client} {cell.backend.model} {cell.scene.name}"
        if not cell.stream:
            self._counted[key] = counted
        elif not cell.scene.ask.marked:
            whole = self._counted.get(key) or self._ask_whole(cell)

            assert whole == counted

    def _ask_whole(self, cell: Cell) -> Counted:
        return self._clients[cell.client].ask(cell.backend.model, cell.scene.ask, stream=False)[0].counted


def salted(ask: Ask, cell: Cell) -> Ask:
    """Make a prompt that is to be cached one that no other cell has cached."""
    return replace(ask, system=f"{cell.id}\n{ask.system}") if ask.marked else ask


def _strings(value: Any) -> Iterator[str]:
    """Every string in a body, keys left out."""
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _strings(item)
        case dict():
            for item in value.values():
                yield from _strings(item)
