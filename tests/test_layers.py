"""The architecture, as laws: who may import whom, and how long a file may be. A failure lists all that break one."""

import ast
import subprocess
import sys

from tests.support.sources import LAYERS, ROOT, files, held, imports, name_of, nodes_of

STANDARD = {*sys.stdlib_module_names, "_typeshed"}  # the latter has types for type checkers only
INPUT_OUTPUT = {
    "click",
    "flask",
    "http",
    "httptools",
    "prometheus_client",
    "pydantic",
    "requests",
    "socket",
    "ssl",
    "subprocess",
    "urllib3",
    "werkzeug",
}
COMMANDS = {name_of(each) for each in files("gateway/cli/commands") if each.stem != "__init__"}
IMPORTERS = {
    # library         the files that may import it
    "flask": {"gateway/http/application.py", "proxy_server.py"},
    "werkzeug": {"gateway/http/application.py", "gateway/server/single_process.py", "proxy_server.py"},
    "requests": {"gateway/upstream/management.py"},
    "urllib3": {"gateway/upstream/management.py", "gateway/upstream/timed_connections.py"},
    "httptools": {"gateway/server/http_messages.py", "gateway/upstream/transport.py"},
    "certifi": {"gateway/upstream/trust.py"},
    "truststore": {"gateway/upstream/trust.py"},
    "tomlkit": {"gateway/cli/connect/toml_text.py"},
    "zstandard": {"gateway/http/bodies.py"},
    "prometheus_client": {
        "gateway/gateway.py",
        "gateway/observability/gauges.py",
        "gateway/observability/metrics.py",
        "gateway/observability/shared_metrics.py",
        "gateway/server/runtime.py",
        "gateway/server/status_board.py",
    },
    "pydantic": {
        "gateway/config/host_lists.py",
        "gateway/config/observability_section.py",
        "gateway/config/schema.py",
        "gateway/config/schema_writer.py",
        "gateway/config/validation.py",
    },
    "annotated_types": {"gateway/server/options.py"},
    "click": {"gateway/cli/main.py", "gateway/cli/messages.py", "gateway/cli/questions.py", *COMMANDS},
    "rich": {"gateway/cli/terminal.py"},
    "opentelemetry": {f"gateway/observability/telemetry/{name}.py" for name in ("instruments", "sender", "spans")},
}
ANYWHERE = {"orjson"}
SERVING = {
    *(
        "annotated_types",
        "certifi",
        "click",
        "flask",
        "httptools",
        "orjson",
        "prometheus_client",
        "requests",
        "urllib3",
    ),
    "werkzeug",
    *("annotated_types", "typing_extensions"),  # the ranges of settings
    *("blinker", "itsdangerous", "jinja2", "markupsafe"),  # of Flask
    *("brotli", "chardet", "charset_normalizer", "idna", "simplejson", "socks"),  # of requests and urllib3, if there
}
"""The libraries that are loaded where the proxy serves."""
SDKS = {"anthropic", "boto3", "botocore", "gen_ai_hub", "google", "openai"}
"""What takes seconds to import."""
LINES = 500
MEMBERS = 10


def test_imports_point_downwards() -> None:
    above = {layer: {*LAYERS[at + 1 :], "emulator", "simulation", "tests"} for at, layer in enumerate(LAYERS)}
    offenders = [str(one) for layer in LAYERS for one in imports(layer) if one.top in above[layer]]

    held(f"Each layer imports itself and what stands left of it: {' < '.join(LAYERS)}.", offenders)


def test_only_the_programs_import_the_command_line() -> None:
    offenders = [
        str(one)
        for one in imports("gateway")
        if one.name.startswith("gateway.cli") and not one.file.startswith("gateway/cli/")
    ]

    held("What the command line and another package both need stands beside them.", offenders)


def test_dialects_and_routing_do_no_input_or_output() -> None:
    pure = imports("dialects", "proxy_helpers", "routing")

    held("I/O stands in gateway/; here it is an argument.", [str(one) for one in pure if one.top in INPUT_OUTPUT])


def test_routing_needs_the_standard_library_and_the_dialects_alone() -> None:
    allowed = STANDARD | {"dialects", "proxy_helpers", "routing"}

    held(
        "routing/ can be loaded without what is installed.",
        [str(i) for i in imports("routing") if i.top not in allowed],
    )


def test_each_library_is_imported_where_it_is_wrapped() -> None:
    ours = STANDARD | ANYWHERE | {*LAYERS}
    offenders = [
        f"{one}; {sorted(IMPORTERS[one.top])} may" if one.top in IMPORTERS else f"{one}; no file is listed for it"
        for one in imports(*LAYERS)
        if one.top not in ours and one.file not in IMPORTERS.get(one.top, set())
    ]

    held("A library is used behind the files that IMPORTERS lists.", offenders)


