"""What CONTRIBUTING.md says to do when something is added: a step that is forgotten fails here, and is named."""

import json
import re
from collections.abc import Iterator

import click

import routing
from dialects.capabilities.models import PROFILES, ModelProfile, ThinkingStyle, Vendor, canonical, profile_for
from dialects.core.faults import STATUSES, FaultKind
from dialects.registry import BACKENDS, CLIENTS, DIALECTS, Dialect, traits
from emulator.errors import ErrorResponse
from emulator.inference import run
from emulator.models import MODELS_BY_NAME, Family, Model, Thinking
from emulator.openai_responses.store import ResponseStore
from emulator.prompt_cache import PromptCache
from emulator.protocol import InferenceRequest
from gateway.cli.main import cli
from routing.classification import CLASSIFICATIONS
from routing.protocols import ORCHESTRATION, PROTOCOLS, EmbeddingsProtocol
from routing.strategy import STRATEGIES
from tests.matrix import cells
from tests.oracles import knows
from tests.support.sources import ROOT, held

EMULATED, PROFILED = "emulator/models.py", "dialects/capabilities/models.py"

VENDORS = {
    Family.CLAUDE: Vendor.CLAUDE,
    Family.NOVA: Vendor.NOVA,
    Family.TITAN: Vendor.TITAN,
    Family.GEMINI: Vendor.GEMINI,
    Family.GEMINI_EMBEDDING: Vendor.GEMINI,
    Family.GPT: Vendor.OPENAI,
    Family.AZURE_EMBEDDING: Vendor.OPENAI,
    Family.NVIDIA: Vendor.NVIDIA,
}
STYLES = {
    (Family.CLAUDE, Thinking.BUDGET): ThinkingStyle.BUDGET,
    (Family.CLAUDE, Thinking.EITHER): ThinkingStyle.EITHER,
    (Family.CLAUDE, Thinking.ADAPTIVE): ThinkingStyle.ADAPTIVE,
    (Family.GEMINI, Thinking.ALWAYS): ThinkingStyle.BUDGET,
    (Family.GEMINI, Thinking.BUDGET): ThinkingStyle.BUDGET,
    (Family.GEMINI, Thinking.ADAPTIVE): ThinkingStyle.LEVEL,
    (Family.GPT, Thinking.ALWAYS): ThinkingStyle.EFFORT,
}
"""How a model thinks in the emulator's words, and in the proxy's; any other does not."""
NOT_EMULATED = frozenset(
    [
        "",
        "claude",
        "claude-3-7|claude-(sonnet|opus|haiku)-3-7",
        "claude-3|claude-(sonnet|opus|haiku)-3",
        "claude-4(-1)?-opus|claude-opus-4",
        "claude-4-5-opus|claude-opus-4-5",
        "command|cohere",
        "gemini-.*-image",
        "gemini-2-0",
        "gemini-3-pro",
        r"gemini-[3-9](-\d)?-pro",
        "gpt",
        "gpt-5-1",
        "gpt-5-[23]",
        r"gpt-5-\d+-codex|gpt-5-codex",
        "mistral",
        "nova",
        "nova-micro",
        r"o\d(-|$)",
        "sonar",
        "titan",
        "titan-embed",
    ]
)
"""Rows of profiles that no model of the emulator falls into. None may be added."""


# --- A model


def compared(model: Model, profile: ModelProfile) -> Iterator[tuple[str, object, object]]:
    """Name what both sides say of a model, each with what the emulator and what the proxy says."""
    yield "vendor", VENDORS[model.family], profile.vendor
    yield "thinking", STYLES.get((model.family, model.thinking), ThinkingStyle.NONE), profile.thinking
    yield "embeds", model.embeds, profile.embeds
    match model.family:
        case Family.CLAUDE:
            yield "temperature", not model.no_samplers, profile.temperature
            yield "top_p_with_temperature", not (model.one_sampler or model.no_samplers), profile.top_p_with_temperature
            yield "effort", model.effort, profile.effort
            yield "native_schema", model.output_config, profile.native_schema
            computers = {f"computer-use-{model.computer}"} if model.computer else set()
            yield "betas", computers, {beta for beta in profile.betas if beta.startswith("computer-use")}
        case Family.GPT:
            yield "responses_only", not model.chat, profile.responses_only
            yield "responses_for_tools", model.tools_need_responses, profile.responses_for_tools
        case _:
            pass


