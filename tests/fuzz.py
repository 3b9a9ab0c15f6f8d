"""Feeds readers, parsers and renderers for ten minutes with what is nearly right: ``python -m tests.fuzz``.

``FUZZ_SECONDS`` and ``FUZZ_SEED`` say how long, and which way. What raises, hangs
or breaks a law is written to ``tests/dialects/cases``, where a test replays it.
"""

import hashlib
import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from dialects.adapt.token_estimate import estimate_tokens
from dialects.capabilities.models import profile_for
from dialects.core import upstream_errors
from dialects.core.conversation import JSON, Conversation
from dialects.core.faults import Fault, FaultError, FaultKind, http_status
from dialects.embeddings.openai import parse_request as parse_embeddings
from dialects.embeddings.openai import render_response as render_embeddings
from dialects.embeddings.registry import dialect_for, parts_of
from dialects.framing.aws_event_stream import EventStreamDecoder
from dialects.framing.json_text import dumps
from dialects.framing.sse import FrameDecoder, SSEDecoder
from dialects.interface import Envelope
from dialects.registry import BACKENDS, CLIENTS
from dialects.translator import ClientRequest, translator_for
from gateway.requests.rejected_fields import RejectedFields
from tests.dialects import golden, mangling

CASES = Path(__file__).parent / "dialects" / "cases"
PATIENCE = 5
"""Seconds after which an input of a few kilobytes hangs."""
POOL = 400
"""How many inputs that led somewhere new are kept to be spoiled further."""
MODELS = {
    "openai-chat": ("gpt-4o", "gpt-5", "mistralai--mistral-large-instruct", "sonar-pro"),
    "openai-responses": ("gpt-4o", "gpt-5.3-codex"),
    "anthropic-messages": ("anthropic--claude-4.6-sonnet", "anthropic--claude-3-haiku"),
    "gemini": ("gemini-2.5-flash", "gemini-3.1-pro"),
    "bedrock-converse": ("anthropic--claude-4-sonnet", "amazon--nova-pro"),
    "orchestration": ("anthropic--claude-4.6-sonnet", "gpt-5.5", "gemini-3.5-flash", "amazon--nova-pro", "sonar-pro"),
}
EMBEDDING_MODELS = ("text-embedding-3-large", "gemini-embedding", "gemini-embedding-2", "titan-embed-text", "nv-embed")
_NONSENSE = (FaultError, ValueError, LookupError, TypeError, AttributeError)
"""What may be raised by an answer that makes no sense: the gateway makes a failure of it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something to feed: *make* invents an input as JSON, *run* takes it and says where that led."""

    make: Callable[[Random], Any]
    run: Callable[[Any], object]


def replay(case: Any) -> None:
    """Feed an input that was found before."""
    TARGETS[case["target"]].run(case["input"])


def _relayed(case: JSON) -> object:
    """A backend's bytes, cut somewhere, become a client's: grammatical, ended, and the same as uncut."""
    backend, kind = BACKENDS[case["backend"]], case["type"]
    chunks = [chunk.encode("latin-1") for chunk in case["chunks"]]
    events = golden.read(backend.reader("tok", kind), chunks)
    outs = []
    for pieces in (chunks, [b"".join(chunks)]):
        relay = _way(case).relay(kind)
        out = b"".join([*(relay.feed(piece) for piece in pieces), relay.finish()])
        assert relay.seen.over, "the stream has no end"
        outs.append(out)
    assert outs[0] == outs[1], "the output depends on the cuts"
    said = [frame.data.strip() for frame in SSEDecoder().feed(outs[0])]
    assert all(data in ("", "[DONE]") or json.loads(data) is not None for data in said), "no JSON for the client"
    return case["backend"], tuple(type(event).__name__ for event in events)[:12], str(events[-1])[:60]


def _answered(case: JSON) -> object:
    """A backend's whole answer becomes a client's, or is nonsense."""
    with suppress(*_NONSENSE):
        reply = _way(case).render_response(case["body"])
        dumps(reply.body)
        return tuple(type(part).__name__ for part in reply.completion.parts), reply.completion.stop.reason
    return None


