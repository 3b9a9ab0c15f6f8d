"""SAP's own client of orchestration works with the emulator as it works with AI Core."""

import gc
import json

import pytest
from gen_ai_hub.orchestration_v2 import service as sap_service
from gen_ai_hub.orchestration_v2.exceptions import OrchestrationError, OrchestrationErrorList
from gen_ai_hub.orchestration_v2.models.config import ModuleConfig, OrchestrationConfig
from gen_ai_hub.orchestration_v2.models.embeddings import EmbeddingsInput, EmbeddingsOrchestrationConfig
from gen_ai_hub.orchestration_v2.models.llm_model_details import LLMModelDetails
from gen_ai_hub.orchestration_v2.models.message import AssistantMessage, ToolChatMessage, UserMessage
from gen_ai_hub.orchestration_v2.models.response_format import JSONResponseSchema, ResponseFormatJsonSchema
from gen_ai_hub.orchestration_v2.models.streaming import GlobalStreamOptions
from gen_ai_hub.orchestration_v2.models.template import PromptTemplatingModuleConfig, Template
from gen_ai_hub.orchestration_v2.models.template_ref import TemplateRef, TemplateRefByID
from gen_ai_hub.proxy.gen_ai_hub_proxy.client import GenAIHubProxyClient

from emulator import World
from emulator.orchestration.stored_templates import SUMMARY_ID
from emulator.world import orchestration_tenant
from tests.emulator.client import OPUS, SONNET, WEATHER

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the SDK's and its dependencies' own business
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),  # the same
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # it never closes its token session
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # its sockets, once collected
]
GPT, GEMINI = "gpt-5", "gemini-3.5-flash"
EACH = pytest.mark.parametrize("model", [SONNET, OPUS, "amazon--nova-pro", GEMINI, GPT])
HELLO = [UserMessage(content="Hello {{?who}}")]
SAID = 'Happy to help! You said: "Hello SAP".'
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}


@pytest.fixture
def service(eu, monkeypatch, tmp_path):
    yield from made(eu, monkeypatch, tmp_path)


def made(client, monkeypatch, tmp_path):
    """Let SAP's client find the orchestration deployment of a tenant by itself."""
    monkeypatch.setenv("AICORE_HOME", str(tmp_path))
    sap_service.discover_orchestration_api_url.cache_clear()
    proxy = GenAIHubProxyClient(
        base_url=client.key["serviceurls"]["AI_API_URL"] + "/v2",
        auth_url=client.key["url"] + "/oauth/token",
        client_id=client.key["clientid"],
        client_secret=client.key["clientsecret"],
        resource_group=client.group,
    )
    made = sap_service.OrchestrationService(proxy_client=proxy, timeout=60)
    yield made
    made.close_http_connection()
    sap_service.discover_orchestration_api_url.cache_clear()
    gc.collect()


def module(model, messages=HELLO, **more):
    prompt = {key: more.pop(key) for key in ("defaults", "tools", "response_format") if key in more}
    details = LLMModelDetails(name=model, params=more.pop("params", {}), **more.pop("details", {}))
    template = Template(template=messages, **prompt)
    return ModuleConfig(prompt_templating=PromptTemplatingModuleConfig(prompt=template, model=details), **more)


def config(*modules, stream=False):
    options = GlobalStreamOptions(enabled=True, chunk_size=5) if stream else None
    return OrchestrationConfig(modules=modules[0] if len(modules) == 1 else list(modules), stream=options)


def run(service, model, messages=HELLO, values=None, history=None, **more):
    values = {"who": "SAP"} if messages is HELLO and values is None else values
    made = service.run(config=config(module(model, messages, **more)), placeholder_values=values, history=history)
    return made.final_result.choices[0]


@EACH
def test_it_chats_whole_and_streamed(service, model):
    whole = run(service, model).message.content
    streamed = service.stream(config=config(module(model), stream=True), placeholder_values={"who": "SAP"})
    results = [chunk.final_result for chunk in streamed]

    assert whole == SAID
    assert "".join(result.choices[0].delta.content for result in results) == SAID
    assert [result.usage is None for result in results] == [True] * (len(results) - 1) + [False]


@EACH
def test_its_tools_are_called_and_what_they_gave_is_read(service, model):
    ask = UserMessage(content="Use the get_weather tool")
    first = run(service, model, [ask], tools=[TOOL])
    [call] = first.message.tool_calls
    result = ToolChatMessage(tool_call_id=call.id, content="22 degrees")
    second = run(service, model, [result], history=[ask, first.message], tools=[TOOL])

    assert (first.finish_reason, call.function.parse_arguments().keys()) == ("tool_calls", {"city", "days"})
    assert second.message.content == "The tool answered: 22 degrees"


@EACH
def test_its_answers_fit_a_schema(service, model):
    schema = {**WEATHER, "required": ["city", "days"], "additionalProperties": False}
    wanted = ResponseFormatJsonSchema(json_schema=JSONResponseSchema(name="weather", schema=schema, strict=True))

    said = run(service, model, [UserMessage(content="The weather as JSON")], response_format=wanted).message.content

    assert json.loads(said).keys() == {"city", "days"}


