"""Laws about every message that a person can come to read: `python -m tests.messages` prints them all."""

import re
from collections.abc import Callable, Iterable

import pytest

from tests.messages import Audience, Message, catalogue, of_script
from tests.support.sources import ROOT, held

OURS = frozenset(Audience) - {Audience.EMULATOR, Audience.TOOLS}
"""Whoever reads what the proxy itself says. The emulator speaks with the vendors' voices."""
LONGEST = 300
"""Characters of a message that is one paragraph."""

VENDORS = (
    # clients look for texts that begin so, which OpenAI, Anthropic or Google have worded; the last is sent to models
    "prompt is too long",
    "input length and `max_tokens` exceed context limit",
    "This model's maximum context length",
    "However, you",
    "max_tokens: Field required",
    "Incorrect API key provided",
    "Unless you call a function",
)
LABELS = (
    # texts of these files that begin with a capital are names, headings and menus
    "dialects/openai_responses/codex_models.py",
    "gateway/tool_settings/",
    "gateway/cli/init/choices.py",
    "gateway/observability/",
    "gateway/server/http_messages.py",
)
RIDDLES = {
    # what strangers stumble over          what to write instead
    r"\bamiss\b": "what is wrong",
    r"\banew\b": "again",
    r"\bwhom\b|^Whose\b": "a sentence with a subject: who does what",
    r"\b(is|are|was|were|cannot be) told\b": "the proxy sends, SAP AI Core reports, cannot be determined",
    r"\bforgotten\b": "discarded, deleted",
    r"\bspoken\b": "supported",
    r"\binsists? on\b": "requires",
    r"\bsays so already\b": "needs no change",
    r"\bhad better\b": "should",
    r"\b(that|which) (is|are) none\b": "what it is not",
    r"(?<!there )\b(?<!There )is (no|none of)\b(?! longer)": "is not a",
    r"\bmakes? no sense\b": "cannot be read, is not valid, contradicts itself",
    r"\bcame about\b": "succeeded",
    r"\bmend\b": "correct",
    r"\bbehind --": "after --",
    r"\b(fleet|pump|verdict|regret|resting|cooling)\b": "the word of tests/test_words.py",
}
CONTRACTIONS = re.compile(r"\w(n't|'re|'ll|'ve)\b|\b(it|that|there|what|who|he|let)'s\b", re.IGNORECASE)
LATIN = re.compile(r"\b(e\.g|i\.e|etc|resp|cf|viz)\b\.?(?=\W)")
LOOSE = re.compile(r"\b(should|has to|have to|needs to|ought to) be\b|\bexpected (a|an|one)\b")
OUR_OWN = {
    # where an exception is shown to a caller, and why that may be
    "dialects/core/relay.py": "our frame decoders raise it, and say what is wrong with the frame",
    "gateway/http/router_operations.py": "it says at which character the JSON of the caller is wrong",
    "proxy_server.py": "it says at which character the JSON of the caller is wrong",
}


def prose(message: Message) -> str:
    """A text without what is put into it."""
    return re.sub(r"\{[^{}]*\}", "…", message.text)


def law(statement: str, breaks: Callable[[Message], object], of: Iterable[Audience] = OURS) -> None:
    """Hold a law over all messages of these audiences, but those that vendors have worded."""
    audiences = frozenset(of)
    offenders = [
        f"{each} [{each.audience.value}]"
        for each in catalogue()
        if each.audience in audiences and not each.text.startswith(VENDORS) and breaks(each)
    ]

    held(statement, offenders)


def is_layout(message: Message) -> bool:
    """Whether a text is laid out in lines or columns: a banner, a table, a snippet."""
    return "\n" in message.text or bool(re.search(r"^ |: $| {2}", message.text))


def is_sentence(message: Message) -> bool:
    """Whether a text is a whole sentence: it begins with a capital, has some words, and ends with one."""
    text = message.text
    is_long = bool(re.match(r"[A-Z][a-z']* ", text)) and len(text.split()) > 3
    return is_long and text[-1] != "}" and not is_layout(message) and not message.file.startswith(LABELS)


