"""Start an installed `sap-ai-proxy --demo`, ask it for an answer and for its page, and end it: on any system."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

_KEY, _MODEL = "sk-demo", "gpt-5.5"
_STARTS, _ANSWERS, _ENDS = 60.0, 30.0, 60.0
"""How long each may take, in seconds."""


def main(command: str) -> int:
    """Start *command*, a name or a path, and give 0 if it answered."""
    program = shutil.which(command)
    if program is None:
        print(f"start_demo: there is no command {command}", file=sys.stderr)
        return 1
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 - the command that is to be tried
        [program, "--demo"],
        env={**os.environ, "SAP_AI_PROXY_PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    failure = ""
    try:
        _wait_for(process, port)
        print("  the demo says:", _chat(f"http://127.0.0.1:{port}/v1/chat/completions"))
        print("  and shows a page, with", *_page(f"http://127.0.0.1:{port}/"))
    except (OSError, RuntimeError) as error:
        failure = str(error)
    process.terminate()
    said, _ = process.communicate(timeout=_ENDS)
    if failure:
        print(f"start_demo: {failure}\n{said.decode(errors='replace')}", file=sys.stderr)
    return 1 if failure else 0


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until somebody listens at *port*; raises `RuntimeError` where that will not be."""
    end = time.monotonic() + _STARTS
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    ended = process.poll()
    raise RuntimeError(
        f"the demo does not listen after {_STARTS:.0f} s" if ended is None else f"it ended, with {ended}"
    )


def _chat(url: str) -> str:
    """Ask a model one thing, and give its words."""
    body = json.dumps({"model": _MODEL, "messages": [{"role": "user", "content": "Hello"}]}).encode()
    headers = {"Authorization": f"Bearer {_KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=_ANSWERS) as answer:  # noqa: S310 - loopback
        return str(json.load(answer)["choices"][0]["message"]["content"])


def _page(url: str) -> list[str]:
    """Ask for the page as a browser does, and for every file that it names; give these."""
    request = urllib.request.Request(url, headers={"Accept": "text/html"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=_ANSWERS) as answer:  # noqa: S310 - loopback
        names = dict.fromkeys(re.findall(r'(?:href|src)="(web/[^"]+)"', answer.read().decode()))
    if not names:
        raise RuntimeError("the page names no files")
    for name in names:
        urllib.request.urlopen(url + name, timeout=_ANSWERS).close()  # noqa: S310 - loopback
    return list(names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
