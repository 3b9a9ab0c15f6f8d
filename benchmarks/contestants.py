"""The gateways that are compared: how to install, start and call each of them."""

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.installing import HERE, NotInstalledError, debian_program, npm_package, virtualenv

KEY = "sk-bench-6f1d8a2c4b7e9053a1c2d3e4f5061728"
"""The client's key, and every other key that a contestant requires."""
GPT = "gpt-5.5"
"""The model for requests without translation, to which all contestants send the same body."""
_JSON = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The upstream's answer: a number of text chunks, and their rate per second. A rate of 0 sends without pauses."""

    chunks: int
    rate: int

    @property
    def name(self) -> str:
        """The schedule in the format of the upstream's paths."""
        return f"c{self.chunks}r{self.rate}"

    @property
    def seconds(self) -> float:
        """The seconds that an answer takes."""
        return self.chunks / self.rate if self.rate else 0.0

    def path(self) -> str:
        """Return the path of the deployment that answers with this schedule."""
        return f"/v2/inference/deployments/d1-{self.name}"


@dataclass(frozen=True, slots=True)
class Question:
    """A request of the client."""

    path: str
    body: str
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """The environment of a contestant: an empty home folder, its port, the upstream's URL, its number of processes."""

    folder: Path
    port: int
    upstream: str
    processes: int
    schedules: tuple[Schedule, ...]

    def write(self, name: str, content: str) -> str:
        """Write a file into the folder; return its path."""
        path = self.folder / name
        path.write_text(content)
        return str(path)


