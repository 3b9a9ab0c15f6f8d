from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.capabilities.model_identity import identity
from dialects.core.faults import FaultKind
from routing.availability import NoEndpointError
from routing.model_names import FALLBACKS, How, ModelNames, Resolution, Unlisted
from routing.policy import Policy

SONNET = "anthropic--claude-4.5-sonnet"
DEPLOYED = (
    SONNET,
    "anthropic--claude-3.5-sonnet",
    "anthropic--claude-4.5-haiku",
    "anthropic--claude-4.6-opus",
    "anthropic--claude-4-sonnet",
    "amazon--nova-pro",
    "gemini-2.5-pro",
    "gemini-2.5-flash",
    "gemini-embedding",
    "gpt-5",
    "gpt-5-mini",
    "gpt-4.1",
    "gpt-4o",
    "o3",
    "mistralai--mistral-small",
    "text-embedding-3-small",
)


@pytest.fixture
def names() -> ModelNames:
    return ModelNames(DEPLOYED)


@pytest.mark.parametrize(
    ("name", "known"), [(SONNET, True), ("claude-sonnet-4-5-20250929", True), ("gpt-4", True), ("nobody", False)]
)
def test_a_name_is_known_if_a_model_would_answer_to_it(names, name, known):
    assert known is names.knows(name)


@pytest.mark.parametrize("name", DEPLOYED)
def test_a_deployed_name_is_its_own(names, name):
    assert names.resolve(name) == Resolution(name, name, How.EXACT)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("claude-sonnet-4-5", SONNET),
        ("claude-sonnet-4-5-20250929", SONNET),
        ("claude-4.5-sonnet", SONNET),
        ("claude-4-5-sonnet", SONNET),
        ("claude_4.5_sonnet", SONNET),
        ("sonnet-4.5", SONNET),
        ("Claude-Sonnet-4-5", SONNET),
        (" claude-sonnet-4-5 ", SONNET),
        ("claude-sonnet-4-5-latest", SONNET),
        ("claude-sonnet-4-5[1m]", SONNET),
        ("claude-sonnet-4-5-20250929[1m]", SONNET),
        ("anthropic--claude-4.5-sonnet[1m]", SONNET),
        ("anthropic/claude-sonnet-4.5", SONNET),
        ("openrouter/anthropic/claude-sonnet-4.5", SONNET),
        ("anthropic.claude-sonnet-4-5", SONNET),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", SONNET),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0:200k", SONNET),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", SONNET),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0[1m]", SONNET),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", SONNET),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", SONNET),
        ("claude-sonnet-4-5@20250929", SONNET),
        ("claude-sonnet-4-0", "anthropic--claude-4-sonnet"),
        ("claude-sonnet-4-20250514", "anthropic--claude-4-sonnet"),
        ("claude-3-5-sonnet-v2@20241022", "anthropic--claude-3.5-sonnet"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "anthropic--claude-3.5-sonnet"),
        ("claude-3-5-sonnet-latest", "anthropic--claude-3.5-sonnet"),
        ("claude-opus-4-6", "anthropic--claude-4.6-opus"),
        ("claude-haiku-4-5-20251001", "anthropic--claude-4.5-haiku"),
        ("us.amazon.nova-pro-v1:0", "amazon--nova-pro"),
        ("nova-pro", "amazon--nova-pro"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini-2.5-pro:streamGenerateContent", "gemini-2.5-pro"),
        ("gemini-2.5-pro-preview-06-05", "gemini-2.5-pro"),
        ("gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash"),
        ("gemini-2.5-flash-001", "gemini-2.5-flash"),
        ("gemini-2.5-flash-latest", "gemini-2.5-flash"),
        ("gemini-embedding-001", "gemini-embedding"),
        ("gpt-5-2025-08-07", "gpt-5"),
        ("openai/gpt-5", "gpt-5"),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("gpt-4-1", "gpt-4.1"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("gpt-4o-1120", "gpt-4o"),
        ("gemini-2.5-flash-exp", "gemini-2.5-flash"),
        ("gemini-2.5-flash-preview", "gemini-2.5-flash"),
        ("o3-2025-04-16", "o3"),
        ("mistral-small-latest", "mistralai--mistral-small"),
    ],
)
def test_a_model_is_found_however_its_name_is_written(names, name, model):
    assert names.resolve(name) == Resolution(model, name, How.NORMALISED)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-5", "gpt-5-mini"),
        ("gpt-5", "gpt-5.1"),
        ("gpt-5-chat-latest", "gpt-5"),
        ("gpt-4", "gpt-4o"),
        ("gpt-4.1", "gpt-4"),
        ("o3", "o3-mini"),
        ("gemini-2.5-flash", "gemini-2.5-flash-lite"),
        ("gemini-2.5-flash", "gemini-2.5-flash-image"),
        ("claude-4-sonnet", "claude-4.5-sonnet"),
        ("claude-4.5-opus", "claude-4.5-sonnet"),
        ("claude-3-5-sonnet", "claude-3-sonnet"),
        ("deepseek-v2", "deepseek-v3"),
        ("titan-embed-text-v1", "titan-embed-text-v2"),
        ("text-embedding-3-small", "text-embedding-3-large"),
        ("text-embedding-ada-002", "text-embedding-ada"),
        ("llama3:8b", "llama3:70b"),
        ("gpt-4-32k", "gpt-4"),
        ("sonar-0", "sonar"),
    ],
)
def test_different_models_stay_different(one, other):
    assert identity(one) != identity(other)


