"""The log of a running proxy, for people and for programs."""

import json
import re
import urllib.request
from pathlib import Path

import pytest

from tests.support.processes import free_port, new_place, until
from tests.support.running import KEY

BODY = json.dumps({"model": "gpt-5.5", "messages": [{"role": "user", "content": "Hello"}]}).encode()
ON_DISK = re.compile(r"^\{.*\}$", re.MULTILINE)


@pytest.mark.parametrize("arguments", [("--log-format", "json"), ()], ids=["json", "text"])
def test_each_line_of_a_json_log_is_an_object_and_a_request_is_its_fields(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    port = free_port()
    with new_place(tmp_path).running("--demo", "--port", str(port), *arguments) as run:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/chat/completions",
            BODY,
            {"Authorization": f"Bearer {KEY}", "X-Request-Id": "r-1"},
        )
        until(lambda: _answered(asked))
        until(lambda: "r-1" in run.said)
        # A log for programs has nothing else in it, from the first line to the last.
        lines = [json.loads(line) for line in (run.said.splitlines() if arguments else ON_DISK.findall(run.said))]

    of_request = [line for line in lines if line.get("id") == "r-1"]
    assert len(of_request) == (1 if arguments else 0)
    for line in of_request:
        assert (line["level"], line["logger"], line["status"]) == ("info", "sap_ai_proxy.exchange", 200)
        assert line["model"] == "gpt-5.5"
    assert bool(re.search(r" 200 gpt-5\.5 .* id=r-1$", run.said, re.MULTILINE)) is (not arguments)


def _answered(asked: urllib.request.Request) -> bool:
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
