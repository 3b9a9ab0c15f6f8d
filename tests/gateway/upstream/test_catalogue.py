"""The catalogue of models: read leniently, asked for when it is due, kept when a later look-up fails."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.config.service_keys import Secret, ServiceKey
from gateway.config.subaccounts import SubAccount
from gateway.upstream.catalogue import EVERY, PATH, RETRY, Catalogue, CatalogueModel, read_catalogue
from tests.support.processes import until

PRO = {
    "model": "gemini-2.5-pro",
    "executableId": "gcp-vertexai",
    "provider": "Google",
    "accessType": "Remote",
    "allowedScenarios": [
        {"scenarioId": "foundation-models", "executableId": "gcp-vertexai"},
        {"scenarioId": "orchestration", "executableId": "orchestration"},
    ],
    "versions": [
        {"name": "001", "isLatest": False, "deprecated": True, "retirementDate": "2026-03-01", "contextLength": 32768},
        {
            "name": "002",
            "isLatest": True,
            "deprecated": True,
            "retirementDate": "2026-10-16T00:00:00Z",
            "contextLength": 1048576,
            "inputTypes": ["text", "Image"],
            "capabilities": ["text-generation"],
            "streamingSupported": True,
            "orchestrationCapabilities": ["streaming"],
            "metadata": [{"maxOutputTokens": "65536"}],
            "cost": [{"inputCost": "0.001"}],
            "suggestedReplacements": ["gemini-3.5-flash"],
        },
    ],
}
MISSING = Fault(FaultKind.NOT_FOUND, "Resource not found", 404)


def account(name="eu"):
    return SubAccount(name, "team-a", ServiceKey("id", Secret("s"), "https://auth/oauth/token", "https://api/v2"), {})


def only(raw):
    (model,) = read_catalogue(account(), lambda *_: {"count": 1, "resources": [raw]}).values()
    return model


def version(**said):
    return only({"model": "m", "versions": [{"isLatest": True, **said}]})


class Answers:
    """A management API that gives one answer after another, the last one for ever; faults are raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, subaccount, path):
        self.asked.append((subaccount.name, path))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Fault):
            raise FaultError(answer)
        return answer


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def listing(*models):
    return {"count": len(models), "resources": [{"model": model, "versions": []} for model in models]}


def test_a_model_is_read_by_its_latest_version():
    assert only(PRO) == CatalogueModel(
        "gemini-2.5-pro",
        executable="gcp-vertexai",
        orchestration=True,
        context_length=1048576,
        max_output=65536,
        input_types=("text", "image"),
        streaming=True,
        deprecated=True,
        retirement_date=date(2026, 10, 16),
        replacements=("gemini-3.5-flash",),
        version_ends={"001": date(2026, 3, 1), "002": date(2026, 10, 16)},
    )


@pytest.mark.parametrize(
    ("served", "ends"), [("001", date(2026, 3, 1)), ("latest", date(2026, 10, 16)), ("", date(2026, 10, 16))]
)
def test_each_version_has_an_end_of_its_own(served, ends):
    assert only(PRO).ends(served) == ends


def test_a_version_that_has_no_end_does_not_end_with_the_latest():
    said = [{"name": "1", "retirementDate": ""}, {"name": "2", "isLatest": True, "retirementDate": "2026-10-16"}]

    assert only({"model": "m", "versions": said}).ends("1") is None


def test_without_a_version_marked_as_latest_the_last_one_counts():
    assert only({"model": "m", "versions": [{"contextLength": 1}, {"contextLength": 2}]}).context_length == 2


@pytest.mark.parametrize(
    ("scenarios", "capabilities", "orchestration"),
    [
        ([{"scenarioId": "orchestration"}], [], True),
        ([{"scenarioId": "foundation-models"}], ["streaming"], True),
        ([{"scenarioId": "foundation-models"}], [], False),
        (None, None, False),
    ],
)
def test_orchestration_serves_what_is_allowed_there_or_can_do_something_there(scenarios, capabilities, orchestration):
    said = [{"isLatest": True, "orchestrationCapabilities": capabilities}]

    assert only({"model": "m", "allowedScenarios": scenarios, "versions": said}).orchestration is orchestration


