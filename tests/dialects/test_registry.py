"""The registry: one row per dialect, from which the proxy knows its traits."""

import pytest

from dialects.capabilities.models import Vendor
from dialects.registry import BACKENDS, CLIENTS, DIALECTS, PASSTHROUGHS, Dialect, dialect_of_caller, traits


@pytest.mark.parametrize(
    ("path", "headers", "dialect"),
    [
        ("/v1/chat/completions", set(), "openai-chat"),
        ("/openai/deployments/m/chat/completions", {"anthropic-version"}, "openai-chat"),
        ("/v1/embeddings", set(), "openai-chat"),
        ("/v1/responses", set(), "openai-responses"),
        ("/openai/responses/resp_1/cancel", set(), "openai-responses"),
        ("/v1/messages", {"x-goog-api-key"}, "anthropic-messages"),
        ("/v1/messages/responses", set(), "anthropic-messages"),
        ("/v1beta/models", {"anthropic-version"}, "gemini"),
        ("/v1/models/gemini-2.5-pro:streamGenerateContent", set(), "gemini"),
        ("/v1/models", set(), "openai-chat"),
        ("/v1/models", {"anthropic-version"}, "anthropic-messages"),
        ("/models", {"x-goog-api-key"}, "gemini"),
        ("/v1/models/responses/responses", set(), "openai-chat"),
        ("/no/such/path", {"x-goog-api-key"}, "openai-chat"),
    ],
)
def test_a_caller_is_recognised_by_its_path_and_where_all_share_it_by_a_header(path, headers, dialect):
    assert dialect == dialect_of_caller(path, headers)


def test_a_row_is_listed_on_the_sides_it_has_and_on_no_other():
    assert set(DIALECTS) == {*CLIENTS, *BACKENDS}
    assert set(PASSTHROUGHS) <= set(CLIENTS) & set(BACKENDS)
    assert len(list(CLIENTS)) == len(CLIENTS)
    assert "bedrock-converse" not in CLIENTS
    assert CLIENTS.get("bedrock-converse") is None


def test_a_vendor_with_clients_of_its_own_has_a_dialect_they_speak():
    assert {row.vendor for row in DIALECTS.values()} == {Vendor.OPENAI, Vendor.CLAUDE, Vendor.GEMINI, None}
    assert all(row.client is not None for row in DIALECTS.values() if row.vendor)


def test_what_has_no_row_has_no_traits():
    assert traits("openai-embeddings") == Dialect("")
    assert traits("openai-embeddings") is traits("titan-embeddings")
    assert traits("openai-responses") is DIALECTS["openai-responses"]


def test_clients_of_google_get_blank_lines_as_signs_of_life_and_all_others_a_comment():
    kept_alive = {name: traits(name).keep_alive for name in CLIENTS}

    assert kept_alive.pop("gemini") == b"\n\n"
    assert set(kept_alive.values()) == {b": ping\n\n"}
