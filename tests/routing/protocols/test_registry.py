"""Protocols that extensions register: checked when they come, and found under the names that people use."""

import re

import pytest

from dialects.core.faults import FaultError
from routing.policy import Policy
from routing.protocols import (
    ClaudeConverseProtocol,
    EmbeddingsProtocol,
    GeminiGenerateProtocol,
    OpenAIChatProtocol,
    ProtocolHandler,
)
from tests.routing.scenes import endpoint, pool_at

SONNET = "anthropic--claude-4.5-sonnet"
EMBEDDER = "text-embedding-3-small"


class OwnProtocol(OpenAIChatProtocol):
    """Asks in chat completions, in its own way."""

    name = "own"


class OwnEmbeddings(EmbeddingsProtocol):
    """Asks for embeddings, in its own way."""

    name = "own-embeddings"


def chosen(router, requested: str, client: str = "openai-chat") -> str:
    """The protocol in which a request is asked."""
    with router.attempts(requested, client=client) as attempts:
        return next(attempts).protocol.name


class TestWhatItIsGiven:
    @pytest.mark.parametrize(
        ("pattern", "protocol", "error", "said"),
        [
            (None, OwnProtocol(), TypeError, "pattern must be a text such as 'future-model-*', not None"),
            (7, OwnProtocol(), TypeError, "pattern must be a text such as 'future-model-*', not 7"),
            ("", OwnProtocol(), ValueError, "pattern must be a name of at most 200 characters, not ''"),
            ("  ", OwnProtocol(), ValueError, "pattern must be a name of at most 200 characters, not '  '"),
            ("gpt\n", OwnProtocol(), ValueError, "pattern must be a name of at most 200 characters, not 'gpt\\n'"),
            ("x" * 201, OwnProtocol(), ValueError, "pattern must be a name of at most 200 characters, not 'xxx"),
            ("m", None, TypeError, "protocol must be an object of a class derived from ProtocolHandler, not None"),
            ("m", lambda body: body, TypeError, "protocol must be an object of a class derived from ProtocolHandler"),
            ("m", OwnProtocol, TypeError, "; write OwnProtocol()"),
        ],
    )
    def test_what_is_no_pattern_or_no_protocol_is_refused(self, router_of, pattern, protocol, error, said):
        with pytest.raises(error, match=re.escape(said)):
            router_of(pool_at("eu/d1")).register_converter(pattern, protocol)

    @pytest.mark.parametrize(
        ("named", "error", "said"),
        [
            ({"dialect": "smalltalk"}, ValueError, "Own.dialect must be one of openai-chat, "),
            ({"dialect": None}, TypeError, "Own.dialect must be a text"),
            ({"name": 7}, TypeError, "Own.name must be a text"),
        ],
    )
    def test_a_protocol_that_says_not_in_which_dialect_is_refused(self, router_of, named, error, said):
        own = type("Own", (OwnProtocol,), named)()
        with pytest.raises(error, match=re.escape(said)):
            router_of(pool_at("eu/d1")).register_converter("m", own)

    def test_one_without_a_name_is_refused(self, router_of):
        class Nameless(ProtocolHandler):
            dialect = "openai-chat"
            build_endpoint = get_request_converter = get_response_converter = speaks = lambda *_: None

        with pytest.raises(TypeError, match=r"^Nameless\.name must be a text$"):
            router_of(pool_at("eu/d1")).register_converter("m", Nameless())

    def test_what_is_refused_changes_nothing(self, router_of):
        router = router_of(pool_at("eu/d1"))
        with pytest.raises(TypeError):
            router.register_converter("gpt-5", OwnProtocol)

        assert chosen(router, "gpt-5") == "openai-chat"