def test_the_catalogue_finds_messages_for_everyone() -> None:
    counted = {audience: sum(each.audience is audience for each in catalogue()) for audience in Audience}

    assert {audience for audience, number in counted.items() if number < 10} == set()


def test_comments_of_a_script_are_no_messages() -> None:
    script = '// Says "what is not shown" to nobody.\nconst text = `The key of ${name} is wrong.`;\n'

    assert [each.text for each in of_script("page.js", script)] == ["The key of {…} is wrong."]


@pytest.mark.parametrize("riddle", RIDDLES)
def test_no_message_has_words_that_strangers_stumble_over(riddle: str) -> None:
    law(f"Instead of {riddle} write: {RIDDLES[riddle]}.", lambda each: re.search(riddle, prose(each)))


def test_messages_have_no_contractions() -> None:
    law("Write both words.", lambda each: CONTRACTIONS.search(prose(each)))


def test_messages_have_no_latin_abbreviations() -> None:
    law("Write `such as`, `that is` or `and others`.", lambda each: LATIN.search(prose(each)))


def test_a_wrong_value_must_be_what_it_is_not() -> None:
    law("Of a wrong value say what it `must be`.", lambda each: LOOSE.search(prose(each)))


def test_sentences_end_with_a_full_stop() -> None:
    law(
        "A sentence ends with a full stop.",
        lambda each: is_sentence(each) and not re.search(r"[.?!:…]['\")]*$", each.text),
        OURS - {Audience.LOG, Audience.PAGE},
    )


def test_what_begins_with_a_name_has_no_full_stop() -> None:
    law(
        "What begins with a small letter is put after a name or into a sentence, and ends without a full stop.",
        lambda each: re.match(r"[a-z]", each.text) and re.search(r"[^.]\.$", each.text) and ". " not in each.text,
        OURS - {Audience.PAGE},
    )


def test_log_lines_begin_small_and_end_without_a_full_stop() -> None:
    law(
        "A log line is no paragraph.",
        lambda each: re.match(r"[A-Z][a-z]+ ", each.text) or re.search(r"[^.]\.$", each.text),
        [Audience.LOG],
    )


def test_help_is_written_in_sentences() -> None:
    law(
        "Help begins with a capital and ends with a full stop, or with a command to type.",
        lambda each: not (re.match(r"[A-Z]", each.text) and re.search(r"\.$|\n\S+( \S+)*$", each.text)),
        [Audience.HELP],
    )


def test_no_message_is_a_wall_of_text() -> None:
    law(f"Say it in {LONGEST} characters.", lambda each: len(each.text) > LONGEST and not is_layout(each))


def test_messages_have_single_blanks_and_no_dots_for_an_ellipsis() -> None:
    law(
        "One blank between two words, and … for what is left out.",
        lambda each: re.search(r"\S {2,}[a-z]|\.\.\.", each.text),
    )


def test_messages_do_not_shout_or_plead() -> None:
    law("State it.", lambda each: re.search(r"\b(please|sorry|oops)\b|!$", prose(each), re.IGNORECASE))


def test_exceptions_reach_no_caller_as_they_are() -> None:
    law(
        "Say what is wrong in words of our own.",
        lambda each: each.caught and each.file not in OUR_OWN,
        [Audience.CALLER],
    )


def test_every_field_of_the_line_of_a_request_is_documented() -> None:
    code = (ROOT / "gateway/observability/request_line.py").read_text(encoding="utf-8")
    page = (ROOT / "docs/log.md").read_text(encoding="utf-8")
    table = page.partition("| field | meaning |")[2].partition("\n\n")[0]
    written = set(re.findall(r"\b([a-z]+)=[{-]", code))

    assert set(re.findall(r"^\| `([a-z]+)`", table, re.MULTILINE)) == written
