"""Renderer of Gemini requests: ``generateContent`` bodies.

Gemini has no system messages among the turns. A late instruction goes into the user's turn, in tags. Calls have no ids:
a result has the name of its function and directly follows the call.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dialects.adapt.hosted_tools import hosted_tool
from dialects.adapt.media_turns import with_media_moved
from dialects.adapt.schema_budget import SchemaBudget
from dialects.adapt.schema_cache import cached
from dialects.adapt.schemas import for_gemini, has_parameters
from dialects.adapt.tool_choice import names_of
from dialects.adapt.tool_names import arguments_of, lost_with
from dialects.adapt.turn_order import ordered
from dialects.capabilities.models import ModelProfile, ThinkingStyle
from dialects.core.conversation import (
    JSON,
    Conversation,
    Effort,
    Family,
    Media,
    MediaKind,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from dialects.core.faults import invalid
from dialects.framing.json_text import dumps, object_from
from dialects.gemini.limits import fit_generation_config, is_known, nearest_budget, nearest_level
from dialects.gemini.vocabulary import BUDGETS, DECLARED, DIALECT, HOSTED, MEDIA_ROLES, RESOLUTIONS, mime_of
from dialects.interface import Rendered

SKIP_SIGNATURE = "skip_thought_signature_validator"
"""Google's own placeholder for the signature of a call that no Gemini model signed. The check is then skipped.

