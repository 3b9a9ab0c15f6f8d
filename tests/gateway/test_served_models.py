"""What is said of served models: by the catalogue first, and else by what is built in."""

import logging
import threading
from datetime import date

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.config.service_keys import Secret, ServiceKey
from gateway.config.subaccounts import SubAccount
from gateway.served_models import EndingsLog, ServedModels
from gateway.upstream.catalogue import EVERY, RETRY, Catalogue, CatalogueRefresher

EU = SubAccount("eu", "team-a", ServiceKey("id", Secret("s"), "https://auth/oauth/token", "https://api/v2"), {})
TODAY = date(2026, 11, 27)


def entry(model, *older, **version):
    return {"model": model, "versions": [*older, {"name": "9", "isLatest": True, **version}]}


class Tenant:
    """A tenant whose catalogue lists *models*; None while it has none."""

    def __init__(self, *models):
        self.models = models

    def __call__(self, *_):
        if self.models is None:
            raise FaultError(Fault(FaultKind.NOT_FOUND, "Resource not found", 404))
        return {"resources": list(self.models)}


def served(*models):
    catalogue = Catalogue([EU], Tenant(*models), lambda: 0.0)
    catalogue.look_up(EU)
    return ServedModels(catalogue)


def endings(models, *names, today=TODAY):
    return [str(each) for each in models.endings(dict.fromkeys(names, ()), today)]


def test_the_catalogue_outranks_what_is_built_in():
    said = {"contextLength": 555, "metadata": [{"maxOutputTokens": 44}], "inputTypes": ["text"], "deprecated": True}
    info = served(entry("gpt-5", retirementDate="2027-01-01", suggestedReplacements=["gpt-6"], **said)).describe(
        "gpt-5"
    )

    assert (info.context_length, info.max_output, info.input_types) == (555, 44, ("text", "file"))
    assert (info.deprecated, info.ends, info.successors) == (True, date(2027, 1, 1), ("gpt-6",))


def test_a_model_is_streamed_unless_the_catalogue_says_that_it_is_not():
    models = served(entry("gpt-5.6-luna", streamingSupported=False), entry("gpt-5", streamingSupported=True))

    assert not models.streams("gpt-5.6-luna")
    assert not models.streams("azure/GPT-5.6-Luna")
    assert [models.streams(name) for name in ("gpt-5", "unlisted")] == [True, True]


def test_what_the_catalogue_does_not_say_is_built_in():
    info = served(entry("gpt-5")).describe("gpt-5")

    assert (info.context_length, info.max_output, info.input_types) == (400_000, 128_000, ("text", "image", "file"))


def test_a_model_that_lives_by_the_catalogue_has_no_end_that_is_built_in():
    info = served(entry("gemini-2.5-pro", retirementDate="")).describe("gemini-2.5-pro")

    assert (info.deprecated, info.ends) == (False, None)


@pytest.mark.parametrize("name", ["claude-4.5-sonnet", "anthropic--claude-4.5-sonnet", "claude-sonnet-4-5"])
def test_a_model_is_found_in_the_catalogue_however_it_is_spelled(name):
    assert served(entry("anthropic--claude-4.5-sonnet", contextLength=7)).describe(name).context_length == 7


def test_an_alias_is_described_as_its_model():
    info = served(entry("gpt-5", contextLength=7)).describe("best", "gpt-5")

    assert (info.name, info.context_length) == ("best", 7)


def test_successors_lead_on_to_those_of_successors():
    models = served(entry("a", suggestedReplacements=["b"]), entry("b", suggestedReplacements=["a", "c"]), entry("c"))

    assert models.successors()["a"] == ("b", "c")
    assert "c" not in models.successors()


def test_successors_are_put_together_once_for_each_catalogue():
    now, tenant = [0.0], Tenant(entry("a", suggestedReplacements=["b"]))
    catalogue = Catalogue([EU], tenant, lambda: now[0])
    models = ServedModels(catalogue)
    before = models.successors()
    catalogue.look_up(EU)
    known = models.successors()
    again = models.successors()
    tenant.models = [entry("a", suggestedReplacements=["c"])]
    now[0] = EVERY
    catalogue.look_up(EU)

    assert ("a" in before, known["a"], models.successors()["a"]) == (False, ("b",), ("c",))
    assert again is known


def test_successors_are_built_in_where_the_catalogue_does_not_list_a_model():
    assert served().successors()["gemini-2.5-pro"] == ("gemini-3.5-flash",)
    assert "gemini-2.5-pro" not in served(entry("gemini-2.5-pro")).successors()


