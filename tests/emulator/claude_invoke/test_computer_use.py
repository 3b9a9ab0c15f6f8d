"""The tools for using a computer: each is known to some models, and to them with its beta."""

import pytest

from tests.emulator.client import OLD_SONNET, OPUS, SONNET, request

OLD, NEW = "20250124", "20251124"


@pytest.mark.parametrize(
    ("model", "tool", "betas", "status"),
    [
        (SONNET, OLD, ["computer-use-2025-01-24"], 200),
        (SONNET, OLD, [], 400),
        (SONNET, OLD, ["computer-use-2025-11-24"], 400),
        (SONNET, NEW, ["computer-use-2025-11-24"], 400),
        (OPUS, NEW, ["computer-use-2025-11-24"], 200),
        (OPUS, OLD, ["computer-use-2025-01-24"], 400),
        (OLD_SONNET, OLD, ["computer-use-2025-01-24"], 400),
    ],
)
def test_a_computer_is_known_to_a_model_with_its_beta(eu, model, tool, betas, status):
    path, body = request("invoke", model, "a")
    computer = {"type": f"computer_{tool}", "name": "computer", "display_width_px": 9, "display_height_px": 9}
    more = {"max_tokens": 100, "tools": [computer], "anthropic_beta": betas}

    answer = eu.post(model, path, body | more)

    assert status == answer.status_code, answer.text
    assert status == 200 or f"tools.0: Input tag 'computer_{tool}' found using 'type'" in answer.json()["message"]
