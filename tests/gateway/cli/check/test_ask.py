"""One short prompt for every model, through the proxy's own path, against the emulator."""

import json
from contextlib import closing
from dataclasses import replace

import pytest

import emulator
from dialects.core.faults import Fault, FaultKind
from emulator.world import World, orchestration_tenant, tenant
from gateway.cli.check.ask import ask_models, with_answers
from gateway.cli.check.report import Answer, Report, wrong
from gateway.config.loader import load
from routing.protocols import GeminiGenerateProtocol
from tests.gateway.peers import Server, answer, forever
from tests.support.running import Cloud

MODELS = ("gpt-5", "anthropic--claude-4.5-sonnet", "gemini-3.5-flash", "text-embedding-3-small", "gpt-5.3-codex")
PROTOCOLS = {
    "gpt-5": "openai-chat",
    "anthropic--claude-4.5-sonnet": "claude-converse",
    "gemini-3.5-flash": "gemini-generate",
    "text-embedding-3-small": "embeddings",
    "gpt-5.3-codex": "openai-responses",
}


@pytest.fixture(scope="module")
def cloud():
    world = World((tenant("eu", "default", MODELS, 2), orchestration_tenant("ap", "default")))
    with emulator.serve(world) as running:
        yield Cloud(running.url)


@pytest.fixture
def settings(cloud, tmp_path):
    """Settings with these models of two subaccounts; orchestration serves one."""
    cloud.heal()
    cloud.forget()

    def of(*models, orchestrated=False, **more):
        tenants = cloud.tenants
        listed = {model: [{"id": each} for each in cloud.deployments(model, "eu")] for model in models}
        accounts = {"eu": {"service_key": tenants["eu"]["service_key"], "deployment_ids": listed}}
        if orchestrated:
            [deployment] = tenants["ap"]["deployments"]
            by_hand = {"gpt-5": [{"id": deployment["id"], "orchestration": True}]}
            accounts["ap"] = {"service_key": tenants["ap"]["service_key"], "deployment_ids": by_hand}
        (tmp_path / "config.json").write_text(json.dumps({"subAccounts": accounts, **more}))
        return load(tmp_path / "config.json", {}, tmp_path)

    return of


def test_each_model_is_asked_once_in_each_subaccount_in_its_own_protocol(settings, cloud):
    counts = []
    answers = ask_models(settings(*MODELS, orchestrated=True), asked=lambda number, of: counts.append((number, of)))

    assert {(each.subaccount, each.model): each.protocol for each in answers} == {
        **{("eu", model): protocol for model, protocol in PROTOCOLS.items()},
        ("ap", "gpt-5"): "orchestration",
    }
    assert all(each.ok and each.text and each.seconds > 0 for each in answers)
    assert [each.text for each in answers if each.protocol == "embeddings"] == ["1536 numbers"]
    assert [each["status"] for each in cloud.requests()] == [200] * 6
    assert counts == [(number, 6) for number in range(1, 7)]


def test_the_time_to_the_first_word_is_that_of_the_upstream(settings, cloud):
    for deployment in cloud.deployments("gpt-5", "eu"):
        cloud.fault(deployment, "slow", delay=0.15)
    [answer] = ask_models(settings("gpt-5"))

    assert answer.ok
    assert 0.15 <= answer.seconds < 30


def test_a_model_that_does_not_answer_has_its_reason(settings, cloud):
    for deployment in cloud.deployments("gpt-5", "eu"):
        cloud.fault(deployment, "403-provider", message="You have no access to this model.")
    answers = {each.model: each for each in ask_models(settings("gpt-5", "gemini-3.5-flash"))}

    assert answers["gemini-3.5-flash"].ok
    assert answers["gpt-5"].seconds is None
    assert "You have no access to this model" in answers["gpt-5"].error


def test_an_answer_that_breaks_off_is_no_answer(settings, cloud):
    for deployment in cloud.deployments("gpt-5", "eu"):
        cloud.fault(deployment, "cut", after_events=4)
    [answer] = ask_models(settings("gpt-5"))

    assert not answer.ok
    assert answer.fault.kind is FaultKind.STREAM_BROKEN


