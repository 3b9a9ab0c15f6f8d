"""The proxy started as Cloud Foundry starts it, with an AI Core bound to it, and watched as Docker watches it."""

import json
import os
import subprocess
from pathlib import Path

import yaml

from tests.support.dockerfile import Dockerfile, environment
from tests.support.processes import COMMAND, PATIENCE, answers, free_port, new_place, until
from tests.support.running import KEY, Cloud, Proxy
from tests.support.sources import ROOT

MANIFEST = ROOT / "deploy/cloud-foundry/manifest.yml"
IMAGE = Dockerfile.read(ROOT / "deploy/docker/Dockerfile")
HELLO = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello"}]}


def test_cloud_foundry_serves_the_ai_core_that_is_bound_and_docker_sees_whether_it_is_alive(
    shared_cloud: Cloud, tmp_path: Path
) -> None:
    [application] = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["applications"]
    [check] = [json.loads(each.partition(" CMD ")[2]) for each in IMAGE.all("HEALTHCHECK")]
    credentials = next(iter(shared_cloud.tenants.values()))["service_key"]
    place, port, admin = new_place(tmp_path), free_port(), free_port()
    env = place.env | environment(application, {"proxy_key": KEY})
    env |= {
        "PATH": f"{Path(COMMAND[0]).parent}:{os.environ['PATH']}",
        "PORT": str(port),
        "VCAP_SERVICES": json.dumps({"aicore": [{"name": "aicore", "credentials": credentials}]}),
        "SAP_AI_PROXY_HOST": "127.0.0.1",
        "SAP_AI_PROXY_SERVER__ADMIN_PORT": str(admin),
    }

    def alive() -> bool:
        return subprocess.run(check, check=False, env=env, stderr=subprocess.DEVNULL, timeout=PATIENCE).returncode == 0

    assert not alive()

    with (tmp_path / "said").open("w+") as said:
        process = subprocess.Popen(["bash", "-c", application["command"]], cwd=place.folder, env=env, stderr=said)
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/ready"), amiss=(tmp_path / "said").read_text)
            proxy = Proxy(f"http://127.0.0.1:{port}", None, shared_cloud)  # type: ignore[arg-type]  # it is elsewhere
            answer = proxy.ask("POST", "/v1/chat/completions", HELLO)

            assert (answer.status, alive()) == (200, True), answer.body
        finally:
            process.terminate()
            code = process.wait(PATIENCE)

    assert (code, alive()) == (0, False)
