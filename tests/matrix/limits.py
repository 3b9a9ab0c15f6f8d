"""What cannot be carried between some clients and some backends, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.matrix.scenes import End, Expect

CLAUDE_35 = "anthropic--claude-3.5-sonnet"
CLAUDE_45 = "anthropic--claude-4.5-sonnet"
CLAUDE_48 = "anthropic--claude-4.8-opus"
NOVA = "amazon--nova-pro"
GEMINI_25 = "gemini-2.5-flash-lite"
GEMINI_35 = "gemini-3.5-flash"
GPT_41 = "gpt-4.1"
GPT_5 = "gpt-5"
GPT_55 = "gpt-5.5"
CODEX = "gpt-5.3-codex"

CHAT, RESPONSES, MESSAGES, GEMINI = "openai-chat", "openai-responses", "anthropic-messages", "gemini"
ORCHESTRATION = "orchestration"
_THINKING = ("thinking", "thinking, then tools")
_UNSTOPPED = {"end": End.DONE, "exact": "alpha beta HALT gamma"}


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that cannot be carried; an empty selection of clients, models or dialects of backends means all.

    What is *dropped* must be named in the header `x-proxy-dropped`; *changes* is how what is expected differs.
    """

    why: str
    scenes: tuple[str, ...]
    clients: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    dialects: tuple[str, ...] = ()
    dropped: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)

    def holds(self, scene: str, client: str, model: str, dialect: str) -> bool:
        """Whether this is about a cell."""
        chosen = ((self.clients, client), (self.models, model), (self.dialects, dialect))
        return scene in self.scenes and all(not names or name in names for names, name in chosen)

    def expect(self, whole: tuple[Expect, ...]) -> tuple[Expect, ...]:
        """Say what the answers still must be."""
        return tuple(replace(each, **self.changes) for each in whole)


_UNSEARCHED = "The model does not search the web: there is nobody on SAP AI Core who would."
_NO_SEARCH = (CLAUDE_35, CLAUDE_45, CLAUDE_48, NOVA, GPT_41, GPT_5, GPT_55, CODEX)

LIMITS = (
    *(
        Limit(_UNSEARCHED, ("web search",), clients, _NO_SEARCH, dropped=dropped, changes={"cited": False})
        for clients, dropped in (
            ((CHAT, RESPONSES), "tool web_search"),
            ((MESSAGES,), "tool web_search_20250305"),
            ((GEMINI,), "tool googleSearch"),
        )
    ),
    *(
        Limit(
            "Orchestration declares functions alone.",
            ("web search",),
            clients,
            (GEMINI_35,),
            (ORCHESTRATION,),
            dropped=dropped,
            changes={"cited": False},
        )
        for clients, dropped in (
            ((CHAT, RESPONSES), "tool web_search"),
            ((MESSAGES,), "tool web_search_20250305"),
            ((GEMINI,), "tool googleSearch"),
        )
    ),
    Limit(
        "Orchestration tells Claude alone of cache marks.",
        ("cache marks",),
        clients=(CHAT, MESSAGES),
        models=(NOVA,),
        dialects=(ORCHESTRATION,),
        dropped="cache_control",
        changes={"cached": False},
    ),
    Limit(
        "The model cannot think.",
        _THINKING,
        models=(NOVA,),
        dialects=(ORCHESTRATION,),
        dropped="reasoning_effort",
        changes={"thoughts": False},
    ),
    Limit(
        "The model cannot think.",
        _THINKING,
        models=(CLAUDE_35, NOVA),
        dropped="thinking",
        changes={"thoughts": False},
    ),
    Limit(
        "The model cannot think.",
        _THINKING,
        models=(GPT_41,),
        dropped="reasoning_effort",
        changes={"thoughts": False},
    ),
    Limit(
        "Claude takes thoughts back only with their signature, for which chat completions has no place.",
        ("thinking, then tools",),
        clients=(CHAT,),
        models=(CLAUDE_45, CLAUDE_48),
        dropped="thinking",
    ),
    Limit(
        "Orchestration takes thoughts back only with their signature, for which chat completions has no place.",
        ("thinking, then tools",),
        clients=(CHAT,),
        models=(GEMINI_35,),
        dialects=(ORCHESTRATION,),
        dropped="thinking",
    ),
    Limit(
        "Chat completions has no word to ask for thoughts, and Gemini shows none unasked.",
        _THINKING,
        clients=(CHAT,),
        models=(GEMINI_25, GEMINI_35),
        dialects=(GEMINI,),
        changes={"thoughts": False},
    ),
    Limit(
        "Chat completions has no word to ask for thoughts, and the model shows none unasked: it only counts them.",
        _THINKING,
        clients=(CHAT,),
        models=(GPT_55, CODEX),
        dialects=(RESPONSES,),
        changes={"thoughts": False, "reasoning": True},
    ),
    Limit(
        "The model is asked in chat completions, where GPT shows no thoughts: it only counts them.",
        _THINKING,
        models=(GPT_5, GPT_55),
        dialects=(CHAT, ORCHESTRATION),
        changes={"thoughts": False, "reasoning": True},
    ),
    Limit(
        "Vertex AI takes files without names.",
        ("document",),
        clients=(CHAT, RESPONSES, MESSAGES),
        dialects=(GEMINI,),
        dropped="file name",
    ),
    Limit(
        "The model caches prompts by itself, and takes no marks.",
        ("cache marks",),
        clients=(CHAT, MESSAGES),
        models=(GEMINI_25, GEMINI_35, GPT_41, GPT_5, GPT_55, CODEX),
        dropped="cache_control",
    ),
    Limit(
        "The client's dialect has no cache marks, and on Bedrock nothing is cached without.",
        ("cache marks",),
        clients=(RESPONSES, GEMINI),
        models=(CLAUDE_35, CLAUDE_45, CLAUDE_48, NOVA),
        changes={"cached": False},
    ),
    Limit(
        "Responses has no stop sequences: one that a client sends all the same has no effect.",
        ("stop sequence",),
        clients=(RESPONSES,),
        dropped="stop",
        changes=_UNSTOPPED,
    ),
    Limit(
        "The model is asked in Responses, which has no stop sequences.",
        ("stop sequence",),
        dialects=(RESPONSES,),
        dropped="stop",
        changes=_UNSTOPPED,
    ),
    Limit(
        "The model takes no stop sequences.",
        ("stop sequence",),
        models=(GPT_5, GPT_55),
        dialects=(CHAT, ORCHESTRATION),
        dropped="stop",
        changes=_UNSTOPPED,
    ),
    Limit(
        "The model stops there, but does not tell that from the end of its answer.",
        ("stop sequence",),
        clients=(MESSAGES,),
        dialects=(GEMINI, CHAT, ORCHESTRATION),
        changes={"end": End.DONE},
    ),
)
