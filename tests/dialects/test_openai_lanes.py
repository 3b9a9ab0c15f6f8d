"""What OpenAI's own clients may say that OpenAI's models refuse: the lanes change that, and nothing else."""

import pytest

from dialects import openai_chat
from dialects.models import profile_for

HELLO = {"messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("model", "stops", "kept", "dropped"),
    [
        ("gpt-5", "END", None, ("stop",)),
        ("o3", ["END"], None, ("stop",)),
        ("gpt-5", [], None, ()),
        ("gpt-4.1", [], None, ()),
        ("gpt-4.1", "END", "END", ()),
        ("gpt-4.1", list("abcd"), list("abcd"), ()),
        ("gpt-4.1", list("abcde"), list("abcd"), ("stop",)),
        ("meta--llama3", list("abcde"), list("abcde"), ()),
    ],
)
def test_stop_sequences_are_as_many_as_the_model_takes(model, stops, kept, dropped):
    body = {**HELLO, "stop": stops}
    passed = openai_chat.forward_request(body, profile_for(model))
    asked = openai_chat.render_request(openai_chat.parse_request(body), profile_for(model))

    assert (kept, dropped) == (passed.body.get("stop"), passed.dropped)
    assert dropped == asked.dropped
    assert ([kept] if isinstance(kept, str) else kept) == asked.body.get("stop")
