"""The list of models that Codex requests, with each model's abilities and instructions.

See codex-rs/protocol in https://github.com/openai/codex. Codex rejects the whole list if one model lacks a required
field. The list has the fields of all known versions, since one may require what another ignores.
"""

import re
from collections.abc import Sequence
from typing import Final

from dialects.capabilities.model_info import ModelInfo
from dialects.capabilities.models import ThinkingStyle, Vendor, canonical
from dialects.core.conversation import JSON

_SHIPPED: Final = re.compile(r"gpt-(5-[5-9]|[6-9])")
"""Models that Codex has its own description of. A list with one of them would replace that description."""
_PRIORITY = 100
"""Codex sorts models by this number. Those it knows itself have lower ones and come first."""
_OUTPUT = {"mode": "tokens", "limit": 10_000}
"""How much of a command's output is sent to the model."""
_EFFORTS = {
    "none": "Answers at once",
    "minimal": "Thinks as little as it can",
    "low": "Thinks briefly",
    "medium": "Thinks as long as most tasks need",
    "high": "Thinks long about hard problems",
    "xhigh": "Thinks as long as it can",
}
_USUAL = "medium"
_INSTRUCTIONS: Final = """\
You are a coding agent. You run in Codex, in a terminal on the user's machine, and work in the user's folder with the \
tools that you are given.

# How to work
- Keep going until the task is done. Ask only when you cannot find out by yourself and a wrong guess would cost much.
- Look before you change: search with `rg` and `rg --files`, and read the files that matter.
- Obey the AGENTS.md files of the folders you work in; one that lies deeper outranks one further up, and what the \
user says outranks both.
- Make the smallest change that solves the cause of the problem, in the style of the code around it. Leave alone what \
is not part of the task, and say so if you notice other faults.
- Changes that you did not make are the user's: never revert them. Never use `git reset --hard`, `git checkout --` or \
another command that destroys work, unless the user asks for it. Commit only when asked.
- Check what you did: run the tests, linters or builds that the project has, the most specific first.
- Before a group of commands, say in a sentence what you are about to do. For work of several steps keep a plan with \
the tool for plans, if there is one.
- Where a command is refused by the sandbox and matters, ask for approval by the means that the tool offers.

# How to answer
- Write plain, short text: what you did and where, what you checked, what is left. No files quoted at length.
- Name files by their path, with a line number where that helps (`src/app.py:42`), and put commands and code in \
backticks.
- If something did not work, say so.
"""


def render_codex_models(models: Sequence[ModelInfo]) -> JSON:
    """List the models that Codex can use, without those it has its own description of."""
    return {"models": [_model(model) for model in models if _is_listed(model)]}


def _is_listed(model: ModelInfo) -> bool:
    profile = model.profile
    return profile.tools and not profile.embeds and not _SHIPPED.match(canonical(profile.name))


def _model(model: ModelInfo) -> JSON:
    """Describe one model."""
    profile = model.profile
    is_gpt = profile.vendor is Vendor.OPENAI
    thinks = profile.thinking is not ThinkingStyle.NONE
    efforts = (profile.efforts if is_gpt else ("low", "medium", "high")) if thinks else ()
    return {
        "slug": model.name,
        "display_name": model.name,
        "description": model.advice or f"{model.name} on SAP AI Core",
        "default_reasoning_level": _USUAL if thinks else None,
        "supported_reasoning_levels": [{"effort": each, "description": _EFFORTS[each]} for each in efforts],
        "shell_type": "unified_exec",
        "visibility": "list",
        "supported_in_api": True,
        "priority": _PRIORITY,
        "availability_nux": None,
        "upgrade": None,
        "base_instructions": _INSTRUCTIONS,
        "supports_reasoning_summaries": thinks,
        "support_verbosity": profile.verbosity,
        "default_verbosity": None,
        "apply_patch_tool_type": "freeform" if is_gpt else None,
        "truncation_policy": _OUTPUT,
        "supports_parallel_tool_calls": True,
        "context_window": model.max_input,
        "experimental_supported_tools": [],
        "input_modalities": ["text", *(["image"] if "image" in model.input_types else [])],
    }
