"""Fields that older api-versions of Azure do not know.

https://learn.microsoft.com/en-us/azure/ai-foundry/openai/api-version-lifecycle
"""

import re

from emulator.errors import azure
from emulator.world import Json

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SINCE = {
    "functions": "2023-07-01",
    "function_call": "2023-07-01",
    "tools": "2023-12-01",
    "tool_choice": "2023-12-01",
    "response_format": "2023-12-01",
    "seed": "2023-12-01",
    "logprobs": "2024-02-15",
    "top_logprobs": "2024-02-15",
    "dimensions": "2024-02-01",
    "encoding_format": "2024-02-01",
    "parallel_tool_calls": "2024-08-01",
    "stream_options": "2024-09-01",
    "max_completion_tokens": "2024-09-01",
    "store": "2024-10-01",
    "metadata": "2024-10-01",
    "reasoning_effort": "2024-12-01",
    "prediction": "2024-12-01",
}
_SCHEMAS_SINCE = "2024-08-01"
_PARTS_SINCE = "2023-12-01"


def check(body: Json, version: str) -> None:
    """Refuse fields that came with a later version. A version without a date knows all fields."""
    found = _DATE.match(version)
    if found is None:
        return
    asked = found[0]
    later = [name for name in body if _SINCE.get(name, "") > asked]
    if later:
        many = "s" if len(later) > 1 else ""
        raise azure(f"Unrecognized request argument{many} supplied: {', '.join(sorted(later))}")
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_schema" and asked < _SCHEMAS_SINCE:
        raise azure(f"response_format value as json_schema is enabled only for api versions {_SCHEMAS_SINCE} and later")
    messages = body.get("messages")
    if isinstance(messages, list) and asked < _PARTS_SINCE and any(_is_new(message) for message in messages):
        raise azure("[] is not of type 'string' - 'messages.0.content'", "messages")


def _is_new(message: object) -> bool:
    return isinstance(message, dict) and (isinstance(message.get("content"), list) or message.get("role") == "tool")