class Contestant(ABC):
    """A gateway between the client and the upstream."""

    name: str
    version = ""
    most_processes = 2
    help: Sequence[str] | None = None
    """The command that shows the help, if there is one."""

    @abstractmethod
    def install(self, cache: Path) -> None:
        """Install it if necessary; raises `NotInstalledError` if that fails."""

    @abstractmethod
    def command(self, place: Place) -> list[str]:
        """Write its configuration into its folder, and return the command that starts it."""

    def env(self, place: Place) -> dict[str, str]:
        """Return its environment variables, which have nothing of the user's except the path."""
        return {"HOME": str(place.folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NO_COLOR": "1"}

    @abstractmethod
    def question(self, place: Place, schedule: Schedule, *, stream: bool, translated: bool) -> Question | None:
        """Return a request for an answer with *schedule*; None if the contestant does not support it.

        *translated* asks for a model that speaks Converse.
        """


def chat(model: str, *, stream: bool) -> str:
    """Return the smallest possible body of a chat request."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant. Answer briefly."},
            {"role": "user", "content": "How much is two and two, and does it depend on where one is?"},
        ],
        "max_tokens": 256,
    }
    return json.dumps(body | ({"stream": True} if stream else {}))


class Direct(Contestant):
    """No gateway: the client calls the upstream itself."""

    name = "direct"

    def install(self, cache: Path) -> None:
        """Do nothing, because there is nothing to install."""

    def command(self, place: Place) -> list[str]:
        """Raise `NotImplementedError`, because the upstream is already running."""
        raise NotImplementedError

    def question(self, place: Place, schedule: Schedule, *, stream: bool, translated: bool) -> Question | None:
        """Return a request as SAP AI Core expects it."""
        del place
        if translated:
            return None
        return Question(f"{schedule.path()}/chat/completions", chat("m", stream=stream))


class Bare(Direct):
    """The smallest possible proxy with Flask and requests, on granian with 512 threads."""

    name = "bare"

    def install(self, cache: Path) -> None:
        """Install it into a separate environment."""
        self._bin = virtualenv(cache, "bare", "flask", "granian", "requests")
        self.version = _version_in(self._bin, "granian")

    def command(self, place: Place) -> list[str]:
        """Serve with granian."""
        return [
            *(str(self._bin / "granian"), "bare_handler:app", "--interface", "wsgi", "--http", "1", "--no-ws"),
            *("--host", "127.0.0.1", "--port", str(place.port), "--workers", str(place.processes)),
            *("--blocking-threads", "512", "--log-level", "error", "--working-dir", str(HERE)),
        ]

    def env(self, place: Place) -> dict[str, str]:
        """Add the URL of the upstream."""
        return {**super().env(place), "BENCH_UPSTREAM": place.upstream, "PYTHONDONTWRITEBYTECODE": "1"}


class Nginx(Direct):
    """nginx: the cost of a server in C that does not parse the requests."""

    name = "nginx"

    def install(self, cache: Path) -> None:
        """Use the installed nginx, or unpack Debian's package."""
        self._program = debian_program(cache, "nginx", "/usr/sbin/nginx")
        self.version = _said(str(self._program), "-v").rpartition("/")[2]
        self.help = (str(self._program), "-h")

    def command(self, place: Place) -> list[str]:
        """Serve without buffers between client and upstream."""
        temporary = " ".join(
            f"{kind}_temp_path {place.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = f"""\
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
worker_processes {place.processes};
error_log stderr crit;
pid {place.folder}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  {temporary}
  keepalive_requests 100000000;
  upstream models {{ server {place.upstream.removeprefix("http://")}; keepalive 1024; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{place.port} backlog=4096;
    location / {{
      proxy_pass http://models;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 300s;
    }}
  }}
}}
"""
        return [str(self._program), "-p", str(place.folder), "-c", place.write("nginx.conf", config)]


class Proxy(Contestant):
    """The proxy of this project, from this or another checkout."""

    def __init__(self, name: str = "proxy", program: Path | None = None) -> None:
        self.name = name
        self._program = program or Path(sys.executable).with_name("sap-ai-proxy")
        self.help = (str(self._program), "--help")

    def install(self, cache: Path) -> None:
        """Check that it is installed in the environment of the benchmarks."""
        del cache
        if not self._program.exists():
            raise NotInstalledError(f"there is no {self._program}")
        self.version = _said(str(self._program), "--version").rpartition(" ")[2]

    def command(self, place: Place) -> list[str]:
        """Serve one subaccount, with a model for each schedule and backend."""
        service_key = {
            "clientid": "bench",
            "clientsecret": "bench",
            "url": place.upstream,
            "serviceurls": {"AI_API_URL": place.upstream},
        }
        models = {
            self._model(schedule, translated=translated): [place.upstream + schedule.path()]
            for schedule in place.schedules
            for translated in (False, True)
        }
        config = {
            "secret_authentication_tokens": [KEY],
            "subAccounts": {
                "bench": {"resource_group": "default", "service_key": service_key, "deployment_models": models}
            },
            "server": {"workers": place.processes},
        }
        file = place.write("config.json", json.dumps(config))
        return [str(self._program), "--config", file, "--host", "127.0.0.1", "--port", str(place.port)]

    def question(self, place: Place, schedule: Schedule, *, stream: bool, translated: bool) -> Question | None:
        """Return a request in the format of OpenAI's clients."""
        del place
        body = chat(self._model(schedule, translated=translated), stream=stream)
        return Question("/v1/chat/completions", body, (f"Authorization: Bearer {KEY}",))

    def _model(self, schedule: Schedule, *, translated: bool) -> str:
        return f"{'anthropic--claude-4.5-sonnet' if translated else GPT}-{schedule.name}"


class LiteLLM(Contestant):
    """LiteLLM's proxy from PyPI."""

    name = "LiteLLM"

    def install(self, cache: Path) -> None:
        """Install it into a separate environment.

        Version 1.107.0 was not published by its authors; older ones lack an option.
        """
        self._bin = virtualenv(cache, "litellm", "litellm[proxy]>=1.108")
        self.version = _version_in(self._bin, "litellm")
        self.help = (str(self._bin / "litellm"), "--help")

    def command(self, place: Place) -> list[str]:
        """Serve a model for each schedule and backend."""
        models = [
            {"model_name": schedule.name, "litellm_params": self._openai(place, schedule)}
            for schedule in place.schedules
        ] + [
            {"model_name": f"{schedule.name}-translated", "litellm_params": self._converse(place, schedule)}
            for schedule in place.schedules
        ]
        settings = {"telemetry": False, "set_verbose": False, "request_timeout": 300}
        # JSON is valid YAML.
        config = place.write("config.yaml", json.dumps({"model_list": models, "litellm_settings": settings}))
        return [
            *(str(self._bin / "litellm"), "--config", config, "--telemetry", "False"),
            *("--host", "127.0.0.1", "--port", str(place.port), "--num_workers", str(place.processes)),
            # Otherwise, a worker that takes more than five seconds to import would be restarted again and again.
            *("--timeout_worker_healthcheck", "600"),
        ]

    def env(self, place: Place) -> dict[str, str]:
        """Add settings that prevent it from using the network."""
        return {
            **super().env(place),
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "LITELLM_MASTER_KEY": KEY,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "DISABLE_ADMIN_UI": "True",
            "NO_DOCS": "True",
        }

    def question(self, place: Place, schedule: Schedule, *, stream: bool, translated: bool) -> Question | None:
        """Return a request in the format of OpenAI's clients."""
        del place
        body = chat(schedule.name + "-translated" * translated, stream=stream)
        return Question("/v1/chat/completions", body, (f"Authorization: Bearer {KEY}",))

    def _openai(self, place: Place, schedule: Schedule) -> _JSON:
        return {"model": f"openai/{GPT}", "api_base": place.upstream + schedule.path(), "api_key": KEY}

    def _converse(self, place: Place, schedule: Schedule) -> _JSON:
        return {
            "model": f"bedrock/converse/anthropic.claude-sonnet-4-5-{schedule.name}",
            "aws_bedrock_runtime_endpoint": place.upstream,
            "aws_access_key_id": "bench",
            "aws_secret_access_key": KEY,
            "aws_region_name": "us-east-1",
        }


class Portkey(Contestant):
    """Portkey's gateway from npm, a single process of Node.js."""

    name = "Portkey"
    most_processes = 1

    def install(self, cache: Path) -> None:
        """Install it into a separate folder. With a later @hono/node-server, it answers streams with a 500."""
        overrides = {"@hono/node-server": "1.14.0"}
        self._folder = npm_package(cache, "portkey", "@portkey-ai/gateway", overrides)
        self.version = json.loads((self._folder / "package.json").read_text())["version"]

    def command(self, place: Place) -> list[str]:
        """Serve. Each request names its upstream."""
        return ["node", str(self._folder / "build/start-server.js"), f"--port={place.port}", "--headless"]

    def env(self, place: Place) -> dict[str, str]:
        """Add the setting for production."""
        return {**super().env(place), "NODE_ENV": "production"}

    def question(self, place: Place, schedule: Schedule, *, stream: bool, translated: bool) -> Question | None:
        """Return a request that names the upstream in its headers."""
        headers: tuple[str, ...]
        if not translated:
            headers = (
                "x-portkey-provider: openai",
                f"Authorization: Bearer {KEY}",
                f"x-portkey-custom-host: {place.upstream}{schedule.path()}",
            )
            return Question("/v1/chat/completions", chat(GPT, stream=stream), headers)
        headers = (
            "x-portkey-provider: bedrock",
            "x-portkey-aws-access-key-id: bench",
            f"x-portkey-aws-secret-access-key: {KEY}",
            "x-portkey-aws-region: us-east-1",
            f"x-portkey-custom-host: {place.upstream}",
        )
        model = f"anthropic.claude-sonnet-4-5-{schedule.name}"
        return Question("/v1/chat/completions", chat(model, stream=stream), headers)


def everyone() -> list[Contestant]:
    """List the contestants in the order of the table."""
    return [Direct(), Nginx(), Bare(), Portkey(), Proxy(), LiteLLM()]


def _version_in(folder: Path, package: str) -> str:
    """Return the version of a package in a virtual environment."""
    return _said(str(folder / "python"), "-c", f"import importlib.metadata as m; print(m.version({package!r}))")


def _said(*command: str) -> str:
    """Run a command; return its standard output and standard error."""
    told = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603 - our own
    return (told.stdout + told.stderr).strip()
