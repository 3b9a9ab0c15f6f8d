"""FieldReader of OpenAI's requests: what is data, what is an address, and what is nothing."""

import pytest

from dialects import openai_chat
from dialects.capabilities.models import profile_for
from dialects.core.faults import FaultError


def _user(content):
    return {"model": "m", "messages": [{"role": "user", "content": content}]}


@pytest.mark.parametrize("url", ["https://x.y/z.png", "data:text/plain,a%20b", "data:image/png;base64,AAAA"])
def test_addresses_and_data_are_told_apart(url):
    (part,) = openai_chat.parse_request(_user([{"type": "image_url", "image_url": url}])).messages[0].parts

    assert bool(part.url) != bool(part.data)
    rendered = openai_chat.render_request(
        openai_chat.parse_request(_user([{"type": "image_url", "image_url": {"url": url}}])), profile_for("gpt-4o")
    )
    said = rendered.body["messages"][0]["content"][0]["image_url"]["url"]
    assert said == url.replace(",a%20b", ";base64,YSBi")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:nonsense"}},
        {"type": "image_url"},
        {"type": "input_audio"},
        {"text": "x"},
    ],
)
def test_a_part_that_says_nothing_is_refused(part):
    with pytest.raises(FaultError):
        openai_chat.parse_request(_user([part]))
