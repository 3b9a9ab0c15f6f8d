"""How bodies are read: base64 as strictly as each provider reads it."""

import pytest

from emulator.reading import decoded, decoded_by_google


@pytest.mark.parametrize("data", ["+/+/", "-_-_", "-_-_-w==", "-_-_-w"])
def test_google_takes_either_alphabet_padded_or_not(data):
    assert decoded_by_google(data) in (b"\xfb\xff\xbf", b"\xfb\xff\xbf\xfb")


@pytest.mark.parametrize("data", ["-_-_", "+/+/+w", "a", None, 7])
def test_the_others_take_one_alphabet_and_padding(data):
    assert decoded(data) is None


@pytest.mark.parametrize("data", ["a", "!", None, 7])
def test_what_is_no_base64_is_none_to_google_either(data):
    assert decoded_by_google(data) is None