def _way(case: JSON) -> Any:
    envelope = Envelope("tok", "my-model", 0, Conversation("my-model", case["client"], stream_usage=True))
    request = ClientRequest(case["client"], {}, envelope, case["forward"])
    return translator_for(request, case["backend"], profile_for(MODELS[case["backend"]][0]))


def _asked(case: JSON) -> object:
    """A client's body is asked of every model, or refused in words; and an answer repeats what it holds."""
    client = CLIENTS[case["client"]]
    try:
        conversation = client.parse_request(case["body"])
        estimate_tokens(conversation)
        envelope = Envelope("tok", "my-model", 0, conversation)
        dumps(client.render_response(_NOTHING_SAID, envelope))
    except FaultError as error:
        return case["client"], _checked(error.fault)
    led = {name for backend, models in MODELS.items() for name in _asked_of(case, envelope, backend, models)}
    return case["client"], tuple(sorted(led))


def _asked_of(case: JSON, envelope: Envelope, backend: str, models: Sequence[str]) -> Iterator[str]:
    for profile in map(profile_for, models):
        for forward in (True, False):
            request = ClientRequest(case["client"], case["body"], envelope, forward)
            try:
                rendered = translator_for(request, backend, profile).render_request(profile)
                dumps(rendered.body)
            except FaultError as error:
                yield f"{backend} refuses {_checked(error.fault)}"
            else:
                yield from (name[:20] for name in rendered.dropped)


def _checked(fault: Fault) -> str:
    """What a refusal says; it must be the caller's to mend, and sayable in every dialect."""
    assert FaultKind.INVALID_REQUEST is fault.kind, fault.kind
    for client in CLIENTS.values():
        dumps(client.render_fault(fault))
    return fault.message[:30]


def _embedded(case: JSON) -> object:
    """A request for embeddings is asked of every model, or refused in words; any answer is read or nonsense."""
    profile = profile_for(case["model"])
    dialect = dialect_for(profile)
    try:
        request = parse_embeddings(case["body"])
        rendered = [dialect.render_request(part, profile) for part in parts_of(request, profile)]
    except FaultError as error:
        return _checked(error.fault)
    for each in rendered:
        dumps(each.body)
    with suppress(*_NONSENSE):
        dumps(render_embeddings(dialect.parse_response(case["answer"]), request))
        return "answered"
    return case["model"], tuple(name for each in rendered for name in each.dropped)


def _failed(case: JSON) -> object:
    """Any error is understood, said in every dialect, and perhaps a lesson."""
    body = case["body"].encode("latin-1")
    fault = upstream_errors.fault_from(case["status"], {"X-Amzn-ErrorType": case["typed"]}, body)
    within = upstream_errors.fault_in_stream(case["typed"], body.decode("utf-8", "replace"))
    for each in (fault, within):
        assert 400 <= http_status(each) < 600
        for client in CLIENTS.values():
            dumps(client.render_fault(each))
    lessons, asked = RejectedFields(), {"messages": [], "temperature": 1, "anthropic_beta": []}
    if lessons.learn("m", asked, fault):
        assert lessons.without("m", asked).keys() < asked.keys()
    return fault.kind, fault.code, within.kind


def _cut(case: JSON) -> object:
    """Frames do not depend on where the bytes were cut; what can be no frame is a `ValueError`."""
    chunks = [chunk.encode("latin-1") for chunk in case["chunks"]]
    found = [_decoded(_decoder(case), pieces) for pieces in (chunks, [b"".join(chunks)])]
    assert found[0] == found[1], "the frames depend on the cuts"
    return case["type"], len(found[0])


def _decoder(case: JSON) -> FrameDecoder:
    return EventStreamDecoder() if case["type"] == mangling.EVENT_STREAM else SSEDecoder()


def _decoded(decoder: FrameDecoder, chunks: Sequence[bytes]) -> list[Any]:
    frames: list[Any] = []
    try:
        for chunk in chunks:
            frames += decoder.feed(chunk)
        frames += decoder.finish()
    except ValueError:
        frames.append("nonsense")
    return frames


