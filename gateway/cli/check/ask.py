"""Sends a short prompt to every model, as a client would: through router, translator and protocol."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import Any, Final

import orjson

from dialects import openai_chat
from dialects.capabilities.models import profile_for
from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.framing.sse import SSEDecoder
from gateway.cli.check.advice import Adviser
from gateway.cli.check.report import Answer, Finding, Report, in_order, wrong
from gateway.config.settings import Settings
from gateway.config.subaccounts import SubAccount
from gateway.gateway import Gateway
from gateway.requests.lifetime import Lifetime, Signal
from routing.protocols import EmbeddingsProtocol

_PROMPT: Final = "Reply with one word: hello."
_MOST_TOKENS: Final = 4000
"""Of an answer, with what a model thinks before it: enough for a word after long thoughts, and no model allows less."""
_AT_ONCE: Final = 4
"""How many models are asked at the same time."""
_SECONDS: Final = 60.0
"""How long one model may take."""
_LONGEST_TEXT: Final = 40
_CALLER: Final = "sap-ai-proxy check"

Say = Callable[[int, int], None]
"""Receives how many models have been asked, and how many there are."""


def ask_models(
    settings: Settings,
    *,
    seconds: float = _SECONDS,
    clock: Callable[[], float] = time.monotonic,
    asked: Say = lambda *_: None,
) -> tuple[Answer, ...]:
    """Ask each model of *settings* once in each subaccount that lists it, a few at a time; tokens are spent.

    No model may take longer than *seconds*. *asked* hears how it goes.
    """
    stop = Signal()
    with ExitStack() as owned:
        owned.callback(stop.close)
        questions: list[tuple[Gateway, str, str]] = []
        for account in settings.subaccounts.values():
            if account.deployments:
                gateway = owned.enter_context(closing(Gateway(_alone(settings, account), clock=clock)))
                gateway.start()
                questions += [(gateway, account.name, model) for model in gateway.balancer.models()]
        answers: list[Answer] = []
        with ThreadPoolExecutor(_AT_ONCE) as askers:
            try:
                for answer in askers.map(partial(_ask, clock, seconds, stop), questions):
                    answers.append(answer)
                    asked(len(answers), len(questions))
            except BaseException:
                stop.set()
                askers.shutdown(wait=False, cancel_futures=True)
                raise
        return tuple(answers)


def with_answers(report: Report, answers: tuple[Answer, ...], adviser: Adviser) -> Report:
    """Add what models answered to a report, and what is wrong with those that did not."""
    known = {(each.subaccount, model) for each in report.wrong for model in each.models}
    silent = tuple(
        _silent(each, adviser) for each in answers if not each.ok and (each.subaccount, each.model) not in known
    )
    return Report(report.subaccounts, in_order((*report.findings, *silent)), answers)


def _silent(answer: Answer, adviser: Adviser) -> Finding:
    """Report a model that was asked and did not answer."""
    advice = adviser.inference(answer.fault, "its URL and the resource group") if answer.fault is not None else None
    fix = (
        advice.fix
        if advice is not None
        else "send it a request through the proxy with --log-level debug, and see the reason in the log"
    )
    what = f"{answer.model} does not answer: {answer.error}"
    code = advice.code if advice else "refused" if answer.fault else "no_answer"
    return wrong(code, answer.subaccount, what, fix, models=(answer.model,))


def _alone(settings: Settings, account: SubAccount) -> Settings:
    """Give settings in which there is no other subaccount, nothing more is looked up, and no telemetry is sent."""
    policy = replace(settings.policy, health_check_interval=0.0, discovery_interval=0.0)
    alone = {account.name: replace(account, discovery=False)}
    return replace(settings, subaccounts=alone, policy=policy, telemetry=False)


def _ask(clock: Callable[[], float], seconds: float, stop: Signal, question: tuple[Gateway, str, str]) -> Answer:
    """Ask one model of one subaccount."""
    gateway, subaccount, model = question
    endpoint = gateway.balancer.endpoints(model)[0]
    embeds = profile_for(endpoint.backend).embeds
    client = EmbeddingsProtocol.dialect if embeds else openai_chat.DIALECT
    answer = Answer(subaccount, model, "")
    lifetime = Lifetime(seconds, drain=stop, clock=clock)
    began = clock()
    try:
        answer = replace(answer, protocol=gateway.router.protocol_at(endpoint, client).name)
        if embeds:
            whole = gateway.embeddings({"model": model, "input": "hello"}, {}, _CALLER, lifetime).whole()
            dimensions = len(whole["data"][0]["embedding"])
            return replace(answer, seconds=clock() - began, text=f"{dimensions} numbers")
        first, text = _talk(gateway, model, lifetime, clock)
    except FaultError as error:
        return replace(answer, error=error.fault.explained.removesuffix("."), fault=error.fault)
    except Exception as error:  # noqa: BLE001 - whatever one model sends, the answers of the others are shown
        return replace(answer, error=f"its response cannot be read ({error!r})")
    if first is None or not text:
        return replace(answer, error=f"it sent no text within {_MOST_TOKENS} tokens")
    return replace(answer, seconds=first - began, text=text)


def _talk(gateway: Gateway, model: str, lifetime: Lifetime, clock: Callable[[], float]) -> tuple[float | None, str]:
    """Have a model say a word; give when its first word came, if one did, and how it began. Raises `FaultError`."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": _PROMPT}],
        "stream": True,
        "max_tokens": _MOST_TOKENS,
    }
    exchange = gateway.exchange(openai_chat.DIALECT, body, {}, _CALLER, lifetime)
    first, text = None, ""
    with closing(gateway.stream(exchange)) as stream:
        stream.begin()
        for word in _words(stream):
            first = clock() if first is None and word.strip() else first
            text += word
    return first, " ".join(text.split())[:_LONGEST_TEXT]


def _words(stream: Iterator[bytes]) -> Iterator[str]:
    """Give what a streamed answer says, as it comes; raises `FaultError` where it ends with an error."""
    decoder = SSEDecoder()
    for chunk in stream:
        for frame in decoder.feed(chunk):
            match _read(frame.data):
                case {"error": {"message": str(message)}}:
                    raise FaultError(Fault(FaultKind.STREAM_BROKEN, message))
                case {"choices": [{"delta": {"content": str(content)}}, *_]} if content:
                    yield content
                case _:
                    pass


def _read(data: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
