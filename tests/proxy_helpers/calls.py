"""One call of a tool, in two vendors' words."""

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
TOOL_USE = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}}
