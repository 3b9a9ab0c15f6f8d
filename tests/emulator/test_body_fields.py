"""How bodies are read: base64 as strictly as each provider reads it."""

import pytest

from emulator.body_fields import decode_base64, decode_google_base64


@pytest.mark.parametrize("data", ["+/+/", "-_-_", "-_-_-w==", "-_-_-w"])
def test_google_takes_either_alphabet_padded_or_not(data):
    assert decode_google_base64(data) in (b"\xfb\xff\xbf", b"\xfb\xff\xbf\xfb")


@pytest.mark.parametrize("data", ["-_-_", "+/+/+w", "a", None, 7])
def test_the_others_take_one_alphabet_and_padding(data):
    assert decode_base64(data) is None


@pytest.mark.parametrize("data", ["a", "!", None, 7])
def test_what_is_no_base64_is_none_to_google_either(data):
    assert decode_google_base64(data) is None
