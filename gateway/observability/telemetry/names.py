"""Names of spans, attributes and metrics: those of OpenTelemetry's conventions for generative AI, and our own.

The conventions are in development. These are the names of version 1.41, as in opentelemetry-semantic-conventions.
"""

from typing import Final

from dialects.capabilities.models import Vendor, profile_for

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - the name of an attribute
ERROR_TYPE: Final = "error.type"
STATUS: Final = "http.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

REQUEST_ID: Final = "aicore_proxy.request.id"
CALLER: Final = "aicore_proxy.caller"
DIALECT: Final = "aicore_proxy.client.dialect"
SUBACCOUNT: Final = "aicore_proxy.subaccount"
DEPLOYMENT: Final = "aicore_proxy.deployment"
MODEL: Final = "aicore_proxy.model"
REASON: Final = "aicore_proxy.reason"
PROTOCOL: Final = "aicore_proxy.protocol"
TRAIL: Final = "aicore_proxy.trail"
ATTEMPTS: Final = "aicore_proxy.attempts"
OVERHEAD: Final = "aicore_proxy.overhead"
CIRCUIT: Final = "aicore_proxy.circuit"

REQUEST_DURATION: Final = "gen_ai.server.request.duration"
TIME_TO_FIRST_TOKEN: Final = "gen_ai.server.time_to_first_token"  # noqa: S105 - the name of a metric
CALL_DURATION: Final = "gen_ai.client.operation.duration"
TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - the name of a metric
IN_FLIGHT: Final = "aicore_proxy.endpoint.in_flight"
CIRCUITS: Final = "aicore_proxy.endpoint.circuit"
COOLDOWN: Final = "aicore_proxy.endpoint.cooldown"

CHAT: Final = "chat"
EMBEDDINGS: Final = "embeddings"
_EMBEDDINGS_CLIENT: Final = "openai-embeddings"
_PROVIDERS: Final = {
    Vendor.CLAUDE: "aws.bedrock",
    Vendor.NOVA: "aws.bedrock",
    Vendor.TITAN: "aws.bedrock",
    Vendor.GEMINI: "gcp.vertex_ai",
    Vendor.OPENAI: "azure.ai.openai",
    Vendor.MISTRAL: "mistral_ai",
    Vendor.PERPLEXITY: "perplexity",
    Vendor.COHERE: "cohere",
}
_OTHER_PROVIDER: Final = "sap.ai_core"
"""The provider of models for which the conventions have no name."""


def provider_of(model: str) -> str:
    """Return the provider of *model* behind SAP AI Core, as the conventions name it."""
    return _PROVIDERS.get(profile_for(model).vendor, _OTHER_PROVIDER)


def operation_of(client: str) -> str:
    """Return the operation of a request in the dialect *client*, as the conventions name it."""
    return EMBEDDINGS if client == _EMBEDDINGS_CLIENT else CHAT
