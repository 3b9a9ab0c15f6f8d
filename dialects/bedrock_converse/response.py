"""Parser of Bedrock Converse responses.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from dialects.adapt.claude_tools import JSON_TOOL, settled
from dialects.bedrock_converse.vocabulary import DIALECT, as_base64, parse_stop, parse_usage
from dialects.core.conversation import JSON, Completion, Family, Opaque, Part, Text, Thinking, ToolCall
from dialects.framing.json_text import dumps


def parse_response(body: JSON, token: str) -> Completion:
    """Parse a whole response."""
    parts = tuple(_part(block) for block in body["output"]["message"]["content"])
    return Completion(
        id=f"msg_{token}",
        parts=parts,
        stop=settled(parse_stop(body), any(isinstance(part, ToolCall) for part in parts)),
        usage=parse_usage(body.get("usage") or {}),
    )


def _part(block: JSON) -> Part:
    """Parse one block of an answer."""
    match block:
        case {"text": str(text)}:
            return Text(text)
        case {"toolUse": {"name": name, "input": arguments}} if name == JSON_TOOL:
            return Text(dumps(arguments))
        case {"toolUse": {"toolUseId": str(id), "name": str(name), "input": arguments}}:
            return ToolCall(id, name, dumps(arguments))
        case {"reasoningContent": {"reasoningText": dict() as said}}:
            return Thinking(str(said.get("text") or ""), str(said.get("signature") or ""), family=Family.CLAUDE)
        case {"reasoningContent": {"redactedContent": data}}:
            return Thinking(redacted=as_base64(data), family=Family.CLAUDE)
        case _:
            return Opaque(DIALECT, dict(block))
