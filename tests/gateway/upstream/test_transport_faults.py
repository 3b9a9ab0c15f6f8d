"""What callers are told of SAP AI Core, each said in one place."""

import ast
from collections import Counter
from pathlib import Path

from gateway.upstream import transport_faults


def messages() -> Counter[str]:
    """Count the texts with which the ways to SAP AI Core make faults."""
    calls = [
        node
        for file in Path(transport_faults.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Fault"
    ]
    texts = [argument for call in calls for argument in call.args if isinstance(argument, ast.Constant)]
    return Counter(str(text.value) for text in texts)


def test_no_fault_of_the_ways_to_sap_ai_core_is_worded_in_two_places() -> None:
    counted = messages()

    assert counted[transport_faults.UNREACHABLE.message] == 1
    assert [text for text, count in counted.items() if count > 1] == []
