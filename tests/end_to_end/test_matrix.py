"""Every client dialect against every kind of backend, through the vendors' own SDKs: docs/matrix.md is its table."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

import emulator
from emulator.world import World, orchestration_tenant
from tests.matrix.anthropic_client import AnthropicClient
from tests.matrix.cells import BACKENDS, ENDED, Cell, cells, limit_of
from tests.matrix.gemini_client import GeminiClient
from tests.matrix.judging import Judge
from tests.matrix.limits import LIMITS, ORCHESTRATION
from tests.matrix.openai_clients import ChatClient, ResponsesClient
from tests.matrix.page import PATH, render
from tests.support.running import KEY, Cloud, running_proxy

SDKS = (ChatClient, ResponsesClient, AnthropicClient, GeminiClient)
CELLS = tuple(cells(BACKENDS + ENDED))

pytestmark = pytest.mark.matrix


@contextmanager
def judging(cloud: Cloud, folder: Path) -> Iterator[Judge]:
    """One proxy and one client per dialect: an SDK takes longer to set up than to ask."""
    with ExitStack() as owned:
        # Prompts are cached per subaccount: the second request must find the first one's.
        proxy = owned.enter_context(running_proxy(cloud, folder, routing={"strategy": "cache-affinity"}))
        clients = [owned.enter_context(closing(sdk(proxy.url, KEY))) for sdk in SDKS]
        yield Judge(proxy, {client.dialect: client for client in clients})


@pytest.fixture(scope="module")
def judge(shared_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """Judges what models are asked at deployments of their own."""
    with judging(shared_cloud, tmp_path_factory.mktemp("matrix")) as judge:
        yield judge


@pytest.fixture(scope="module")
def judge_of_orchestration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """Judges what models are asked through the orchestration deployment of a tenant that has nothing else."""
    world = World((orchestration_tenant("eu", "default"),))
    with emulator.serve(world) as run, judging(Cloud(run.url), tmp_path_factory.mktemp("orchestration")) as judge:
        yield judge


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_what_can_be_carried_is(request: pytest.FixtureRequest, cell: Cell) -> None:
    name = "judge_of_orchestration" if cell.backend.speaks == ORCHESTRATION else "judge"
    request.getfixturevalue(name).judge(cell)


def test_no_limit_is_out_of_use() -> None:
    used = {id(limit_of(cell.client, cell.backend, cell.scene)) for cell in CELLS}

    assert [limit for limit in LIMITS if id(limit) not in used] == []


def test_the_page_about_it_is_current() -> None:
    assert render() == PATH.read_text(encoding="utf-8"), "write it anew with `python -m tests.matrix`"