def test_a_protocol_of_the_users_own_that_fails_hides_no_other_answer(settings):
    class Broken(GeminiGenerateProtocol):
        def build_endpoint(self, *_, **__):
            raise RuntimeError("a defect")

    class Extension:
        @staticmethod
        def extend(router):
            router.register_converter("gemini-*", Broken())

    given = replace(settings("gpt-5", "gemini-3.5-flash"), extensions=(Extension,))
    answers = {each.model: each for each in ask_models(given)}

    assert answers["gpt-5"].ok
    assert "RuntimeError" in answers["gemini-3.5-flash"].error


def test_an_answer_of_thoughts_alone_is_no_answer(settings, cloud, tmp_path):
    begun = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": " "}, "finish_reason": None}]}
    ended = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    events = "".join(f"data: {json.dumps({'id': 'c1', 'model': 'gpt-4.1', **each})}\n\n" for each in (begun, ended))
    silent = answer(f"{events}data: [DONE]\n\n".encode(), headers=b"Content-Type: text/event-stream\r\n")
    with closing(Server(forever(silent))) as there:
        listed = {"gpt-4.1": [f"{there.url}/v2/inference/deployments/d2"]}
        account = {"service_key": cloud.tenants["eu"]["service_key"], "deployment_models": listed}
        (tmp_path / "config.json").write_text(json.dumps({"subAccounts": {"eu": account}}))
        [said] = ask_models(load(tmp_path / "config.json", {}, tmp_path))

    assert (said.error, said.seconds) == ("it sent no text within 4000 tokens", None)


def test_no_model_may_take_longer_than_the_limit(settings, cloud):
    for deployment in cloud.deployments("gpt-5", "eu"):
        cloud.fault(deployment, "hang")
    [answer] = ask_models(settings("gpt-5"), seconds=0.3)

    assert answer.error == "The request took longer than the proxy allows"


def test_a_model_that_fails_at_one_deployment_is_asked_at_the_next_as_a_client_s_would_be(settings, cloud):
    first, _ = cloud.deployments("gpt-5", "eu")
    cloud.fault(first, "503")
    [answer] = ask_models(settings("gpt-5"))

    assert answer.ok


def test_whoever_stops_it_waits_for_nobody(settings, cloud):
    """A hanging model does not keep the command from ending."""
    for deployment in cloud.deployments("gpt-5", "eu"):
        cloud.fault(deployment, "hang")

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask_models(settings("gemini-3.5-flash", "gpt-5"), seconds=600.0, asked=stop)


def test_what_did_not_answer_is_to_be_put_right_unless_that_is_known_already(made):
    known = wrong("not_running", "eu", "gpt-4.1 (d1) is STOPPED", models=("gpt-4.1",))
    forbidden = Fault(FaultKind.REQUEST_FORBIDDEN, "No access.", 403)
    refused = Fault(FaultKind.INVALID_REQUEST, "No such field.", 400)
    answers = (
        Answer("eu", "gpt-4.1", "openai-chat", error="It does not run", fault=forbidden),
        Answer("us", "gpt-4.1", "openai-chat", error="No access", fault=forbidden),
        Answer("us", "gpt-5", "openai-chat", error="No such field", fault=refused),
        Answer("us", "gpt-5.5", "openai-chat", 0.1, "hello"),
    )
    report = with_answers(Report((), (known,)), answers, made.adviser())

    assert [(each.subaccount, each.code, each.what) for each in report.wrong[1:]] == [
        ("us", "forbidden", "gpt-4.1 does not answer: No access"),
        ("us", "refused", "gpt-5 does not answer: No such field"),
    ]
    assert all(each.fix for each in report.wrong[1:])
    assert (report.answers, report.exit_code) == (answers, 1)


def test_a_subaccount_without_deployments_is_asked_nothing(settings, cloud):
    given = settings()
    cloud.forget()

    assert ask_models(given) == ()
    assert cloud.ask("GET", "/admin/requests") == []