def test_no_file_may_import_what_it_does_not() -> None:
    used = {(one.top, one.file) for one in imports(*LAYERS)}
    listed = [(library, file) for library, places in IMPORTERS.items() for file in sorted(places)]

    held(
        "Take these out of IMPORTERS.",
        [f"{file} does not import {library}" for library, file in listed if (library, file) not in used],
    )


def test_the_simulation_imports_the_router_in_one_module() -> None:
    allowed = STANDARD | {"dialects", "simulation"}
    offenders = [
        str(one)
        for one in imports("simulation")
        if one.top not in allowed and (one.top, one.file) != ("routing", "simulation/router.py")
    ]

    held("simulation/router.py alone imports routing; nothing there imports more.", offenders)


def test_the_emulator_is_an_independent_witness() -> None:
    offenders = [str(one) for one in imports("emulator") if one.top in {*LAYERS, "simulation", "tests"}]

    held("The emulator imports nothing of ours: what it shares with the proxy, it cannot contradict.", offenders)


def test_an_sdk_is_imported_by_the_units_of_dialects_only_where_it_is_asked() -> None:
    offenders = [str(one) for one in imports("tests/dialects", "tests/oracles") if one.top in SDKS]

    held("Ask for it by `sdk` of tests/oracles/sdks.py.", offenders)


def test_routing_loads_without_a_web_framework_or_an_http_client() -> None:
    code = "import routing, sys; print({'flask', 'requests', 'urllib3', 'werkzeug'} & sys.modules.keys())"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert loaded.stdout == "set()\n"


def loaded_by(code: str) -> set[str]:
    """Name the modules that code loads beside those that Python itself starts with."""
    code = f"import sys\nbefore = {{*sys.modules}}\n{code}\nprint(*sys.modules.keys() - before)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(loaded.stdout.splitlines()[-1].split())


def installed(loaded: set[str]) -> set[str]:
    """Name the libraries among modules that are loaded; C code of theirs may bring names of its own."""
    tops = {name.partition(".")[0] for name in loaded} - STANDARD - {*LAYERS}
    return {name for name in tops if "cython" not in name and not name.startswith("_sysconfigdata")}


def test_help_and_completion_load_nothing_that_takes_time() -> None:
    """A shell that completes a word starts the command, and a person waits for it."""
    help_printed = "sys.argv[1:] = ['--help']\ntry: sap_ai_proxy.main()\nexcept SystemExit: pass"
    loaded = loaded_by(f"import sap_ai_proxy\n{help_printed}")

    assert installed(loaded) == {"click"}
    assert not loaded & {"dialects", "routing", "gateway.cli.startup", "importlib.metadata", "email", "ssl"}


def test_what_serves_loads_only_what_serving_needs() -> None:
    """What is loaded takes time at each start, and memory in each process."""
    modules = ("sap_ai_proxy", "gateway.cli.startup", "proxy_server", "gateway.server.supervisor")
    loaded = loaded_by(f"import {', '.join(modules)}")

    assert {*modules} <= loaded
    held(
        "SERVING lists what the proxy is made of; import the rest where it is used.",
        sorted(installed(loaded) - SERVING),
    )
    assert not loaded & {"asyncio", "multiprocessing", "sqlite3", "unittest", "xml"}
    assert not loaded & {f"gateway.http.openapi.{name}" for name in ("document", "operations", "schemas")}


def public_members(cls: ast.ClassDef) -> set[str]:
    """Name what a class that acts offers: its methods, its properties, and what it assigns to itself."""
    methods = {each.name for each in cls.body if isinstance(each, ast.FunctionDef)}
    fields = {
        node.attr
        for node in ast.walk(cls)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }
    return {name for name in methods | fields if not name.startswith("_")}


def test_a_class_of_routing_has_few_public_members() -> None:
    classes = [(path, node) for path in files("routing") for node in nodes_of(path) if isinstance(node, ast.ClassDef)]
    counts = {f"{name_of(path)}:{cls.lineno} {cls.name}": len(public_members(cls)) for path, cls in classes}
    offenders = [f"{where} has {count} public members" for where, count in counts.items() if count > MEMBERS]

    held(f"A class of routing that acts has at most {MEMBERS} public members: split it.", offenders)


def test_a_file_fits_one_idea() -> None:
    every = files(*LAYERS, "emulator", "simulation", "tests", "benchmarks", "examples")
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in every}
    offenders = [f"{name}:{length} has {length} lines" for name, length in lengths.items() if length > LINES]

    held(f"A file has at most {LINES} lines: split it.", offenders)