def test_a_model_is_the_same_in_the_emulator_and_in_the_proxy() -> None:
    offenders = [
        f"{name}: {trait} is {emulated!r} in {EMULATED}, {profiled!r} in {PROFILED}"
        for name, model in MODELS_BY_NAME.items()
        for trait, emulated, profiled in compared(model, profile_for(name))
        if emulated != profiled
    ]

    held(f"Look up what the vendor says, and add or mend the model's row in {PROFILED} or {EMULATED}.", offenders)


def test_every_profile_is_tried_against_a_model_of_the_emulator() -> None:
    used = {next(p for p, _ in PROFILES if re.match(p, canonical(name))) for name in MODELS_BY_NAME}
    offenders = [f"no model falls into {pattern!r}" for pattern, _ in PROFILES if pattern not in used | NOT_EMULATED]

    held(f"Add a model to {EMULATED}: without it no test asks one like it.", offenders)
    held("These are emulated now. Take them out of NOT_EMULATED.", sorted(NOT_EMULATED & used))


# --- A protocol


def emulated(model: Model, path: str, body: bytes = b"{}") -> str:
    """Ask the emulator, and give the error it answers with; empty if there is none."""
    path, _, query = path.partition("?")
    asked = InferenceRequest(
        model,
        "d1",
        path,
        "POST",
        body,
        dict(pair.split("=", 1) for pair in query.split("&") if pair),
        "application/json",
        PromptCache(lambda: 0.0),
        ResponseStore(),
        0.0,
        "0" * 32,
        "json",
    )
    try:
        run(asked)
    except ErrorResponse as error:
        return json.dumps(error.body)
    return ""


def test_the_emulator_knows_every_path_that_a_protocol_posts_to() -> None:
    offenders = []
    for name, model in MODELS_BY_NAME.items():
        profile = profile_for(name)
        able = [each for each in PROTOCOLS if (each.dialect == EmbeddingsProtocol.dialect) is profile.embeds]
        for protocol in (each for each in able if each.speaks(profile)):
            for stream in (False, True):
                url = protocol.build_endpoint("https://x", name, stream)
                if "is not allowed" in emulated(model, url.removeprefix("https://x/")):
                    offenders.append(f"{protocol.name} posts {url} for {name}")

    held("Add the path to emulator/inference.py, in a folder of emulator/ for its protocol.", offenders)


def test_every_protocol_is_spoken_by_a_model_of_the_emulator() -> None:
    spoken = {protocol.name for protocol in PROTOCOLS for name in MODELS_BY_NAME if protocol.speaks(profile_for(name))}
    offenders = [f"{protocol.name} has none" for protocol in PROTOCOLS if protocol.name not in spoken]

    held(f"Add a model that is asked in the protocol to {EMULATED}.", offenders)


def test_every_protocol_can_be_imported_by_those_who_extend_the_router() -> None:
    names = {type(protocol).__name__ for protocol in (*PROTOCOLS, *ORCHESTRATION)}

    held("Add these to `__all__` of routing/protocols/__init__.py.", sorted(names - {*routing.protocols.__all__}))
    held("Add these to `__all__` of routing/__init__.py.", sorted(names - {*routing.__all__}))


def test_every_body_that_is_posted_is_held_against_a_definition() -> None:
    posted = {
        protocol.build_endpoint("https://x", name, stream).partition("?")[0]
        for name in MODELS_BY_NAME
        for protocol in (*PROTOCOLS, *ORCHESTRATION)
        if protocol.dialect in BACKENDS and protocol.speaks(profile_for(name))
        for stream in (False, True)
    }

    held("Say in tests/oracles/__init__.py who knows these bodies.", sorted(url for url in posted if not knows(url)))


