"""SAP's own SDK works with the emulator as it works with AI Core."""

import gc
import json

import botocore.session
import pytest
from ai_api_client_sdk.exception import AIAPIInvalidRequestException
from ai_api_client_sdk.models.parameter_binding import ParameterBinding
from ai_api_client_sdk.models.status import Status
from ai_core_sdk.ai_core_v2_client import AICoreV2Client
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import EventStreamError
from gen_ai_hub.proxy.gen_ai_hub_proxy.client import GenAIHubProxyClient
from gen_ai_hub.proxy.native.google_genai import clients as google_clients
from gen_ai_hub.proxy.native.openai import OpenAI

from tests.emulator.client import SONNET

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the SDK's and its dependencies' own business
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),  # the same
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # it never closes its token session
    pytest.mark.filterwarnings("ignore::UserWarning"),  # it warns about several deployments of one model
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # its sockets, once collected
]
ASK = [{"role": "user", "content": "Hello SAP"}]
SAID = 'Happy to help! You said: "Hello SAP".'


@pytest.fixture
def sap(eu, monkeypatch, tmp_path):
    monkeypatch.setenv("AICORE_HOME", str(tmp_path))
    google_clients._deployment_cache.clear()
    yield GenAIHubProxyClient(
        base_url=eu.key["serviceurls"]["AI_API_URL"] + "/v2",
        auth_url=eu.key["url"] + "/oauth/token",
        client_id=eu.key["clientid"],
        client_secret=eu.key["clientsecret"],
        resource_group=eu.group,
    )
    google_clients._deployment_cache.clear()
    gc.collect()


def test_it_chats(sap):
    client = OpenAI(proxy_client=sap)
    whole = client.chat.completions.create(model_name="gpt-4.1", messages=ASK)
    chunks = list(client.chat.completions.create(model_name="gpt-4.1", messages=ASK, stream=True))

    assert whole.choices[0].message.content == SAID
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == SAID


def test_it_asks_for_responses(sap):
    client = OpenAI(proxy_client=sap)
    whole = client.responses.create(model_name="gpt-5", input="Hello SAP")

    assert whole.output_text == SAID


def test_it_embeds(sap):
    client = OpenAI(proxy_client=sap)
    made = client.embeddings.create(model_name="text-embedding-3-small", input=["a", "b"])

    assert [len(one.embedding) for one in made.data] == [1536, 1536]


def test_it_asks_gemini(sap):
    client = google_clients.Client(proxy_client=sap)
    whole = client.models.generate_content(model="gemini-2.5-flash", contents="Hello SAP")
    chunks = list(client.models.generate_content_stream(model="gemini-2.5-flash", contents="Hello SAP"))

    assert whole.text == SAID
    assert "".join(chunk.text or "" for chunk in chunks) == SAID


@pytest.fixture
def bedrock(sap):
    pytest.importorskip("boto3", reason="SAP's SDK brings it only with its extra for Amazon")
    pytest.importorskip("aiobotocore", reason="the same")
    from gen_ai_hub.proxy.native.amazon.clients import Session  # noqa: PLC0415  # the import above decides

    return Session().client(model_name=SONNET, proxy_client=sap)


CONVERSE = [{"role": "user", "content": [{"text": "Hello SAP"}]}]
INVOKE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": ASK}


def test_it_converses(bedrock):
    whole = bedrock.converse(messages=CONVERSE)
    streamed = list(bedrock.converse_stream(messages=CONVERSE)["stream"])

    assert whole["output"]["message"]["content"] == [{"text": SAID}]
    deltas = [event["contentBlockDelta"]["delta"]["text"] for event in streamed if "contentBlockDelta" in event]
    assert "".join(deltas) == SAID
    assert streamed[-1]["metadata"]["usage"]["outputTokens"] > 0


def test_it_invokes(bedrock):
    whole = json.loads(bedrock.invoke_model(body=json.dumps(INVOKE))["body"].read())
    streamed = bedrock.invoke_model_with_response_stream(body=json.dumps(INVOKE))["body"]
    chunks = [json.loads(event["chunk"]["bytes"]) for event in streamed]

    assert whole["content"] == [{"type": "text", "text": SAID}]
    assert "".join(one["delta"]["text"] for one in chunks if one["type"] == "content_block_delta") == SAID


