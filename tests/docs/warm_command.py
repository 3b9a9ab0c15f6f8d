"""The command of the proxy from a process that has imported it: each call is a fork, which starts ten times as fast.

`warm` starts that process, and writes a script that stands for the command: it hands over its arguments, folder,
environment and standard streams, and ends with the code of the fork.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import ROOT

_LONGEST = 1_000_000
"""Bytes of the arguments and the environment."""
_SCRIPT = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as calling:
    calling.connect({address!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(calling, [len(asked).to_bytes(4)], [0, 1, 2])
    calling.sendall(asked)
    sys.exit(int(calling.recv(9) or b"1"))
"""


@contextmanager
def warm(folder: Path) -> Iterator[None]:
    """Offer the command `sap-ai-proxy` in a folder."""
    address, command = str(folder / "socket"), folder / "sap-ai-proxy"
    command.write_text(_SCRIPT.format(python=sys.executable, address=address))
    command.chmod(0o700)
    with subprocess.Popen(
        [sys.executable, "-m", __name__, address], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


def _serve(address: str) -> None:
    """Fork for each call, and once more: the first fork awaits the second, and says how it ended."""
    import_all("gateway.cli")
    gc.freeze()  # no fork looks at what it has not made
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        while True:
            calling, _ = listening.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listening.close()
                _answer(calling)
            calling.close()


def import_all(package: str) -> None:
    """Import a package and every module below it, so that no fork has to."""
    found = importlib.import_module(package)
    for each in pkgutil.walk_packages(found.__path__, f"{package}."):
        importlib.import_module(each.name)


def _answer(calling: socket.socket) -> None:
    head, streams, _, _ = socket.recv_fds(calling, 4, 3)
    asked = b""
    while len(asked) < int.from_bytes(head):
        asked += calling.recv(_LONGEST)
    arguments, folder, environment = json.loads(asked)
    child = os.fork()
    if child == 0:
        calling.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["sap-ai-proxy", *arguments]
        from sap_ai_proxy import main  # noqa: PLC0415 - in the fork: it looks at the arguments

        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:  # noqa: BLE001 - the interpreter would show it, and end with 1
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    calling.sendall(str(os.waitstatus_to_exitcode(status) % 256).encode())
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