def test_every_protocol_has_its_tests() -> None:
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests/routing/protocols").glob("test_*.py")}
    modules = {type(protocol).__module__.rpartition(".")[2] for protocol in (*PROTOCOLS, *ORCHESTRATION)}

    held("Write tests/routing/protocols/test_NAME.py for these.", sorted(modules - tested))


# --- A dialect


def parts(row: Dialect) -> Iterator[str]:
    """Name the files that a dialect has, by what it can do."""
    yield "__init__"
    if row.client:
        yield "request_parser"
    if row.backend:
        yield "request_renderer"
    if row.passthrough:
        yield "passthrough"
    yield from ("response", "stream", "vocabulary")


def test_every_dialect_has_the_anatomy_of_all() -> None:
    files = [f"dialects/{name.replace('-', '_')}/{part}.py" for name, row in DIALECTS.items() for part in parts(row)]

    held(
        "Write these, so that the list of a folder says what a dialect has.",
        [f for f in files if not (ROOT / f).exists()],
    )


def test_every_package_of_a_dialect_has_a_row() -> None:
    packages = {path.parent.name for path in (ROOT / "dialects").glob("*/vocabulary.py")} - {"openai_common"}

    held("Add a row to DIALECTS of dialects/registry.py.", sorted(packages - {n.replace("-", "_") for n in DIALECTS}))


def test_every_dialect_is_in_the_matrix() -> None:
    asked = {dialect for backend in cells.BACKENDS for dialect in (backend.speaks, backend.also)}

    held("Add a client to tests/matrix, and to CLIENTS of its cells.", sorted({*CLIENTS} - {*cells.CLIENTS}))
    held("Add a model that is asked in it to BACKENDS of tests/matrix/cells.", sorted({*BACKENDS} - asked))


def test_every_dialect_has_captured_answers_and_tests() -> None:
    folders = [(row, name.replace("-", "_")) for name, row in DIALECTS.items()]
    wanted = [f"tests/dialects/{folder}/test_*.py" for _, folder in folders]
    wanted += [f"tests/wire/{folder}/*" for row, folder in folders if row.backend]

    held("Nothing is there:", [pattern for pattern in wanted if not any(ROOT.glob(pattern))])


def test_every_dialect_can_be_used() -> None:
    spoken = {protocol.dialect for protocol in (*PROTOCOLS, *ORCHESTRATION)}
    words = re.findall(r"\w+", " ".join(getattr(each, "help", "") or "" for each in cli.commands["route"].params))
    offenders = [f"{name}: no protocol in routing/protocols posts it" for name in BACKENDS if name not in spoken]
    offenders += [
        f"{name}: the help of `sap-ai-proxy route --client` names none of {traits(name).client_names}"
        for name in CLIENTS
        if not set(traits(name).client_names).intersection(words)
    ]

    held("A dialect that nothing leads to is not there.", offenders)


# --- A strategy


def test_every_strategy_is_documented() -> None:
    page = (ROOT / "docs/strategies.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))

    held("Describe these in the table of docs/strategies.md.", sorted(STRATEGIES.keys() - described))


def test_every_strategy_can_be_imported_from_the_package() -> None:
    names = {strategy.__name__ for strategy in STRATEGIES.values()}

    held("Add these to `__all__` of routing/__init__.py.", sorted(names - {*routing.__all__}))


# --- A command


def test_every_command_says_what_it_does() -> None:
    assert isinstance(cli, click.Group)

    held("Write a docstring: it is the help.", [name for name, command in cli.commands.items() if not command.help])


# --- An error


def test_every_kind_of_fault_has_a_status() -> None:
    offenders = [f"FaultKind.{kind.name}" for kind in FaultKind if kind not in STATUSES]

    held("Say in STATUSES of dialects/core/faults.py which HTTP status these are.", offenders)


def test_every_kind_of_fault_is_classified() -> None:
    offenders = [f"FaultKind.{kind.name}" for kind in FaultKind if kind not in CLASSIFICATIONS]

    held("Say in routing/classification.py whose fault these are, and whether to retry elsewhere.", offenders)