class Corpus:
    """What was captured, and the words in it."""

    def __init__(self) -> None:
        self.said: dict[str, list[list[tuple[str | None, Any]]]] = {}
        self.wholes: dict[str, list[Any]] = {}
        self.words: dict[str, tuple[str, ...]] = {}
        for backend in BACKENDS:
            folder = backend.replace("-", "_")
            self.said[backend] = [
                [(event, mangling.loaded(data)) for event, data in mangling.frames(folder, scene, suffix)]
                for suffix in mangling.CONTENT_TYPES
                for scene in golden.scenes(folder, suffix)
            ]
            self.wholes[backend] = [golden.body(folder, scene) for scene in golden.scenes(folder, ".json")]
            values = [value for frames in self.said[backend] for _, value in frames]
            self.words[backend] = mangling.vocabulary([*values, *self.wholes[backend]])
        self.asked = {client: mangling.vocabulary([body]) for client, body in mangling.BODIES.items()}

    def stream(self, rng: Random) -> JSON:
        """A stream that a backend could nearly have sent."""
        backend = rng.choice(list(BACKENDS))
        words, said = self.words[backend], list(rng.choice(self.said[backend]))
        for _ in range(rng.randrange(5)):
            place = rng.randrange(len(said))
            event = rng.choice(words) if rng.random() < 0.1 else said[place][0]
            said[place] = (event, mangling.spoiled(said[place][1], rng, words))
        for _ in range(rng.choice([0, 0, 1, 3])):
            said.insert(rng.randrange(len(said)), said.pop(rng.randrange(len(said))))
        form = rng.choice(["json", "json", "python", "binary"])
        data = mangling.framed(said, form)
        data = mangling.torn(data, rng) if rng.random() < 0.3 else data
        honest = mangling.EVENT_STREAM if form == "binary" else mangling.SSE
        chunks = [chunk.decode("latin-1") for chunk in mangling.chopped(data, rng)]
        return {**self.ends(rng), "backend": backend, "type": honest, "chunks": chunks}

    def ends(self, rng: Random) -> JSON:
        """Two ends, and whether the body may pass between them."""
        return {
            "backend": rng.choice(list(BACKENDS)),
            "client": rng.choice(list(CLIENTS)),
            "forward": rng.random() < 0.5,
        }

    def answer(self, rng: Random) -> JSON:
        """A whole answer that a backend could nearly have given."""
        ends = self.ends(rng)
        words = self.words[ends["backend"]]
        return {**ends, "body": mangling.spoiled(rng.choice(self.wholes[ends["backend"]]), rng, words, times=5)}

    def request(self, rng: Random) -> JSON:
        """A body that a client could nearly have sent."""
        client = rng.choice(list(CLIENTS))
        words, body = self.asked[client], mangling.BODIES[client]
        if rng.random() < 0.5:
            body = {name: value for name, value in body.items() if rng.random() < 0.6}
        return {"client": client, "body": mangling.spoiled(body, rng, words, times=6)}

    def embedding(self, rng: Random) -> JSON:
        """A request for embeddings, and an answer to it, both nearly right."""
        words = mangling.vocabulary([mangling.EMBEDDING, *_VECTORS])
        return {
            "model": rng.choice(EMBEDDING_MODELS),
            "body": mangling.spoiled(mangling.EMBEDDING, rng, words),
            "answer": mangling.spoiled(rng.choice(_VECTORS), rng, words),
        }

    def failure(self, rng: Random) -> JSON:
        """An error of any shape."""
        words = mangling.vocabulary(_ERRORS)
        body = json.dumps(mangling.spoiled(rng.choice(_ERRORS), rng, words)).encode()
        body = mangling.torn(body, rng) if rng.random() < 0.3 else body
        typed = rng.choice(words) + rng.choice(["", ":x", "\x00"])
        return {"status": rng.choice([*range(300, 600), 0]), "typed": typed, "body": body.decode("latin-1")}