@pytest.mark.parametrize(
    ("said", "count"),
    [
        (128000, 128000),
        ("128000", 128000),
        (128000.0, 128000),
        (0, None),
        (-1, None),
        (True, None),
        ("many", None),
        ("9" * 400, None),
        (10**30, None),
        (float("nan"), None),
        (None, None),
        ([1], None),
    ],
)
def test_a_context_length_is_a_number_or_unknown(said, count):
    assert version(contextLength=said).context_length == count


@pytest.mark.parametrize(
    "said",
    [
        {"metadata": [{"maxOutputTokens": "4096"}]},
        {"metadata": [{"description": "x"}, {"max_output_tokens": 4096}]},
        {"metadata": {"Output Token Limit": 4096}},
        {"metadata": [{"name": "maxOutputTokens", "value": "4096"}]},
        {"metadata": [{"key": "max-completion-tokens", "value": 4096}]},
        {"maxOutputTokens": 4096},
    ],
)
def test_the_longest_answer_is_found_under_its_usual_names(said):
    assert version(**said).max_output == 4096


@pytest.mark.parametrize("said", [{}, {"metadata": "4096"}, {"metadata": [{"name": "x", "value": {"a": 1}}, 7]}])
def test_a_longest_answer_that_is_not_said_is_unknown(said):
    assert version(**said).max_output is None


@pytest.mark.parametrize("said", ["", "soon", None, 20261016, "2026-13-01"])
def test_an_end_that_is_no_date_is_none(said):
    assert version(retirementDate=said).retirement_date is None


@pytest.mark.parametrize(
    ("said", "replacements"),
    [
        (["gpt-5.4", " gpt-5.5 ", 7, ""], ("gpt-5.4", "gpt-5.5")),
        ("gpt-5.4, gpt-5.5", ("gpt-5.4", "gpt-5.5")),
        (None, ()),
        ({"a": 1}, ()),
    ],
)
def test_replacements_are_a_list_or_one_text(said, replacements):
    assert version(suggestedReplacements=said).replacements == replacements


@pytest.mark.parametrize(("said", "streaming"), [(True, True), (False, False), ("False", False), (None, True)])
def test_a_model_streams_unless_it_is_said_that_it_does_not(said, streaming):
    assert version(streamingSupported=said).streaming is streaming


@pytest.mark.parametrize("answer", [None, 7, "models", {}, {"resources": 3}, {"resources": [None, 7, {}, []]}])
def test_what_is_no_catalogue_has_no_models(answer):
    assert read_catalogue(account(), lambda *_: answer) == {}


@pytest.mark.parametrize(
    "odd", [{"versions": []}, {"model": 7}, {"model": " "}, {"model": "a\nb"}, {"model": "x" * 201}]
)
def test_a_model_without_a_name_hides_no_other(odd):
    found = read_catalogue(account(), lambda *_: {"resources": [odd, {"model": "gpt-5.4", "versions": None}]})

    assert list(found) == ["gpt-5.4"]


@pytest.mark.parametrize("odd", [{"a": 1}, ["x"], 7, None, 1.5, True])
@pytest.mark.parametrize(
    "place",
    [
        lambda odd: {"allowedScenarios": [{"scenarioId": odd}]},
        lambda odd: {"allowedScenarios": odd},
        lambda odd: {"versions": [{"metadata": [{"name": odd, "value": 1}]}]},
        lambda odd: {"versions": [{"metadata": [{"key": odd, "value": odd}]}]},
        lambda odd: {"versions": [{"metadata": [{"maxOutputTokens": odd}]}]},
        lambda odd: {"versions": [{"name": odd, "isLatest": odd, "retirementDate": odd, "inputTypes": [odd]}]},
        lambda odd: {"versions": [{"streamingSupported": odd, "deprecated": odd, "suggestedReplacements": [odd]}]},
    ],
    ids=["scenario", "scenarios", "name", "key", "count", "version", "flags"],
)
def test_an_odd_value_anywhere_hides_no_model(place, odd):
    found = read_catalogue(account(), lambda *_: {"resources": [{"model": "odd", **place(odd)}, {"model": "gpt-5.4"}]})

    assert list(found) == ["odd", "gpt-5.4"]