@pytest.mark.parametrize(
    ("model", "params"),
    [
        (SONNET, {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096}),
        (OPUS, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (GEMINI, {"reasoning_effort": "high"}),
    ],
)
def test_its_reasoning_comes_signed_and_is_taken_back(service, model, params):
    ask = UserMessage(content="Use the get_weather tool")
    message = run(service, model, [ask], tools=[TOOL], params=params).message
    result = ToolChatMessage(tool_call_id=message.tool_calls[0].id, content="22")
    more = {"tools": [TOOL], "params": params}
    taken = run(service, model, [result], history=[ask, message], **more)
    [block] = message.reasoning_content
    forged = message.model_copy(update={"reasoning_content": [block.model_copy(update={"signature": "forged"})]})

    assert block.content
    assert taken.message.content == "The tool answered: 22"
    with pytest.raises(OrchestrationError, match=r"(?i)signature"):
        run(service, model, [result], history=[ask, forged], **more)


def test_its_history_stands_before_the_template_and_is_not_parsed(service):
    history = [UserMessage(content="What is {{?this}}?"), AssistantMessage(content="A placeholder")]

    made = service.run(config=config(module(SONNET)), placeholder_values={"who": "SAP"}, history=history)

    shown = [message.content for message in made.intermediate_results.templating]
    assert shown == ["What is {{?this}}?", "A placeholder", "Hello SAP"]


def test_it_uses_stored_templates(service):
    by_id = TemplateRef(template_ref=TemplateRefByID(id=SUMMARY_ID))
    prompt = PromptTemplatingModuleConfig(prompt=by_id, model=LLMModelDetails(name=GPT))

    made = service.run(config=config(ModuleConfig(prompt_templating=prompt)), placeholder_values={"text": "A tale"})

    shown = [message.content for message in made.intermediate_results.templating]
    assert shown == ["Summarize what the user says in English.", "A tale"]


def test_it_reads_where_an_input_filter_objected(service):
    filtering = {"input": {"filters": [{"type": "azure_content_safety", "config": {"violence": 0}}]}}

    with pytest.raises(OrchestrationError) as caught:
        run(service, GPT, [UserMessage(content="harm:violence")], filtering=filtering)

    assert (caught.value.code, caught.value.location) == (400, "Filtering Module - Input Filter")
    assert caught.value.intermediate_results["input_filtering"]["data"] == {"azure_content_safety": {"Violence": 6}}


def test_an_output_filter_takes_the_answer_away(service):
    filtering = {"output": {"filters": [{"type": "azure_content_safety", "config": {"hate": 2}}]}}

    filtered = run(service, GPT, [UserMessage(content="scene:echo harm:hate")], filtering=filtering)
    allowed = run(service, GPT, [UserMessage(content="scene:echo harm:sexual")], filtering=filtering)

    assert (filtered.finish_reason, filtered.message.content) == ("content_filter", "")
    assert (allowed.finish_reason, allowed.message.content) == ("stop", "harm:sexual")


def test_it_falls_back_to_the_next_configuration(service):
    made = service.run(config=config(module("gpt-0"), module(SONNET)), placeholder_values={"who": "SAP"})

    assert made.final_result.model == "claude-sonnet-4-5-20250929"
    assert [failure.message for failure in made.intermediate_failures] == [
        "400 - LLM Module: Model gpt-0 in version latest not found."
    ]


def test_it_reads_a_list_of_errors_when_every_configuration_fails(service):
    with pytest.raises(OrchestrationErrorList) as caught:
        service.run(config=config(module("gpt-0"), module("gpt-00")), placeholder_values={"who": "SAP"})

    assert [error.message.split()[5] for error in caught.value.errors] == ["gpt-0", "gpt-00"]


def test_it_reads_an_error_in_its_stream(service, eu):
    eu.break_(None, kind="429-provider", retry_after=7)

    with pytest.raises(OrchestrationError, match="429 - LLM Module") as caught:
        list(service.stream(config=config(module(GPT), stream=True), placeholder_values={"who": "SAP"}))

    assert caught.value.code == 429


def test_it_embeds(service):
    def embed(text, **params):
        model = {"name": "text-embedding-3-small", "params": params}
        modules = {"modules": {"embeddings": {"model": model}}}
        made = service.embed(config=EmbeddingsOrchestrationConfig(**modules), input=EmbeddingsInput(text=text))
        return made.final_result.data

    assert [len(one.embedding) for one in embed(["a", "b"])] == [1536, 1536]
    assert len(embed("a", dimensions=256)[0].embedding) == 256
    assert isinstance(embed("a", encoding_format="base64")[0].embedding, str)


def test_it_finds_its_deployment_in_a_tenant_that_has_nothing_else(elsewhere, monkeypatch, tmp_path):
    client = elsewhere(World((orchestration_tenant("lone", "g"),)), "lone")

    for service in made(client, monkeypatch, tmp_path):
        assert run(service, SONNET).message.content == SAID