class TestNames:
    @pytest.mark.parametrize(
        "pattern",
        ["claude-sonnet-4-5", "claude-4.5-sonnet", "claude-*", "anthropic--*", "claude-sonnet-4-5[1m]", SONNET],
    )
    @pytest.mark.parametrize("requested", ["claude-sonnet-4-5-20250929", SONNET, "smart"])
    def test_any_name_of_a_model_means_it_whatever_the_client_calls_it(self, router_of, pattern, requested):
        router = router_of(pool_at("eu/d1", model=SONNET), Policy(aliases={"smart": "claude-sonnet-4-5"}))
        router.register_converter(pattern, OwnProtocol())

        assert chosen(router, requested) == "own"

    def test_an_alias_means_what_it_leads_to(self, router_of):
        router = router_of({**pool_at("eu/d1"), **pool_at("eu/d2", model="gpt-4.1")}, Policy(aliases={"fast": "gpt-5"}))
        router.register_converter("fast", OwnProtocol())

        assert [chosen(router, name) for name in ("fast", "gpt-5", "gpt-4.1")] == ["own", "own", "openai-chat"]

    def test_a_pattern_may_mean_the_requested_name_alone(self, router_of):
        router = router_of(pool_at("eu/d1"), Policy(aliases={"house-5": "gpt-5"}))
        router.register_converter("house-*", OwnProtocol())

        assert [chosen(router, name) for name in ("house-5", "gpt-5")] == ["own", "openai-chat"]

    def test_a_name_for_which_another_model_answers_means_none(self, router_of):
        router = router_of(pool_at("eu/d1", model=SONNET))
        router.register_converter("claude-opus-*", OwnProtocol())
        payload = {"model": "claude-opus-4", "messages": [{"role": "user", "content": "Hello"}]}

        assert chosen(router, "claude-opus-4") == "claude-converse"
        assert router.route(payload).protocol.name == "claude-converse"

    def test_a_route_is_chosen_by_the_requested_name_too(self, router_of):
        router = router_of(pool_at("eu/d1"), Policy(aliases={"house-5": "gpt-5"}))
        router.register_converter("house-*", OwnProtocol())

        assert router.route({"model": "house-5", "messages": []}).protocol.name == "own"

    @pytest.mark.parametrize("pattern", ["gpt-4.1", "gpt", "claude-*", "gpt-5-*"])
    def test_a_name_of_another_model_does_not_match(self, router_of, pattern):
        router = router_of(pool_at("eu/d1"))
        router.register_converter(pattern, OwnProtocol())

        assert chosen(router, "gpt-5") == "openai-chat"

    def test_what_is_deployed_later_is_meant_too(self, router_of):
        router = router_of(pool_at("eu/d1"))
        router.register_converter("claude-sonnet-4-5", OwnProtocol())
        router.balancer.replace_pools(pool_at("eu/d1", model=SONNET))

        assert chosen(router, SONNET) == "own"

    def test_what_a_deployment_runs_is_meant_after_what_it_is_called(self, router_of):
        router = router_of({"house": [endpoint("eu", "d1", "house", runs=SONNET)]})
        router.register_converter("house", GeminiGenerateProtocol())
        router.register_converter("claude-*", OwnProtocol())
        called = chosen(router, "house")
        other = router_of({"home": [endpoint("eu", "d1", "home", runs=SONNET)]})
        other.register_converter("claude-*", OwnProtocol())

        assert (called, chosen(other, "home")) == ("gemini-generate", "own")


class TestEmbeddings:
    def test_a_pattern_for_everything_leaves_them_alone(self, router_of):
        router = router_of({**pool_at("eu/d1"), **pool_at("eu/d2", model=EMBEDDER)})
        router.register_converter("*", ClaudeConverseProtocol())

        assert chosen(router, "gpt-5") == "claude-converse"
        assert chosen(router, EMBEDDER, "openai-embeddings") == "embeddings"
        with pytest.raises(FaultError, match="is an embedding model and has no conversations"):
            router.attempts(EMBEDDER, client="openai-chat")
        with pytest.raises(FaultError, match="is a chat model and makes no embeddings"):
            router.attempts("gpt-5", client="openai-embeddings")

    def test_a_protocol_for_embeddings_is_asked_for_nothing_else(self, router_of):
        router = router_of({**pool_at("eu/d1"), **pool_at("eu/d2", model=EMBEDDER)})
        router.register_converter("*", OwnEmbeddings())

        assert chosen(router, "gpt-5") == "openai-chat"
        assert chosen(router, EMBEDDER, "openai-embeddings") == "own-embeddings"
