"""What kind of model a name speaks of."""

import pytest

from proxy_helpers import Detector


class TestIsClaudeModel:
    @pytest.mark.parametrize(
        "name",
        ["claude-3-opus", "Claude-X", "CLAUDE", "Sonnet-4", "sonn", "clau", "opus-4.5", "OPUS", "3.5-haiku", "Haiku"],
    )
    def test_any_part_of_a_name_in_any_case_will_do(self, name):
        assert Detector.is_claude_model(name) is True

    @pytest.mark.parametrize("name", [None, "", "gpt-5", "gemini-2.5-pro", "o3", "son", "amazon--nova-pro"])
    def test_others_are_not(self, name):
        assert Detector.is_claude_model(name) is False


class TestIsClaude37Or4:
    @pytest.mark.parametrize(
        "name",
        [
            "claude-3.7-sonnet",
            "claude-3-7-sonnet-20250219",
            "anthropic--claude-3.7-sonnet",
            "anthropic--claude-4-sonnet",
            "claude-sonnet-4-20250514",
            "claude-opus-4-1-20250805",
            "CLAUDE-4.5-SONNET",
            "sonnet-4",
            "haiku-4.5",
            "opus-4",
            "claude-9",
            "claude-10-opus",
            "claude-opus-4-10",
            "claude",
            "claude-sonnet-latest",
            "claude-sonnet[1m]",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "claude-opus-4-1@20250805",
        ],
    )
    def test_these_are(self, name):
        assert Detector.is_claude_37_or_4(name) is True

    @pytest.mark.parametrize(
        "name",
        [
            "claude-2",
            "claude-2.1",
            "claude-instant-1.2",
            "claude-instant-v1",
            "claude-3-haiku",
            "claude-3-haiku-20240307",
            "claude-3-sonnet",
            "claude-3-opus",
            "claude-3.5-sonnet",
            "claude-3-5-sonnet-20241022",
            "anthropic--claude-3.5-sonnet",
            "anthropic.claude-3-5-sonnet-20241022-v2:0",
            "claude-3-5-sonnet-v2@20241022",
            "claude-3.6-sonnet",
            "3.5-sonnet",
            "gpt-4",
            "gemini-3.7",
            "",
            None,
        ],
    )
    def test_these_are_not(self, name):
        assert Detector.is_claude_37_or_4(name) is False


class TestIsGeminiModel:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [("gemini-2.5-pro", True), ("GEMINI-pro", True), ("models/Gemini-1.5", True), ("gpt-5", False), (None, False)],
    )
    def test_it_is_by_name_in_any_case(self, name, expected):
        assert Detector.is_gemini_model(name) is expected