def test_of_two_deployed_names_for_one_model_the_first_serves():
    names = ModelNames(["gpt-5-2025-08-07", "gpt-5-latest"])

    assert names.resolve("gpt-5") == Resolution("gpt-5-2025-08-07", "gpt-5", How.NORMALISED)


class TestAliases:
    def test_an_alias_names_another_model(self):
        names = ModelNames(DEPLOYED, {"fast": "gpt-5-mini"})

        assert names.resolve("fast") == Resolution("gpt-5-mini", "fast", How.ALIAS)
        assert names.resolve(" FAST ") == Resolution("gpt-5-mini", " FAST ", How.ALIAS)

    def test_the_exact_name_comes_before_an_alias_of_the_same_name(self):
        names = ModelNames(DEPLOYED, {"gpt-5": "gpt-5-mini"})

        assert names.resolve("gpt-5") == Resolution("gpt-5", "gpt-5", How.EXACT)

    def test_an_alias_comes_before_the_normalised_name(self):
        names = ModelNames(DEPLOYED, {"claude-sonnet-4-5": "gpt-5"})

        assert names.resolve("claude-sonnet-4-5") == Resolution("gpt-5", "claude-sonnet-4-5", How.ALIAS)

    def test_the_target_of_an_alias_may_be_written_in_any_way(self):
        names = ModelNames(DEPLOYED, {"smart": "claude-sonnet-4-5-20250929"})

        assert names.resolve("smart").model == SONNET

    def test_an_alias_of_an_alias_is_followed_but_no_further(self):
        chain = {"a": "b", "b": "gpt-5"}
        longer = {"a": "b", "b": "c", "c": "gpt-5"}

        assert ModelNames(DEPLOYED, chain).resolve("a") == Resolution("gpt-5", "a", How.ALIAS)
        with pytest.raises(NoEndpointError):
            ModelNames(DEPLOYED, longer).resolve("a")

    def test_a_target_that_is_deployed_is_not_an_alias_of_something_else(self):
        names = ModelNames(DEPLOYED, {"a": "gpt-5", "gpt-5": "gpt-4o"})

        assert names.resolve("a").model == "gpt-5"

    def test_an_alias_to_what_is_not_deployed_falls_back_within_the_targets_family(self):
        names = ModelNames(DEPLOYED, {"fast": "gemini-9-nano"})

        assert names.resolve("fast") == Resolution("gemini-2.5-pro", "fast", How.FALLBACK)

    def test_in_a_chain_the_last_target_says_which_family(self):
        names = ModelNames(DEPLOYED, {"fast": "gpt-9", "gpt-9": "gemini-9-nano"})

        assert names.resolve("fast") == Resolution("gemini-2.5-pro", "fast", How.FALLBACK)

    def test_the_exact_target_comes_before_one_that_is_written_differently(self):
        names = ModelNames(["gpt-5", "gpt-5-2025-08-07"], {"dated": "gpt-5-2025-08-07"})

        assert names.resolve("dated").model == "gpt-5-2025-08-07"

    def test_an_alias_to_what_is_not_deployed_leaves_the_name_itself_a_chance(self):
        names = ModelNames(DEPLOYED, {"gpt-5-latest": "gpt-9"})

        assert names.resolve("gpt-5-latest") == Resolution("gpt-5", "gpt-5-latest", How.NORMALISED)

    def test_an_alias_of_itself_ends(self):
        with pytest.raises(NoEndpointError):
            ModelNames(DEPLOYED, {"loop": "loop"}).resolve("loop")


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("claude-3-opus", "claude-opus"),
        ("opus-9", "claude-opus"),
        ("claude-opus-4-1-20250805", "claude-opus"),
        ("claude-3-haiku", "claude-haiku"),
        ("claude-2", "claude"),
        ("claude-instant-1.2", "claude"),
        ("anthropic--claude-3.7-sonnet", "claude"),
        ("gemini-1.5-pro", "gemini"),
        ("gpt-3.5-turbo", "gpt"),
        ("chatgpt-4o-latest", "gpt"),
        ("o1-mini", "gpt"),
        ("codex-mini-latest", "gpt"),
        ("text-embedding-ada-002", "embedding"),
        ("amazon--titan-embed-text", "embedding"),
        ("gemini-embedding-2", "embedding"),
        ("nvidia--llama-3.2-nv-embedqa-1b", "embedding"),
        ("cohere-reranker", ""),
        ("gpt-realtime", ""),
        ("gpt-image-1", ""),
        ("gemini-2.5-flash-image", ""),
        ("whisper-1", ""),
        ("mistral-tiny", ""),
        ("sonar", ""),
        ("o3x", ""),
        ("my-own-gpt", ""),
        ("", ""),
    ],
)
def test_every_name_has_a_family_or_none(name, family):
    assert family == identity(name).family


