"""Programs of one's own: the vendors' SDKs, LangChain, LlamaIndex and curl. Each snippet runs as it is printed."""

import json
from typing import Final

from gateway.tool_settings import KEY_VARIABLE
from gateway.tool_settings.deployed import best, best_claude, best_gemini
from gateway.tool_settings.tool import Connection, Snippet, Tool

_OPENAI = """\
import os

from openai import OpenAI

client = OpenAI(base_url={url}, api_key=os.environ["{variable}"])
answer = client.chat.completions.create(model={model}, messages=[{{"role": "user", "content": "Hello"}}])
print(answer.choices[0].message.content)
"""
_ANTHROPIC = """\
import os

from anthropic import Anthropic

client = Anthropic(base_url={url}, api_key=os.environ["{variable}"])
answer = client.messages.create(
    model={model},
    max_tokens=1000,
    messages=[{{"role": "user", "content": "Hello"}}],
)
print("".join(block.text for block in answer.content if block.type == "text"))
"""
_GOOGLE = """\
import os

from google import genai

client = genai.Client(api_key=os.environ["{variable}"], http_options={{"base_url": {url}}})
print(client.models.generate_content(model={model}, contents="Hello").text)
"""
_LANGCHAIN = """\
import os

from langchain_openai import ChatOpenAI

model = ChatOpenAI(base_url={url}, api_key=os.environ["{variable}"], model={model})
print(model.invoke("Hello").content)
"""
_LLAMA_INDEX = """\
import os

from llama_index.llms.openai_like import OpenAILike

model = OpenAILike(
    api_base={url},
    api_key=os.environ["{variable}"],
    model={model},
    context_window={context},
    is_chat_model=True,
    is_function_calling_model=True,
)
print(model.complete("Hello"))
"""
_CURL = """\
curl -s {url}/chat/completions \\
  -H "Authorization: Bearer ${variable}" -H "Content-Type: application/json" \\
  -d '{{"model": {model}, "messages": [{{"role": "user", "content": "Hello"}}]}}'
"""


def _program(text: str, url: str, model: str, **more: object) -> Snippet:
    written = text.format(url=json.dumps(url), model=json.dumps(model), variable=KEY_VARIABLE, **more)
    return Snippet(written, "a file of Python")


def _openai(to: Connection) -> Snippet:
    return _program(_OPENAI, f"{to.url}/v1", best(to.models).name)


def _anthropic(to: Connection) -> Snippet:
    return _program(_ANTHROPIC, to.url, best_claude(to.models).anthropic_id)


def _google(to: Connection) -> Snippet:
    return _program(_GOOGLE, to.url, best_gemini(to.models).name)


def _langchain(to: Connection) -> Snippet:
    return _program(_LANGCHAIN, f"{to.url}/v1", best(to.models).name)


def _llama_index(to: Connection) -> Snippet:
    model = best(to.models)
    return _program(_LLAMA_INDEX, f"{to.url}/v1", model.name, context=model.context_window or 128_000)


def _curl(to: Connection) -> Snippet:
    text = _CURL.format(url=f"{to.url}/v1", model=json.dumps(best(to.models).name), variable=KEY_VARIABLE)
    return Snippet(text, "your shell", is_shell=True)


SDKS: Final = (
    Tool("openai", "OpenAI SDK for Python", "https://github.com/openai/openai-python", _openai, ("openai-sdk",)),
    Tool(
        "anthropic",
        "Anthropic SDK for Python",
        "https://github.com/anthropics/anthropic-sdk-python",
        _anthropic,
        ("anthropic-sdk",),
    ),
    Tool("google", "Google Gen AI SDK for Python", "https://googleapis.github.io/python-genai/", _google, ("genai",)),
    Tool("langchain", "LangChain", "https://docs.langchain.com/oss/python/integrations/chat/openai", _langchain),
    Tool(
        "llamaindex",
        "LlamaIndex",
        "https://developers.llamaindex.ai/python/examples/llm/openai_like/",
        _llama_index,
        ("llama-index",),
    ),
    Tool("curl", "curl", "https://curl.se/docs/manpage.html", _curl),
)
"""What people write themselves."""
