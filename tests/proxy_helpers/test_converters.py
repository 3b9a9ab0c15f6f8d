"""The converters that convert no body, and the signatures of all."""

import inspect

import pytest

from proxy_helpers import Converters


class TestStrToInt:
    @pytest.mark.parametrize(("text", "number"), [("12", 12), ("-3", -3), (" 7 ", 7)])
    def test_it_reads_whole_numbers(self, text, number):
        assert number == Converters.str_to_int(text)

    @pytest.mark.parametrize("text", ["abc", "12.34", ""])
    def test_it_refuses_the_rest(self, text):
        with pytest.raises(ValueError, match=f"^Cannot convert '{text}' to int\\.$"):
            Converters.str_to_int(text)


SIGNATURES = {
    "str_to_int": "(s: str) -> int",
    "convert_openai_to_claude": "(payload: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_openai_to_claude37": "(payload: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_openai_to_gemini": "(payload: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_claude_request_to_openai": "(payload: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_claude_request_to_gemini": "(payload: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_claude_request_for_bedrock": "(payload: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_claude_to_openai": "(response: dict[str, typing.Any], model: str) -> dict[str, typing.Any]",
    "convert_claude37_to_openai": (
        "(response: dict[str, typing.Any], model_name: str = 'claude-3.7') -> dict[str, typing.Any]"
    ),
    "convert_gemini_to_openai": (
        "(response: dict[str, typing.Any], model_name: str = 'gemini-pro') -> dict[str, typing.Any]"
    ),
    "convert_gemini_response_to_claude": (
        "(response: dict[str, typing.Any], model_name: str = 'gemini-pro') -> dict[str, typing.Any]"
    ),
    "convert_openai_response_to_claude": "(response: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_claude_chunk_to_openai": "(chunk: str, model: str) -> str | None",
    "convert_claude37_chunk_to_openai": (
        "(chunk: dict[str, typing.Any] | str, model_name: str, stream_id: str | None = None) -> str | None"
    ),
    "convert_gemini_chunk_to_openai": "(chunk: dict[str, typing.Any] | str, model_name: str) -> str | None",
    "convert_gemini_chunk_to_claude_delta": "(chunk: dict[str, typing.Any]) -> dict[str, typing.Any] | None",
    "convert_openai_chunk_to_claude_delta": "(chunk: dict[str, typing.Any]) -> dict[str, typing.Any] | None",
}


@pytest.mark.parametrize(("name", "signature"), SIGNATURES.items())
def test_the_public_signatures_stay(name, signature):
    assert signature == str(inspect.signature(getattr(Converters, name)))
    assert isinstance(inspect.getattr_static(Converters, name), staticmethod)