def test_each_familys_fallbacks_are_tried_in_their_order():
    sonnets = ("anthropic--claude-4.6-sonnet", "anthropic--claude-4.5-sonnet")

    assert dict(FALLBACKS) == {
        "claude-opus": (
            "anthropic--claude-4.8-opus",
            "anthropic--claude-4.7-opus",
            "anthropic--claude-4.6-opus",
            "anthropic--claude-4.5-opus",
            *sonnets,
        ),
        "claude-haiku": ("anthropic--claude-4.5-haiku", *sonnets),
        "claude": sonnets,
        "gemini": ("gemini-3.5-flash", "gemini-3.5-flash-lite", "gemini-3.1-flash-lite", "gemini-2.5-flash-lite"),
        "gpt": ("gpt-5.5", "gpt-5.4", "gpt-5.2", "gpt-5.1", "gpt-5"),
        "embedding": (),
    }


def _ranked() -> Iterator[tuple[str, tuple[str, ...], str]]:
    unknown = {
        "claude-opus": "claude-opus-9",
        "claude-haiku": "claude-haiku-9",
        "claude": "claude-sonnet-9",
        "gemini": "gemini-9-ultra",
        "gpt": "gpt-9",
    }
    for family, fallbacks in FALLBACKS.items():
        for rank, fallback in enumerate(fallbacks):
            yield unknown[family], fallbacks[rank:], fallback


@pytest.mark.parametrize(("name", "deployed", "fallback"), list(_ranked()))
def test_the_best_deployed_fallback_answers(name, deployed, fallback):
    names = ModelNames(reversed(deployed))

    assert names.resolve(name) == Resolution(fallback, name, How.FALLBACK)


def test_a_fallback_is_found_however_its_name_is_written():
    assert ModelNames(["claude-sonnet-4-5"]).resolve("claude-2").model == "claude-sonnet-4-5"


def test_the_settings_cannot_make_an_embedding_model_answer_for_one_that_talks():
    names = ModelNames(["text-embedding-3-small"], fallbacks={"gpt": ["text-embedding-3-small"]})

    assert names.fallbacks("gpt-9") == ()


EMBEDDING_DIALECTS = ["text-embedding-3-small", "gemini-embedding", "amazon--titan-embed-text"]