def test_it_knows_a_throttled_model_by_its_type(eu, bedrock):
    for number in range(2):
        eu.break_(SONNET, number, kind="429-provider")

    with pytest.raises(bedrock.exceptions.ThrottlingException):
        bedrock.converse(messages=CONVERSE)


def test_it_reads_an_exception_in_the_middle_of_a_stream(eu, bedrock):
    for number in range(2):
        eu.break_(SONNET, number, kind="cut-error", after_events=1)

    with pytest.raises(EventStreamError, match="throttlingException"):
        list(bedrock.converse_stream(messages=CONVERSE)["stream"])


@pytest.fixture
def botocore_client(eu):
    """Amazon's own client, sent to a deployment the way SAP's SDK sends it."""
    client = botocore.session.get_session().create_client(
        "bedrock-runtime", region_name="nowhere", config=Config(signature_version=UNSIGNED)
    )

    def send_to_deployment(params, **_):
        operation = params["url_path"].rsplit("/", 1)[-1]
        params["url"] = f"{eu.url}/v2/inference/deployments/{eu.deployment(SONNET)}/{operation}"
        params["headers"] |= {"Accept": "application/vnd.amazon.eventstream", **eu.headers}

    client.meta.events.register("before-call.bedrock-runtime", send_to_deployment)
    yield client
    client.close()


def test_amazons_client_reads_every_frame(botocore_client):
    whole = botocore_client.converse(modelId="x", messages=CONVERSE)
    streamed = list(botocore_client.converse_stream(modelId="x", messages=CONVERSE)["stream"])
    body = botocore_client.invoke_model_with_response_stream(modelId="x", body=json.dumps(INVOKE))["body"]
    chunks = [json.loads(event["chunk"]["bytes"]) for event in body]

    assert whole["output"]["message"]["content"] == [{"text": SAID}]
    deltas = [event["contentBlockDelta"]["delta"]["text"] for event in streamed if "contentBlockDelta" in event]
    assert "".join(deltas) == SAID
    assert "".join(one["delta"]["text"] for one in chunks if one["type"] == "content_block_delta") == SAID


def test_amazons_client_reads_refusals_and_broken_streams(eu, botocore_client):
    with pytest.raises(botocore_client.exceptions.ValidationException, match="is blank"):
        botocore_client.converse(modelId="x", messages=[{"role": "user", "content": [{"text": " "}]}])
    eu.break_(SONNET, kind="cut-error", after_events=1)
    with pytest.raises(EventStreamError, match="throttlingException"):
        list(botocore_client.converse_stream(modelId="x", messages=CONVERSE)["stream"])


def test_it_lists_resource_groups_and_makes_a_deployment(eu):
    url, key = f"{eu.url}/v2", eu.key
    api = AICoreV2Client(
        url, f"{key['url']}/oauth/token", key["clientid"], key["clientsecret"], resource_group=eu.group
    )
    eu.admin("PUT", "settings", {"startup": 0})
    bindings = [ParameterBinding("modelName", "gpt-5-mini"), ParameterBinding("modelVersion", "latest")]
    groups = api.resource_groups.query()
    configured = api.configuration.create("mini", "foundation-models", "azure-openai", bindings)
    made = api.deployment.create(configured.id)
    shown, configuration = api.deployment.get(made.id), api.configuration.get(configured.id)

    assert [each.resource_group_id for each in groups.resources] == [eu.group]
    assert (made.status, made.deployment_url, made.message) == (Status.UNKNOWN, "", "Deployment scheduled.")
    assert (shown.status, shown.configuration_id) == (Status.RUNNING, configured.id)
    assert [(each.key, each.value) for each in configuration.parameter_bindings] == [
        ("modelName", "gpt-5-mini"),
        ("modelVersion", "latest"),
    ]
    assert [each.id for each in api.deployment.query(configuration_id=configured.id).resources] == [made.id]
    assert configured.id in [each.id for each in api.configuration.query(search="mini").resources]


def test_it_is_told_why_a_deployment_cannot_be_made(eu):
    url, key = f"{eu.url}/v2", eu.key
    api = AICoreV2Client(
        url, f"{key['url']}/oauth/token", key["clientid"], key["clientsecret"], resource_group=eu.group
    )

    with pytest.raises(AIAPIInvalidRequestException, match="no such configuration"):
        api.deployment.create("nothing")
