"""The names of what is sent are those of the semantic conventions, which another package holds, or begin with ours."""

import re

import pytest
from opentelemetry.semconv import attributes
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes

from gateway.observability.telemetry import names
from tests.support.sources import ROOT

CONVENTIONS = {
    value
    for module in (attributes, gen_ai_attributes, gen_ai_metrics, error_attributes, http_attributes, server_attributes)
    for value in vars(module).values()
    if isinstance(value, str)
}
PROVIDERS = {each.value for each in gen_ai_attributes.GenAiProviderNameValues}
OPERATIONS = {each.value for each in gen_ai_attributes.GenAiOperationNameValues}


def sent_names() -> set[str]:
    return {value for name, value in vars(names).items() if name.isupper() and name[0] != "_" and "." in value}


def test_every_name_is_one_of_the_conventions_or_begins_with_our_prefix() -> None:
    sent = sent_names()
    unknown = {name for name in sent - CONVENTIONS if not name.startswith("aicore_proxy.")}

    assert len(sent) > 20
    assert unknown == set()


def test_every_name_is_described_on_its_page_and_no_other_is() -> None:
    page = (ROOT / "docs/observability-otel.md").read_text(encoding="utf-8")
    described = set(re.findall(r"`((?:gen_ai|aicore_proxy|error|http|server)\.[a-z_.]+)`", page))

    assert described - {"server.drain_seconds"} == sent_names()


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("anthropic--claude-4.6-sonnet", "aws.bedrock"),
        ("amazon--nova-pro", "aws.bedrock"),
        ("amazon--titan-embed-text", "aws.bedrock"),
        ("gemini-3.5-flash", "gcp.vertex_ai"),
        ("gpt-5.5", "azure.ai.openai"),
        ("text-embedding-3-small", "azure.ai.openai"),
        ("mistralai--mistral-medium", "mistral_ai"),
        ("sonar-pro", "perplexity"),
        ("cohere--command-a-reasoning", "cohere"),
    ],
)
def test_a_model_has_the_provider_that_the_conventions_name(model: str, provider: str) -> None:
    assert names.provider_of(model) == provider
    assert provider in PROVIDERS


def test_a_model_of_another_provider_has_a_name_of_ours() -> None:
    assert names.provider_of("sap-abap-1") == "sap.ai_core"


@pytest.mark.parametrize(("client", "operation"), [("openai-chat", "chat"), ("openai-embeddings", "embeddings")])
def test_a_request_is_an_operation_of_the_conventions(client: str, operation: str) -> None:
    assert names.operation_of(client) == operation
    assert operation in OPERATIONS