@pytest.mark.parametrize("catch_all", [False, True])
@pytest.mark.parametrize("dressed", ["{}", " {} ", "openai/{}", "azure/{}", "models/{}", "{}-latest", "{}@20250101"])
@pytest.mark.parametrize(
    "name",
    [
        "text-embedding-3-large",
        "Text-Embedding-ADA-002",
        "text-embedding-3",
        "gemini-embedding-2",
        "gemini-embedding-002",
        "gemini-embedding-preview",
        "gemini-embedding-exp-03-07",
        "amazon.titan-embed-text-v1",
    ],
)
def test_no_model_makes_vectors_for_another_embedding_model(name, dressed, catch_all):
    with pytest.raises(NoEndpointError, match="is not deployed") as error:
        ModelNames(EMBEDDING_DIALECTS).resolve(dressed.format(name), catch_all)

    assert (error.value.fault.kind, error.value.fault.status) == (FaultKind.NOT_FOUND, 404)


@pytest.mark.parametrize(
    ("settings", "how"),
    [
        ({"fallbacks": {"embedding": ["text-embedding-3-small"]}}, How.FALLBACK),
        ({"aliases": {"text-embedding-ada-002": "text-embedding-3-small"}}, How.ALIAS),
    ],
)
def test_the_settings_may_let_one_embedding_model_answer_for_another(settings, how):
    name = "text-embedding-ada-002"

    assert Resolution("text-embedding-3-small", name, how) == ModelNames(EMBEDDING_DIALECTS, **settings).resolve(name)


def test_the_settings_replace_the_fallbacks_of_a_family():
    names = ModelNames(DEPLOYED, fallbacks={"gpt": ["gpt-9", "gpt-4o"]})

    assert names.resolve("gpt-3.5-turbo").model == "gpt-4o"
    assert names.resolve("gemini-1.5-pro").model == "gemini-2.5-pro"


def test_without_fallbacks_no_model_answers_for_another():
    names = ModelNames(DEPLOYED, fallback=False)

    for name in ("gpt-9", "claude-opus-9", "gpt-9-mini"):
        with pytest.raises(NoEndpointError):
            names.resolve(name)
    with pytest.raises(NoEndpointError):
        names.resolve("mistral-tiny", catch_all=True)
    assert How.NORMALISED is names.resolve("gpt-5-latest").how


def test_a_name_of_no_family_is_a_404_that_lists_what_is_deployed():
    with pytest.raises(NoEndpointError) as caught:
        ModelNames(["gpt-5", "b", "a"]).resolve("mistral-tiny")

    fault = caught.value.fault
    assert (fault.kind, fault.status, fault.code, fault.param) == (
        FaultKind.NOT_FOUND,
        404,
        "model_not_found",
        "model",
    )
    assert fault.message == "The model 'mistral-tiny' is not deployed. Deployed: a, b, gpt-5."
    assert caught.value.wait is None


def test_a_proxy_without_deployments_says_so():
    with pytest.raises(NoEndpointError, match=r"Deployed: none\."):
        ModelNames([]).resolve("gpt-5")


def test_a_gpt_answers_for_a_name_of_no_family_only_when_asked_to(names):
    assert names.resolve("mistral-tiny", catch_all=True) == Resolution("gpt-5", "mistral-tiny", How.FALLBACK)
    assert names.resolve("", catch_all=True).model == "gpt-5"
    with pytest.raises(NoEndpointError):
        names.resolve("")


@pytest.mark.parametrize("catch_all", [False, True])
def test_a_gpt_does_not_answer_for_a_claude(catch_all):
    with pytest.raises(NoEndpointError):
        ModelNames(["gpt-4.1"]).resolve("claude-9", catch_all=catch_all)


@given(
    name=st.sampled_from(["text-embedding-9", "gemini-embedding-2", "gpt-9", "claude-9", "gemini-9", "mistral-tiny"]),
    deployed=st.lists(st.sampled_from([*DEPLOYED, "text-embedding-3-large"])),
    fallbacks=st.dictionaries(st.sampled_from(sorted(FALLBACKS)), st.lists(st.sampled_from(DEPLOYED))),
    catch_all=st.booleans(),
)
def test_no_model_that_talks_answers_for_an_embedding_model_nor_the_reverse(name, deployed, fallbacks, catch_all):
    try:
        found = ModelNames(deployed, fallbacks=fallbacks).resolve(name, catch_all)
    except NoEndpointError:
        return

    assert ("embed" in found.model) is ("embed" in name.lower())