https://ai.google.dev/gemini-api/docs/thought-signatures
"""

_MODES = {ToolMode.AUTO: "AUTO", ToolMode.REQUIRED: "ANY", ToolMode.NAMED: "ANY", ToolMode.NONE: "NONE"}
_NESTED = ("generationConfig.thinkingConfig", "generationConfig", "toolConfig.functionCallingConfig", "toolConfig")
_BY_BUDGET = (Effort.LOW, Effort.MEDIUM, Effort.HIGH)
_SETTINGS = {
    "maxOutputTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "stopSequences": "stop",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}
"""The neutral names under which settings are reported that do not reach the model unchanged."""
_AS_JSON = "Unless you call a function, answer with nothing but one JSON value"


def render_request(conversation: Conversation, profile: ModelProfile) -> Rendered:
    """Render a request to a Gemini model."""
    renderer = _Renderer(conversation, profile)
    return Rendered(renderer.body(), tuple(sorted(renderer.dropped)))


class _Renderer:
    """Renders one conversation for one model. `dropped` collects the names of what could not be rendered."""

    def __init__(self, conversation: Conversation, profile: ModelProfile) -> None:
        self.dropped: set[str] = set()
        self._profile = profile
        self._own = conversation.dialect == DIALECT
        self._names: dict[str, str] = {}
        self._schemas = SchemaBudget()
        self._conversation = with_media_moved(conversation, self._media, self.dropped, MEDIA_ROLES)

    def body(self) -> JSON:
        """Render the whole body, with its fields in Google's order."""
        said = self._conversation
        instructions = (message.parts for message in said.messages if message.role is Role.SYSTEM)
        self.dropped |= {part.kind for parts in instructions for part in parts if isinstance(part, Opaque)}
        system, messages = ordered(said)
        tools = self._tools()
        has_functions = any("functionDeclarations" in tool for tool in tools)
        config = self._config(has_functions=has_functions)
        texts = [self._text(text) for text in system]
        if "responseMimeType" not in config and said.output is not None:
            texts.append(_said_format(said.output))
        body: JSON = {"contents": self._contents(messages)}
        if parts := [{"text": text} for text in texts if text]:
            body["systemInstruction"] = {"parts": parts}
        if tools:
            body["tools"] = tools
        if tools and (has_functions or self._own) and said.tool_choice is not None:
            body["toolConfig"] = {"functionCallingConfig": self._calling(said.tool_choice)}
        if config:
            body["generationConfig"] = config
        unsupported_settings = {"user": said.user, "prompt_cache_key": said.cache_key}
        self.dropped |= {name for name, value in unsupported_settings.items() if value}
        self._add_extra(body)
        return body

    def _add_extra(self, body: JSON) -> None:
        """Put the fields that only Gemini has back in their places; report those of other dialects as dropped."""
        for path, value in self._conversation.extra.items():
            if self._own and path == DECLARED:
                _add_declared(body.get("tools", []), value)
            elif not self._own or not is_known(path):
                self.dropped.add(path)
            elif not path.startswith("toolConfig.functionCallingConfig.") or "tools" in body:
                _put(body, path, value)

    def _config(self, *, has_functions: bool) -> JSON:
        sampling, profile = self._conversation.sampling, self._profile
        wanted: JSON = {
            "maxOutputTokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "topP": sampling.top_p,
            "topK": sampling.top_k,
            "stopSequences": list(sampling.stop) or None,
            "seed": sampling.seed,
            "presencePenalty": sampling.presence_penalty,
            "frequencyPenalty": sampling.frequency_penalty,
        }
        set_fields = {name: value for name, value in wanted.items() if value is not None}
        config, changed = fit_generation_config(set_fields, profile)
        self.dropped |= {_SETTINGS[name] for name in changed}
        if self._conversation.output is not None:
            config |= self._format(self._conversation.output, has_functions=has_functions)
        if thinking := self._thinking(self._conversation.reasoning):
            config["thinkingConfig"] = thinking
        return config

    def _format(self, output: OutputFormat, *, has_functions: bool) -> JSON:
        if not self._profile.json_object or (has_functions and not self._profile.schema_with_tools):
            # Models that draw refuse JSON output, and those before Gemini 3 refuse it beside functions. The prompt asks
            # for JSON instead.
            self.dropped.add("response_format")
            return {}
        if output.schema is None:
            return {"responseMimeType": "application/json"}
        schema = self._schema(output.schema, "the schema of the answer")
        if output.description:
            schema.setdefault("description", output.description)
        return {"responseMimeType": "application/json", "responseJsonSchema": schema}

    def _thinking(self, reasoning: Reasoning | None) -> JSON:
        style = self._profile.thinking
        if reasoning is None:
            return {}
        if style is ThinkingStyle.NONE:
            if reasoning.effort is not Effort.NONE:
                self.dropped.add("reasoning")
            return {}
        config = self._level(reasoning) if style is ThinkingStyle.LEVEL else self._budget(reasoning)
        shown = reasoning.shown
        if shown is None and (reasoning.budget is not None or reasoning.adaptive):
            # Anthropic's clients ask for thinking in tokens or adaptively, and expect to be shown it.
            shown = True
        return config if shown is None else {**config, "includeThoughts": shown}

    def _budget(self, reasoning: Reasoning) -> JSON:
        wanted = reasoning.budget
        if reasoning.effort is Effort.NONE or (wanted is None and reasoning.effort is not None):
            wanted = BUDGETS[reasoning.effort]
        if wanted is None:
            return {"thinkingBudget": -1} if reasoning.adaptive else {}
        budget = nearest_budget(wanted, self._profile)
        if reasoning.effort is Effort.NONE and budget:
            self.dropped.add("reasoning off")
        length = self._conversation.sampling.max_tokens
        if not self._own and length is not None and budget >= length:
            # Thoughts count towards the length and must leave room for the answer.
            budget = nearest_budget(length // 2, self._profile)
            self.dropped.add("reasoning budget")
        return {"thinkingBudget": budget}

    def _level(self, reasoning: Reasoning) -> JSON:
        effort = reasoning.effort
        if effort is None and reasoning.budget is not None:
            effort = next((name for name in _BY_BUDGET if BUDGETS[name] >= reasoning.budget), Effort.HIGH)
        if effort is None:
            return {}
        if effort is Effort.NONE:
            self.dropped.add("reasoning off")
        return {"thinkingLevel": nearest_level(effort, self._profile)}

    def _tools(self) -> list[JSON]:
        if self._conversation.tools and not self._profile.tools:
            choice = self._conversation.tool_choice
            if choice is not None and choice.mode in (ToolMode.REQUIRED, ToolMode.NAMED):
                raise invalid(
                    f"{self._profile.name} cannot call functions, but tool_choice requires a call", "tool_choice"
                )
            self.dropped.add("tools")
            return []
        declarations, tools, hosted = [], [], list[Opaque]()
        for tool in self._conversation.tools:
            match tool:
                case ToolSpec():
                    declarations.append(self._declaration(tool))
                case Opaque(dialect, payload) if dialect == DIALECT:
                    tools.append(payload)
                case Opaque():
                    hosted.append(tool)
        if self._insists_on(hosted):
            # Vertex AI takes no functions beside a search. The functions go, as the client demands the search.
            self.dropped |= {"tool_choice"} | ({"tools"} if declarations else set())
            declarations = []
        if declarations or self._conversation.tool_choice == ToolChoice(ToolMode.NONE):
            self.dropped |= {name for tool in hosted for name in lost_with(tool)}
        else:
            tools += self._hosted(hosted)
        return [{"functionDeclarations": declarations}, *tools] if declarations else tools

    def _insists_on(self, hosted: list[Opaque]) -> bool:
        """Return whether the tool choice demands one of these hosted tools, which Gemini cannot be made to use."""
        choice, functions = self._conversation.tool_choice, self._conversation.tools
        if choice is None or not hosted:
            return False
        if choice.mode is ToolMode.NAMED:
            return any(choice.name in names_of(tool) for tool in hosted)
        return choice.mode is ToolMode.REQUIRED and not any(isinstance(tool, ToolSpec) for tool in functions)

    def _hosted(self, hosted: list[Opaque]) -> list[JSON]:
        """Declare Vertex AI's own tools in place of other providers' hosted tools."""
        kinds = [(tool, hosted_tool(tool)) for tool in hosted]
        self.dropped |= {name for tool, kind in kinds if kind not in HOSTED for name in lost_with(tool)}
        return [{name: {}} for name in dict.fromkeys(HOSTED[kind] for _, kind in kinds if kind in HOSTED)]

    def _declaration(self, tool: ToolSpec) -> JSON:
        if tool.strict:
            self.dropped.add("tools[].strict")
        if tool.cache:
            self.dropped.add("cache_control")
        declaration: JSON = {"name": tool.name}
        if tool.description:
            declaration["description"] = tool.description
        if has_parameters(tool.parameters):
            schema = self._schema(tool.parameters, f"parameters of tool {tool.name!r}")
            declaration["parametersJsonSchema"] = {"type": "object", **schema}
        return declaration

    def _schema(self, schema: Mapping[str, Any], where: str) -> JSON:
        adapted = cached(for_gemini, schema, self._schemas, where)
        self.dropped |= {f"schema {name}" for name in adapted.dropped}
        return dict(adapted.schema)

    def _calling(self, choice: ToolChoice) -> JSON:
        if choice.parallel is False:
            self.dropped.add("parallel_tool_calls")
        config: JSON = {"mode": _MODES[choice.mode]}
        if choice.mode is ToolMode.NAMED:
            config["allowedFunctionNames"] = [choice.name]
        return config

    def _contents(self, messages: Iterable[Message]) -> list[JSON]:
        contents: list[JSON] = []
        for message in messages:
            if message.role is Role.ASSISTANT:
                role, rendered = "model", self._said(message.parts)
            else:
                role, rendered = "user", self._asked(message.parts)
            if rendered:
                contents.append({"role": role, "parts": rendered})
        if not contents:
            raise invalid(f"messages contains nothing that model {self._profile.name} supports", "messages")
        if self._profile.thinking is ThinkingStyle.LEVEL:
            sign_calls_of_others(contents)
        return contents

    def _said(self, parts: Iterable[Part]) -> list[JSON]:
        """Render a turn of the model. A signature goes on the part after its thinking, as in Gemini's own turns."""
        rendered: list[JSON] = []
        signature = ""
        for part in parts:
            if isinstance(part, Thinking):
                if signature:
                    rendered.append({"text": "", "thoughtSignature": signature})
                signature = self._thought(part, rendered)
            elif piece := self._part(part):
                rendered.append({**piece, "thoughtSignature": signature} if signature else piece)
                signature = ""
        if signature:
            rendered.append({"text": "", "thoughtSignature": signature})
        return rendered

    def _thought(self, thinking: Thinking, rendered: list[JSON]) -> str:
        if thinking.family is not Family.GEMINI:
            self.dropped.add("thinking")
            return ""
        if thinking.text:
            rendered.append({"text": thinking.text, "thought": True})
        return thinking.signature

    def _asked(self, parts: Iterable[Part]) -> list[JSON]:
        """Render a turn of the user. Attachments of tool results stand after all results."""
        results: list[JSON] = []
        others: list[JSON] = []
        for part in parts:
            if isinstance(part, ToolResult):
                results.append(self._result(part, others))
            elif piece := self._part(part):
                others.append(piece)
        return [*results, *others]

    def _result(self, result: ToolResult, beside: list[JSON]) -> JSON:
        if result.cache:
            self.dropped.add("cache_control")
        texts: list[str] = []
        for part in result.parts:
            match part:
                case Text():
                    texts.append(self._text(part))
                case _ if piece := self._part(part):
                    beside.append(piece)
        response = _response("\n".join(texts), result.is_error)
        return {"functionResponse": {"name": self._names[result.call_id], "response": response}}

    def _part(self, part: Part) -> JSON | None:
        match part:
            case Text():
                text = self._text(part)
                return {"text": text} if text else None
            case Refusal(text):
                return {"text": text} if text else None
            case Media():
                return self._media(part)
            case ToolCall():
                return self._call(part)
            case Opaque(dialect, payload) if dialect == DIALECT:
                return payload
            case Opaque():
                self.dropped.add(part.kind)
            case Thinking():
                self.dropped.add("thinking")
            case ToolResult():
                self.dropped.add("tool result")
        return None

    def _call(self, call: ToolCall) -> JSON:
        if call.cache:
            self.dropped.add("cache_control")
        self._names[call.id] = call.name
        return {"functionCall": {"name": call.name, "args": arguments_of(call, self.dropped)}}

    def _text(self, text: Text) -> str:
        if text.cache:
            # Gemini caches without being asked.
            self.dropped.add("cache_control")
        return text.text

    def _media(self, media: Media) -> JSON:
        seen = {
            MediaKind.IMAGE: self._profile.images,
            MediaKind.DOCUMENT: self._profile.documents,
            MediaKind.AUDIO: self._profile.audio,
            MediaKind.VIDEO: self._profile.audio,
        }
        if not seen[media.kind]:
            raise invalid(f"{self._profile.name} does not support parts of the kind {media.kind.value}", "contents")
        if media.cache:
            self.dropped.add("cache_control")
        place = {"data": media.data} if media.data else {"fileUri": media.url}
        part: JSON = {"inlineData" if media.data else "fileData": {"mimeType": mime_of(media), **place}}
        if self._own and media.name:
            part["inlineData" if media.data else "fileData"]["displayName"] = media.name
        elif media.name:
            self.dropped.add("file name")
        if self._own and media.detail in RESOLUTIONS:
            part["mediaResolution"] = {"level": RESOLUTIONS[media.detail]}
        elif media.detail not in ("", "auto"):
            self.dropped.add("image detail")
        return part


def sign_calls_of_others(contents: list[JSON]) -> None:
    """Add a placeholder signature to the calls of the current turn that no Gemini model signed: Gemini 3 requires one.

    The current turn is what follows the last text of the user. Of parallel calls, only the first needs a signature.
    """
    for content in reversed(contents):
        parts = [part for part in content["parts"] if isinstance(part, dict)]
        calls = [part for part in parts if "functionCall" in part or "function_call" in part]
        if calls and not {"thoughtSignature", "thought_signature"} & calls[0].keys():
            calls[0]["thoughtSignature"] = SKIP_SIGNATURE
        answers = any("functionResponse" in part or "function_response" in part for part in parts)
        if content.get("role") != "model" and not answers:
            return


def _said_format(output: OutputFormat) -> str:
    return (
        f"{_AS_JSON}." if output.schema is None else f"{_AS_JSON} that fits this schema: {dumps(dict(output.schema))}"
    )


def _response(text: str, is_error: bool) -> JSON:
    """Wrap the result of a function. An object is sent as it is, unless it looks like a wrapper itself."""
    if is_error:
        return {"error": text}
    loaded = object_from(text) if text.lstrip().startswith("{") else None
    if not loaded or loaded.keys() in ({"result"}, {"output"}, {"error"}):
        return {"result": text if loaded is None else loaded or text}
    return loaded


def _add_declared(tools: list[JSON], declared: Mapping[str, Any]) -> None:
    for tool in tools:
        for declaration in tool.get("functionDeclarations", []):
            declaration.update(declared.get(declaration["name"], {}))


def _put(body: JSON, path: str, value: Any) -> None:
    """Set a field by its path. A path that leads to no known object names a field of the body itself."""
    within = next((prefix for prefix in _NESTED if path.startswith(f"{prefix}.")), "")
    target = body
    for name in within.split(".") if within else ():
        target = target.setdefault(name, {})
    target[path.removeprefix(f"{within}.") if within else path] = value
