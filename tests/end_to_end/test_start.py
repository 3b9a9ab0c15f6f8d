"""What a person sees in a terminal when the proxy starts, with something amiss, and answers."""

import os
import pty
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.processes import COMMAND, PATIENCE, Place, answers, free_port, new_place, until
from tests.support.running import Cloud, Proxy, config_of

GPT, CLAUDE = "gpt-4.1", "anthropic--claude-4.5-sonnet"
HELLO = {"model": GPT, "messages": [{"role": "user", "content": "Hello"}]}
COLOUR = re.compile(r"\x1b\[[\d;]*m")


class Screen:
    """All that was written to a terminal so far."""

    def __init__(self, terminal: int) -> None:
        self.said = ""
        self._terminal = terminal
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError):  # nobody has it open any more
            while piece := os.read(self._terminal, 65536):
                self.said += piece.decode()

    def shows(self, pattern: str) -> str:
        """Wait for a line, and give it without its colours."""
        found = until(lambda: re.search(f"^.*{pattern}.*$", COLOUR.sub("", self.said).replace("\r", ""), re.MULTILINE))
        assert found, self.said
        return found[0]


@contextmanager
def terminal_running(place: Place, *arguments: str, **env: str) -> Iterator[Screen]:
    """Run the command in a terminal."""
    main, terminal = pty.openpty()
    wanted = {**place.env, "TERM": "xterm", **env}
    if not wanted["NO_COLOR"]:
        del wanted["NO_COLOR"]
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=place.folder, env=wanted, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    try:
        yield Screen(main)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        os.close(main)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path)


def test_a_terminal_shows_what_is_served_what_is_amiss_and_each_request_in_colours(place: Place, cloud: Cloud) -> None:
    port = free_port()
    config = config_of(cloud, {GPT: [], CLAUDE: []})
    eu, us = config["subAccounts"].values()
    us["service_key"]["clientsecret"] = "wrong-secret"
    del us["deployment_models"][GPT], eu["deployment_models"][CLAUDE][1:]
    stopped = eu["deployment_models"][CLAUDE][0].rpartition("/")[2]
    cloud.ask("PUT", f"/admin/deployments/{stopped}", {"status": "STOPPED"})
    place.write("config.json", {**config, "port": port})
    with terminal_running(place, NO_COLOR="") as screen:
        screen.shows("models    2 in eu and us")
        assert until(lambda: answers(f"http://127.0.0.1:{port}/health"))
        proxy = Proxy(f"http://127.0.0.1:{port}", None, cloud)  # type: ignore[arg-type]  # it is in other processes
        told = proxy.ask("POST", "/v1/chat/completions", HELLO)
        line, amiss = screen.shows(r" 200 gpt-4\.1 "), screen.shows("Problems: ")

        assert told.status == 200
        assert "x-proxy-demo" not in told.headers
        assert re.search(r" 200 gpt-4\.1 +eu/\w+ +first=\d+ms +total=\d+ms +in=\d+ out=\d+ +stop=end client=", line)
        assert "\x1b[32m200 \x1b[0m" in screen.said
        assert "1 model is served from eu (gpt: gpt-4.1). Problems: us: no token: " in amiss
        assert f"{CLAUDE} (eu/{stopped}): the deployment's status is STOPPED" in amiss
        assert amiss.endswith(". Run `sap-ai-proxy check` for advice")
        assert "wrong-secret" not in screen.said
        assert screen.said.count("Problems: ") == 1
