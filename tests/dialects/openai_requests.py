"""Bodies as clients of OpenAI's two dialects send them, and as hypothesis imagines them."""

from hypothesis import strategies as st

PNG = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"a": {"const": 1}, "b": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}},
    "propertyNames": {"pattern": "^[a-z]$"},
}

GROUP = {
    "type": "namespace",
    "name": "tools",
    "description": "d",
    "tools": [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}],
}
CODEX = {
    "model": "my-gpt",
    "instructions": "Be brief.",
    "input": [
        {"type": "message", "id": "m1", "role": "developer", "content": [{"type": "input_text", "text": "sandboxed"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        {
            "type": "function_call",
            "id": "fc_1",
            "status": "completed",
            "call_id": "call_a",
            "name": "get_weather",
            "namespace": "tools",
            "arguments": "{}",
        },
        {"type": "function_call_output", "call_id": "call_a", "output": "22C"},
    ],
    "tools": [{"type": "function", "name": "now", "parameters": None, "strict": None}, GROUP, {"type": "web_search"}],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
    "stream": True,
    "prompt_cache_key": "k",
    "client_metadata": {"x": "y"},
}
"""What the Codex command line sends."""

text = st.text(max_size=6)
some = st.text(min_size=1, max_size=6)
ids = st.sampled_from(["call_a", "call_b", "call_c"])
names = st.sampled_from(["f", "g", "get_weather"])
arguments = st.sampled_from(["", "{}", '{"a": 1}', '{"a": "\u2028"}'])


def _chat_user():
    part = st.one_of(
        some.map(lambda words: {"type": "text", "text": words}),
        st.just({"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}),
        st.just({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}}),
    )
    content = text | st.lists(part, min_size=1, max_size=3)
    return st.builds(lambda said: [{"role": "user", "content": said}], content)


def _chat_turn():
    """A model's turn with calls, perhaps answered."""
    call = st.builds(
        lambda own, name, said: {"id": own, "type": "function", "function": {"name": name, "arguments": said}},
        ids,
        names,
        arguments,
    )
    calls = st.lists(call, min_size=1, max_size=3, unique_by=lambda each: each["id"])
    return st.builds(
        lambda words, made, answered: [
            {"role": "assistant", "content": words, "tool_calls": made},
            *({"role": "tool", "tool_call_id": each["id"], "content": "22C"} for each in made[:answered]),
        ],
        st.none() | text,
        calls,
        st.integers(0, 3),
    )


def _chat_words():
    return st.builds(
        lambda role, words: [{"role": role, "content": words}],
        st.sampled_from(["system", "developer", "assistant"]),
        some,
    )


chat_tools = st.lists(
    st.sampled_from(
        [
            {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "description": "d", "strict": False}},
            {"type": "function", "function": {"name": "g"}},
            {"type": "function", "function": {"name": "get_weather", "parameters": {}}},
        ]
    ),
    max_size=3,
)
chat_bodies = st.fixed_dictionaries(
    {
        "model": st.just("m"),
        "messages": st.lists(st.one_of(_chat_user(), _chat_turn(), _chat_words()), min_size=1, max_size=5).map(
            lambda turns: [message for turn in turns for message in turn]
        ),
    },
    optional={
        "tools": chat_tools,
        "tool_choice": st.sampled_from(
            ["auto", "none", "required", {"type": "function", "function": {"name": "f"}}],
        ),
        "parallel_tool_calls": st.booleans(),
        "max_tokens": st.integers(1, 100),
        "max_completion_tokens": st.integers(1, 100_000),
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "presence_penalty": st.floats(-2, 2),
        "frequency_penalty": st.floats(-2, 2),
        "seed": st.integers(0, 9),
        "stop": some | st.lists(some, max_size=3),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh"]),
        "response_format": st.sampled_from(
            [
                {"type": "text"},
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"name": "r", "schema": SCHEMA, "strict": True}},
            ]
        ),
        "stream": st.booleans(),
        "user": text,
        "logit_bias": st.just({"50256": -100}),
        "metadata": st.just({"a": "b"}),
        "verbosity": st.just("low"),
        "invented": st.just([1]),
    },
)


def _items():
    message = st.builds(
        lambda role, words: [{"type": "message", "role": role, "content": words}],
        st.sampled_from(["user", "developer", "system"]),
        some
        | st.lists(
            st.sampled_from(
                [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": PNG, "detail": "auto"}]
            ),
            min_size=1,
            max_size=2,
        ),
    )
    said = some.map(
        lambda words: [
            {"type": "message", "role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": words}]}
        ]
    )
    thought = st.sampled_from(
        [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}, {"type": "reasoning"}]
    )
    call = st.builds(
        lambda own, name, said, thoughts, answered: [
            *thoughts,
            {"type": "function_call", "id": "fc_1", "call_id": own, "name": name, "arguments": said},
            *([{"type": "function_call_output", "call_id": own, "output": "22C"}] if answered else []),
        ],
        ids,
        names,
        arguments,
        st.lists(thought, max_size=1),
        st.booleans(),
    )
    return st.one_of(message, said, call)


responses_bodies = st.fixed_dictionaries(
    {
        "model": st.just("m"),
        "input": some
        | st.lists(_items(), min_size=1, max_size=4).map(lambda turns: [item for turn in turns for item in turn]),
    },
    optional={
        "instructions": some,
        "tools": st.lists(
            st.sampled_from(
                [
                    {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False},
                    {
                        "type": "namespace",
                        "name": "ns",
                        "description": "d",
                        "tools": [{"type": "function", "name": "g"}],
                    },
                    {"type": "web_search"},
                ]
            ),
            max_size=3,
        ),
        "tool_choice": st.sampled_from(["auto", "required", {"type": "function", "name": "f"}, {"type": "web_search"}]),
        "parallel_tool_calls": st.booleans(),
        "max_output_tokens": st.integers(1, 100),
        "temperature": st.floats(0, 2),
        "reasoning": st.sampled_from([{"effort": "high"}, {"summary": "auto"}, {"effort": "none", "summary": None}]),
        "text": st.sampled_from(
            [
                {"format": {"type": "json_schema", "name": "r", "schema": SCHEMA}},
                {"format": {"type": "text"}, "verbosity": "low"},
            ]
        ),
        "include": st.sampled_from([["reasoning.encrypted_content"], []]),
        "store": st.booleans(),
        "stream": st.booleans(),
        "prompt_cache_key": some,
        "client_metadata": st.just({"a": "b"}),
    },
)
