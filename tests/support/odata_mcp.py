"""An MCP server on standard input and output, with the names and keys that OData brings along.

Run as ``python odata_mcp.py FILE``: it writes each call that it gets to FILE, one JSON object a line, as it came.
"""

import json
import sys
from pathlib import Path
from typing import Any

LONG = "list_all_purchase_orders_with_items_and_schedule_lines_of_company"
UPDATE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "entity.set": {"type": "string"},
        "values": {
            "type": "object",
            "properties": {
                "@odata.type": {"type": "string"},
                "$ref.to": {"type": "string"},
                "Sold-To Party": {"type": "string"},
            },
            "required": ["@odata.type"],
        },
    },
    "required": ["entity.set", "values"],
}
"""Keys that Claude Code lets pass: it offers no tool that has odd ones at the root of its schema."""
VALUES = set(UPDATE["properties"]["values"]["properties"])
QUERY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "$filter": {"type": "string", "description": "What to select."},
        "$top": {"type": "integer", "minimum": 1},
        "@odata.type": {"type": "string"},
        "sap:label/text": {"type": "string"},
        "values": UPDATE["properties"]["values"],
    },
    "required": ["$filter", "@odata.type"],
    "additionalProperties": False,
}
TOOLS = {
    "odata.update": UPDATE,
    "odata.query": QUERY,
    LONG: QUERY,
}


def answer(method: str, params: dict[str, Any], calls: Path) -> dict[str, Any] | None:
    """Answer a request; None to one that this server does not know."""
    match method:
        case "initialize":
            return {
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "odata", "version": "1"},
            }
        case "ping":
            return {}
        case "tools/list":
            return {"tools": [{"name": name, "inputSchema": schema} for name, schema in TOOLS.items()]}
        case "tools/call":
            with calls.open("a", encoding="utf-8") as file:
                print(json.dumps({"name": params["name"], "arguments": params["arguments"]}), file=file)
            return {"content": [{"type": "text", "text": "42 purchase orders"}]}
        case _:
            return None


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            result = answer(asked["method"], asked.get("params") or {}, Path(sys.argv[1]))
            unknown = {"code": -32601, "message": "Method not found"}
            said = {"error": unknown} if result is None else {"result": result}
            print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **said}), flush=True)


if __name__ == "__main__":
    main()