NAMES = st.text(st.characters(exclude_categories=["Cc"]), max_size=40)


@given(NAMES.filter(lambda name: "embed" not in name.lower()))
def test_any_name_but_an_embedding_models_is_resolved_when_any_model_may_answer(name):
    names = ModelNames(DEPLOYED)

    assert names.resolve(name, catch_all=True).model in DEPLOYED
    assert names.resolve(name, catch_all=True).requested == name


@pytest.mark.parametrize(
    "name", ["gpt" + "x" * 198, "gpt-4.1\n", "gpt\0", "\x1bgpt", "gpt\x7f", "gpt\x85", "@" * 20_000 + "\nx"]
)
@pytest.mark.parametrize("catch_all", [False, True])
def test_a_name_that_no_model_can_have_is_the_callers_mistake_and_no_fallback_answers_for_it(name, catch_all):
    names = ModelNames(DEPLOYED, {name: "gpt-5"}, unlisted=lambda: Unlisted(("us",), 3.0))
    with pytest.raises(NoEndpointError) as caught:
        names.resolve(name, catch_all)
    fault = caught.value.fault

    assert (fault.kind, fault.status, fault.param) == (FaultKind.INVALID_REQUEST, 400, "model")
    assert fault.message == "model must be a name of at most 200 characters, none of them a control character"
    assert not names.knows(name)


def test_a_name_of_200_characters_is_a_name(names):
    assert names.resolve("gpt" + "x" * 197).model == "gpt-5"


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("gemini-2.5-pro-preview-05-06-001", "gemini-2.5-pro"),
        ("gemini-2.5-exp-pro", "gemini-2.5-exp-pro-latest"),
        ("claude-sonnet-4-5-20250929-v1-latest", SONNET),
        ("gpt-4.1[1m]@2025", "gpt-4.1"),
    ],
)
def test_a_run_of_suffixes_is_taken_off_and_one_within_the_name_stays(name, same):
    assert identity(name) == identity(same)
    assert identity("gemini-2.5-exp-pro") != identity("gemini-2.5-pro")


def test_the_rules_outlive_a_change_of_what_is_deployed():
    before = ModelNames(["gpt-5"], {"fast": "gpt-5-mini"}, {"gpt": ["gpt-4o"]})
    after = before.deploying(["gpt-5-mini", "gpt-4o"])

    assert after.deployed == ("gpt-5-mini", "gpt-4o")
    assert after.resolve("fast").model == "gpt-5-mini"
    assert after.resolve("gpt-3").model == "gpt-4o"
    with pytest.raises(NoEndpointError):
        ModelNames([], fallback=False).deploying(["gpt-4.1"]).resolve("gpt-3")


def test_while_a_subaccount_is_not_listed_a_name_that_is_not_known_may_be_soon():
    names = ModelNames(["gpt-4.1"], {"fast": "gpt-4.1", "smart": "gpt-5"}, unlisted=lambda: Unlisted(("us", "ap"), 3.0))
    for name in ("gpt-5", "smart", "mistral-tiny"):
        with pytest.raises(NoEndpointError) as caught:
            names.resolve(name, catch_all=True)
        fault = caught.value.fault

        assert (fault.kind, fault.status, fault.retry_after) == (FaultKind.UNAVAILABLE, 503, 3.0)
        assert (
            fault.message
            == f"The model '{name}' is not known yet: the proxy has not listed the deployments of us, ap yet."
        )
    for name in ("gpt-4.1", "fast", "gpt-4.1-2025-04-14"):
        assert names.resolve(name).model == "gpt-4.1"


def test_what_is_listed_late_is_heard_of_by_all_rules_made_of_the_settings():
    missing = ["us"]
    policy = Policy(aliases={"fast": "gpt-5"}, fallbacks={"gpt": ("gpt-4o",)})
    names = ModelNames.configured(policy, lambda: Unlisted(tuple(missing))).deploying(["gpt-4o"])
    with pytest.raises(NoEndpointError, match="not known yet"):
        names.resolve("fast")
    missing.clear()

    assert names.resolve("fast") == Resolution("gpt-4o", "fast", How.FALLBACK)
    assert names.deploying(["gpt-4o", "gpt-5"]).resolve("fast").model == "gpt-5"
