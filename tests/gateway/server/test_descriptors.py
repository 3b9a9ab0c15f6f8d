"""How many connections the open files of a process are enough for."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.server.descriptors import affordable_connections

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("connections", "requests", "descriptors", "affordable"),
    [
        (4096, 1000, None, 4096),
        (4096, 1000, 1_048_576, 4096),
        (4096, 1000, 4096 + 2000 + 64, 4096),
        (4096, 1000, 4096 + 2000 + 63, 4095),
        (4096, 1000, 1024, 320),
        (10, 1000, 1024, 10),
        (4096, 1000, 70, 2),
        (4096, 1000, 10, 1),
    ],
)
def test_connections_fit_what_is_left_beside_all_requests(
    connections: int, requests: int, descriptors: int | None, affordable: int
) -> None:
    assert affordable == affordable_connections(connections, requests, descriptors)


def test_the_limit_is_raised_as_far_as_it_goes() -> None:
    code = (
        "import resource; from gateway.server.descriptors import raise_limit;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300));"
        "print(raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0], raise_limit())"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert told.stdout == "300 300 300\n"