_ERRORS: tuple[Any, ...] = (
    {"error": {"message": "Rate limit is exceeded.", "type": "throttling", "code": "429", "param": None}},
    {"error": [{"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}]},
    {"error": "unauthorized", "message": "Bearer abc at https://x.ondemand.com/v2/y"},
    {"errors": {"message": "gone", "code": "ResourceNotFoundException"}},
    {"detail": [{"msg": "temperature: Extra inputs are not permitted", "loc": ["body"]}]},
    {"message": "invalid beta flag", "__type": "com.amazon#ValidationException"},
    {"error": {"request_id": "r", "code": 400, "message": "400 - LLM Module: x", "location": "LLM Module"}},
    {"code": "429", "message": "slow", "request_id": "r", "module_results": {"templating": [{"content": "hi"}]}},
    {"message": "temperature: Extra inputs are not permitted", "type": "invalid_request_error"},
    [],
    "plain",
)
_VECTORS: tuple[Any, ...] = (
    {
        "data": [{"index": 1, "embedding": [0.5, 1]}, {"index": 0, "embedding": "AACAPw=="}],
        "usage": {"prompt_tokens": 3},
    },
    {"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 3}}}]},
    {"embedding": {"values": [0.5, 1]}, "usageMetadata": {"promptTokenCount": 3}},
    {"embedding": [0.5, 1], "inputTextTokenCount": 3},
)
_NOTHING_SAID = BACKENDS["openai-responses"].parse_response({"output": []}, "tok")
_CORPUS = Corpus()
TARGETS: Mapping[str, Target] = {
    "relay": Target(_CORPUS.stream, _relayed),
    "request": Target(_CORPUS.request, _asked),
    "answer": Target(_CORPUS.answer, _answered),
    "embedding": Target(_CORPUS.embedding, _embedded),
    "failure": Target(_CORPUS.failure, _failed),
    "decoder": Target(_CORPUS.stream, _cut),
}


@contextmanager
def impatient(seconds: int) -> Iterator[None]:
    """Within, what takes too long raises `TimeoutError`."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Fuzzer:
    """Feeds the targets in turn, and remembers what led somewhere new."""

    def __init__(self, seed: int) -> None:
        self.runs: Counter[str] = Counter()
        self.finds: dict[str, str] = {}
        self._rng = Random(seed)
        self._seen: dict[str, set[object]] = {name: set() for name in TARGETS}
        self._pool: dict[str, list[Any]] = {name: [] for name in TARGETS}

    def step(self, name: str) -> None:
        """Feed one target once."""
        target, rng = TARGETS[name], self._rng
        case = target.make(rng)
        if self._pool[name] and "body" in case and rng.random() < 0.4:
            before = rng.choice(self._pool[name])
            words = mangling.vocabulary([case["body"]]) or ("x",)
            spoil = not isinstance(before["body"], str)
            case = {**before, "body": mangling.spoiled(before["body"], rng, words)} if spoil else before
        self.runs[name] += 1
        try:
            with impatient(PATIENCE):
                led = target.run(case)
        except Exception as error:  # noqa: BLE001 - whatever is raised is a find
            self._found(name, case, error)
            return
        if led not in self._seen[name]:
            self._seen[name].add(led)
            self._pool[name] = [*self._pool[name][-POOL:], case]

    def _found(self, name: str, case: Any, error: Exception) -> None:
        """Keep the first input that fails in one place."""
        last = [frame for frame in traceback.extract_tb(error.__traceback__) if "/dialects/" in frame.filename][-1:]
        where = f"{last[0].filename.rpartition('/dialects/')[2]}:{last[0].lineno}" if last else str(error)
        place = f"{type(error).__name__} {where}"
        if place in self.finds:
            return
        written = json.dumps({"target": name, "input": case}, indent=1) + "\n"
        path = CASES / f"{name}-{hashlib.sha256(written.encode()).hexdigest()[:10]}.json"
        path.write_text(written)
        self.finds[place] = path.name
        print(f"find: {place} -> {path.name}: {error}", flush=True)


def main() -> int:
    """Fuzz for as long as is wanted; the exit status is 1 if something was found."""
    seconds, seed = float(os.environ.get("FUZZ_SECONDS", "600")), int(os.environ.get("FUZZ_SEED", str(time.time_ns())))
    warnings.simplefilter("ignore")
    fuzzer, began = Fuzzer(seed), time.monotonic()
    while time.monotonic() - began < seconds:
        for name in TARGETS:
            fuzzer.step(name)
    runs = ", ".join(f"{name} {number}" for name, number in fuzzer.runs.items())
    print(f"seed {seed}: {sum(fuzzer.runs.values())} inputs in {seconds:g} s ({runs}); {len(fuzzer.finds)} finds")
    return 1 if fuzzer.finds else 0


if __name__ == "__main__":
    sys.exit(main())