def test_whatever_reading_raises_the_catalogue_cannot_be_read_and_what_it_had_is_kept(caplog):
    answers, clock = Answers(listing("a"), None), Clock()

    def get(*asked):
        found = answers(*asked)
        return {}[asked] if found is None else found

    catalogue = Catalogue([account()], get, clock)
    catalogue.look_up(account())
    clock.now += EVERY
    with caplog.at_level(logging.INFO):
        kept = list(catalogue.look_up(account()))

    assert kept == ["a"]
    assert [text.partition(": ")[0] for text in caplog.messages] == ["cannot read the catalogue of models of eu"]


@pytest.mark.parametrize("answer", [listing("a"), MISSING], ids=["answered", "failed"])
def test_two_that_find_a_catalogue_due_share_one_answer(answer):
    """So that none can put back, with a failure of its own, what was there before the other's answer."""
    answers, begun, let_go = Answers(answer), threading.Event(), threading.Event()

    def get(*asked):
        begun.set()
        let_go.wait(60)
        return answers(*asked)

    catalogue = Catalogue([account()], get, Clock())
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(catalogue.look_up, account())
        begun.wait(60)
        second = threads.submit(catalogue.look_up, account())
        until(second.running)
        let_go.set()
        found = [list(each.result(60)) for each in (first, second)]

    assert found == [[] if answer is MISSING else ["a"]] * 2
    assert answers.asked == [("eu", PATH)]


def test_a_catalogue_is_asked_for_again_when_it_is_due():
    get, clock = Answers(listing("a"), listing("a", "b")), Clock()
    catalogue = Catalogue([account()], get, clock)
    first = list(catalogue.look_up(account()))
    clock.now += EVERY - 1
    early = list(catalogue.look_up(account()))
    clock.now += 1
    later = list(catalogue.look_up(account()))

    assert (first, early, later) == (["a"], ["a"], ["a", "b"])
    assert get.asked == [("eu", PATH), ("eu", PATH)]


def test_a_catalogue_is_asked_for_once_where_it_is_never_due_again():
    get, clock = Answers(listing("a")), Clock()
    catalogue = Catalogue([account()], get, clock, every=0)
    catalogue.look_up(account())
    clock.now += 1e9
    catalogue.look_up(account())

    assert len(get.asked) == 1


@pytest.mark.parametrize("later", [MISSING, listing(), "unreadable"])
def test_what_was_listed_is_kept_when_a_later_look_up_brings_nothing(later):
    get, clock = Answers(listing("a"), later), Clock()
    catalogue = Catalogue([account()], get, clock)
    catalogue.look_up(account())
    clock.now += EVERY

    assert list(catalogue.look_up(account())) == ["a"]


def test_a_catalogue_that_cannot_be_read_is_logged_once_and_asked_for_again_soon(caplog):
    get, clock = Answers(MISSING, MISSING, listing("a")), Clock()
    catalogue = Catalogue([account()], get, clock)
    with caplog.at_level(logging.INFO):
        found = [list(catalogue.look_up(account()))]
        for _ in range(2):
            clock.now += RETRY
            found.append(list(catalogue.look_up(account())))

    assert found == [[], [], ["a"]]
    assert clock.now < 1000 + EVERY
    assert caplog.messages == ["cannot read the catalogue of models of eu: Resource not found"]


def test_the_first_subaccount_that_lists_a_model_says_what_it_is():
    def get(subaccount, _):
        length = 1 if subaccount.name == "eu" else 2
        names = ["both", subaccount.name]
        return {"resources": [{"model": name, "versions": [{"contextLength": length}]} for name in names]}

    catalogue = Catalogue([account("eu"), account("us")], get, Clock())
    catalogue.look_up(account("us"))
    catalogue.look_up(account("eu"))

    assert {name: model.context_length for name, model in catalogue.models().items()} == {"both": 1, "eu": 1, "us": 2}
    assert set(catalogue.of("us")) == {"both", "us"}