@pytest.mark.parametrize(
    ("today", "said"),
    [
        (date(2026, 8, 16), []),
        (date(2026, 8, 17), ["m ends on 2026-10-16; deploy n"]),
        (date(2026, 10, 16), ["m ends on 2026-10-16; deploy n"]),
        (date(2026, 10, 17), ["m ended on 2026-10-16; deploy n"]),
    ],
)
def test_a_model_is_warned_of_from_60_days_before_its_end(today, said):
    models = served(entry("m", retirementDate="2026-10-16", suggestedReplacements=["n"]), entry("n"))

    assert endings(models, "m", "n", today=today) == said


def test_what_was_found_out_on_one_day_or_before_a_look_up_does_not_count_later():
    now, tenant = [0.0], Tenant(entry("m", retirementDate="2026-10-16"))
    catalogue = Catalogue([EU], tenant, lambda: now[0])
    models = ServedModels(catalogue)
    said = [endings(models, "m")]
    for today in (date(2026, 1, 1), TODAY):
        catalogue.look_up(EU)
        said.append(endings(models, "m", today=today))
    tenant.models = [entry("m", retirementDate="2026-10-17")]
    now[0] = EVERY
    catalogue.look_up(EU)

    assert said == [[], [], ["m ended on 2026-10-16"]]
    assert endings(models, "m") == ["m ended on 2026-10-17"]


def test_what_is_to_be_deployed_has_not_ended_itself():
    chain = (
        entry("a", retirementDate="2026-01-01", suggestedReplacements=["b"]),
        entry("b", retirementDate="2026-02-01", suggestedReplacements=["c"]),
        entry("c", retirementDate="2027-02-01"),
    )

    assert endings(served(*chain), "a") == ["a ended on 2026-01-01; deploy c"]
    assert endings(served(*chain[:2]), "a") == ["a ended on 2026-01-01; deploy c"]
    assert endings(served(chain[0], chain[1] | {"versions": [{"retirementDate": "2026-02-01"}]}), "a") == [
        "a ended on 2026-01-01"
    ]


def test_ends_are_built_in_without_a_catalogue():
    assert endings(served(), "gemini-2.5-pro", "gemini-3.5-flash", "o3-mini") == [
        "gemini-2.5-pro ended on 2026-10-16; deploy gemini-3.5-flash",
        "o3-mini ended on 2026-08-02; deploy gpt-5.4-mini",
    ]


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"1"}, ["m in version 1 ended on 2026-03-01; deploy its latest version"]),
        ({"1", "latest"}, ["m in version 1 ended on 2026-03-01; deploy its latest version"]),
        ({"latest"}, []),
        ({""}, []),
        ((), []),
    ],
)
def test_a_version_that_runs_may_end_before_its_model(versions, said):
    models = served(entry("m", {"name": "1", "isLatest": False, "retirementDate": "2026-03-01"}))

    assert [str(each) for each in models.endings({"m": versions}, TODAY)] == said


def test_endings_are_told_as_json():
    (ending,) = served().endings({"gemini-2.5-pro": ()}, TODAY)

    assert ending.as_json == {
        "model": "gemini-2.5-pro",
        "version": None,
        "on": "2026-10-16",
        "ended": True,
        "successor": "gemini-3.5-flash",
    }


def test_an_ending_is_logged_once_and_when_it_becomes_known(caplog):
    now = [0.0]
    tenant = Tenant()
    tenant.models = None
    catalogue = Catalogue([EU], tenant, lambda: now[0])
    names = {"m": frozenset()}
    log = EndingsLog(ServedModels(catalogue), lambda: names, lambda: TODAY)
    refresher = CatalogueRefresher([EU], catalogue, log.write)
    logged = []
    with caplog.at_level(logging.WARNING):
        for step in range(4):
            if step == 1:
                tenant.models = [entry("m", retirementDate="2026-10-16")]
                now[0] = RETRY
            if step == 2:
                names["o1"] = frozenset()
            refresher.refresh()
            logged.append(list(caplog.messages))

    ended, added = "m ended on 2026-10-16", "o1 ended on 2026-07-15; deploy gpt-5.5"
    assert logged == [[], [ended], [ended, added], [ended, added]]


def test_the_refresher_looks_at_once_and_ends_when_it_is_stopped():
    catalogue = Catalogue([EU], Tenant(entry("m", contextLength=7)), lambda: 0.0)
    looked, running = threading.Event(), threading.active_count()
    refresher = CatalogueRefresher([EU], catalogue, looked.set)
    refresher.start()
    is_looked = looked.wait(10)
    refresher.stop()

    assert is_looked
    assert list(catalogue.of("eu")) == ["m"]
    assert threading.active_count() == running


def test_a_refresher_that_fails_looks_again(caplog):
    catalogue = Catalogue([EU], Tenant(), lambda: 0.0)
    failed = threading.Event()

    def fail():
        failed.set()
        raise ZeroDivisionError

    refresher = CatalogueRefresher([EU], catalogue, fail)
    refresher.start()
    is_failed = failed.wait(10)
    refresher.stop()

    assert is_failed
    assert caplog.messages == ["reading the catalogue of models failed"]
