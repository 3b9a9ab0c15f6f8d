"""The architecture, as a test: who may import whom, and how long a file may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("dialects", "proxy_helpers", "routing", "gateway", "proxy_server")
"""From the lowest to the highest: each imports itself and what is below."""

WEB = {"flask", "werkzeug"}
HTTP = {"requests", "urllib3", "http", "socket", "ssl"}
MAY = {
    # names           only in
    "flask": {"proxy_server.py"},
    "werkzeug": {"proxy_server.py", "gateway/server/single_process.py"},
    "requests": {"gateway/upstream/management.py"},
    "urllib3": {"gateway/media/fetcher.py", "gateway/upstream/management.py"},
    "httptools": {"gateway/upstream/transport.py"},
    "certifi": {"gateway/upstream/transport.py"},
    "zstandard": {"gateway/http/bodies.py"},
    "gunicorn": {"gateway/server/http_messages.py", "gateway/server/request_handler.py"},
    "prometheus_client": {
        "gateway/gateway.py",
        "gateway/observability/metrics.py",
        "gateway/observability/shared_metrics.py",
        "proxy_server.py",
    },
    "pydantic": {"gateway/config/schema.py", "gateway/config/settings.py"},
    "click": {"gateway/cli/main.py"},
}


def modules(*names: str) -> list[Path]:
    """The source files of these top-level names."""
    return [path for name in names for path in (ROOT / f"{name}.py", *ROOT.glob(f"{name}/**/*.py")) if path.exists()]


def imported(path: Path) -> set[str]:
    """The top-level names that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def id_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(*LAYERS), ids=id_of)
def test_imports_point_downwards(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0].removesuffix(".py")
    above = set(LAYERS[LAYERS.index(layer) + 1 :])

    assert set() == imported(path) & (above | {"emulator", "simulation", "tests"})


@pytest.mark.parametrize("path", modules("dialects", "proxy_helpers", "routing"), ids=id_of)
def test_languages_and_decisions_do_no_input_or_output(path: Path) -> None:
    assert set() == imported(path) & (WEB | HTTP | {"gunicorn", "click", "pydantic", "prometheus_client", "subprocess"})


@pytest.mark.parametrize("path", modules("routing"), ids=id_of)
def test_routing_needs_the_standard_library_and_the_dialects_alone(path: Path) -> None:
    allowed = {*sys.stdlib_module_names, "dialects", "proxy_helpers", "routing"}

    assert set() == imported(path) - allowed


@pytest.mark.parametrize("path", modules(*LAYERS), ids=id_of)
def test_each_library_stays_behind_one_door(path: Path) -> None:
    behind = {name for name, doors in MAY.items() if name in imported(path) and id_of(path) not in doors}

    assert set() == behind


@pytest.mark.parametrize("path", modules("simulation"), ids=id_of)
def test_the_simulation_knows_of_the_router_what_one_module_imports(path: Path) -> None:
    allowed = {*sys.stdlib_module_names, "dialects", "simulation"}

    assert ({"routing"} if id_of(path) == "simulation/router.py" else set()) == imported(path) - allowed


@pytest.mark.parametrize("path", modules("emulator"), ids=id_of)
def test_the_emulator_is_an_independent_witness(path: Path) -> None:
    assert set() == imported(path) & set(LAYERS)


def test_routing_loads_without_a_web_framework_or_an_http_client() -> None:
    code = "import routing, sys; print({'flask', 'requests', 'urllib3', 'werkzeug'} & sys.modules.keys())"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "set()\n" == loaded.stdout


@pytest.mark.parametrize(
    "path", modules(*LAYERS, "emulator", "simulation", "tests", "benchmarks", "examples"), ids=id_of
)
def test_a_file_fits_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
