"""The labels under which SAP AI Core notes a request, from the config file to the request that arrives there."""

from pathlib import Path

import pytest

from tests.support.running import Cloud, running_proxy
from tests.support.talking import request_of


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_request_arrives_with_the_configured_labels_and_the_name_of_its_caller(
    shared_cloud: Cloud, tmp_path: Path, stream: bool
) -> None:
    shared_cloud.forget()
    configured = {"labels": {"team": "search"}, "caller_label": "caller", "persistence_mode": "metadata"}
    with running_proxy(shared_cloud, tmp_path, upstream={"observability": configured}) as proxy:
        path, body = request_of("chat", "gpt-4.1", stream=stream)
        answer = proxy.ask("POST", path, body)
        caller = proxy.gateway.auth.admit(["sk-demo"])
    assert caller is not None
    [sent] = [each["headers"] for each in shared_cloud.requests()]

    assert answer.status == 200
    assert sent["ai-client-type"] == "SAP AI Core LLM proxy"
    assert sent["ai-inference-observability-persistence-mode"] == "metadata"
    assert (
        sent["ai-inference-observability-labels"] == f"ext.ai.sap.com/team=search,ext.ai.sap.com/caller={caller.name}"
    )
