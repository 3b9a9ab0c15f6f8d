"""Context overflows: errors that say that a conversation is longer than the model's context, in each vendor's wording.

Clients recognise such an error by their own vendor's wording, and then shorten the conversation. OpenAI's clients look
for a code, Anthropic's and Google's for the message. Each pattern is linear in the length of the text.
"""

import re
from dataclasses import replace

from dialects.core.faults import Fault, FaultKind, Overflow

_CODE = re.compile(r"(?:model_)?context_(?:length|window)_(?:is_)?exceeded", re.IGNORECASE)


def _pattern(words: str) -> re.Pattern[str]:
    """Compile the pattern *words*, in which `<tokens>`, `<input>`, `<output>` and `<limit>` each match a number."""
    for name in ("tokens", "input", "output", "limit"):
        words = words.replace(f"<{name}>", f"(?P<{name}>[0-9]{{1,12}})")
    return re.compile(words, re.IGNORECASE)


_BY_ANTHROPIC = _pattern(r"prompt is too long(?:: <tokens> tokens > <limit> maximum)?")
_BY_ANTHROPIC_WITH_THE_ANSWER = _pattern(
    r"input length and .?max_tokens.? exceed context limit(?:: <input> \+ <output> > <limit>)?"
)
_REQUESTED = r"[.,;] however,? (?:you requested|your [a-z]{1,20} resulted in)(?: about)? <tokens> tokens"
_IN_PARTS = r" \(<input> in (?:the|your) [a-z]{1,20}[,;] <output> (?:in|for) the completion"
_WORDS = (
    _BY_ANTHROPIC,
    _BY_ANTHROPIC_WITH_THE_ANSWER,
    # Bedrock for all of its models, Nova, and Titan.
    _pattern(r"input is too long for (?:the )?requested model"),
    _pattern(r"number of input tokens exceeds (?:the )?maximum length|input tokens exceeded:"),
    _pattern(r"too many input tokens(?:\. max input tokens: <limit>, request input token count: <tokens>)?"),
    # OpenAI, and servers of open models that use its dialect.
    _pattern(rf"maximum context length is <limit> tokens(?:{_REQUESTED}(?:{_IN_PARTS})?)?"),
    _pattern(r"exceeds? the (?:model's )?context window"),
    _pattern(
        r"input tokens exceed the configured limit(?: of <limit> tokens)?"
        r"(?:\. your [a-z]{1,20} resulted in <tokens> tokens)?"
    ),
    _pattern(r"contains <tokens> tokens[^.]{0,60} too large for model with <limit> maximum context"),
    _pattern(r"longer than the model's (?:maximum )?context length"),
    # Gemini, through either of Google's two services.
    _pattern(r"input token count(?: \(<tokens>\))? exceeds the maximum number of tokens allowed(?: \(<limit>\))?"),
    _pattern(r"input token count is <tokens> but (?:the )?model (?:only )?supports up to <limit>"),
    # Cohere, NVIDIA and others.
    _pattern(r"number of tokens in the prompt cannot exceed <limit>(?: - received <tokens>)?"),
    _pattern(r"input length <tokens> exceeds maximum allowed token size <limit>"),
    _pattern(r"\bmaximum context length\b|\bcontext[ _](?:length|window|limit)[ _](?:is |was |has been )?exceeded"),
)
_OPENAIS = re.compile(r"maximum context length is [0-9]|exceeds the context window", re.IGNORECASE)
_GOOGLES = re.compile(r"input token count", re.IGNORECASE)


def overflow_in(code: str, message: str) -> Overflow | None:
    """Return the token counts of an error that is a context overflow; None for any other error."""
    found = next((found for words in _WORDS if (found := words.search(message))), None)
    if found is None:
        return Overflow() if _CODE.fullmatch(code) else None
    counts = {name: int(digits) for name, digits in found.groupdict().items() if digits}
    tokens = counts.get("input", counts.get("tokens"))
    return Overflow(tokens, counts.get("limit"), counts.get("output", 0))


def with_limit(fault: Fault, limit: int | None) -> Fault:
    """Add *limit*, the model's context length in tokens, to a context overflow that does not state it."""
    counted = fault.overflow or Overflow()
    if fault.kind is not FaultKind.CONTEXT_LENGTH_EXCEEDED or limit is None or counted.limit is not None:
        return fault
    return replace(fault, overflow=replace(counted, limit=limit))


def anthropics_words(fault: Fault) -> str:
    """Return the message of a context overflow in Anthropic's wording.

    If a shorter answer would make the request fit, the message says so.
    """
    tokens, limit, output = _counts(fault)
    if _BY_ANTHROPIC.search(fault.message) or _BY_ANTHROPIC_WITH_THE_ANSWER.search(fault.message):
        return _hinting(fault.message, limit)
    if tokens is None or limit is None:
        return _hinting(f"prompt is too long: {fault.message}", limit)
    if tokens < limit < tokens + output:
        counted = f"{tokens} + {output} > {limit}"
        return (
            f"input length and `max_tokens` exceed context limit: {counted}, "
            "decrease input length or `max_tokens` and try again"
        )
    return f"prompt is too long: {tokens + output} tokens > {limit} maximum"


def openais_words(fault: Fault) -> str:
    """Return the message of a context overflow in OpenAI's wording."""
    tokens, limit, output = _counts(fault)
    if _OPENAIS.search(fault.message):
        return _hinting(fault.message, limit)
    if tokens is None or limit is None:
        return _hinting(f"Your input exceeds the context window of this model. {fault.message}", limit)
    asked = f"However, you requested {tokens + output} tokens ({tokens} in the messages, {output} in the completion)."
    counted = asked if output else f"However, your messages resulted in {tokens} tokens."
    return f"This model's maximum context length is {limit} tokens. {counted} Please reduce the length of the messages."


def googles_words(fault: Fault) -> str:
    """Return the message of a context overflow in Google's wording."""
    tokens, limit, output = _counts(fault)
    if _GOOGLES.search(fault.message):
        return _hinting(fault.message, limit)
    if tokens is None or limit is None:
        said = f"The input token count exceeds the maximum number of tokens allowed. {fault.message}"
        return _hinting(said, limit)
    return f"The input token count ({tokens + output}) exceeds the maximum number of tokens allowed ({limit})."


def _hinting(message: str, limit: int | None) -> str:
    """Add the model's context length to a message, if it is known and the message does not state it."""
    if limit is None or str(limit) in message:
        return message
    return f"{message.rstrip().rstrip('.')}. This model takes {limit} tokens."


def _counts(fault: Fault) -> tuple[int | None, int | None, int]:
    counted = fault.overflow or Overflow()
    return counted.tokens, counted.limit, counted.output
