"""Starts a tool that asks the proxy, in the place of this process: no file is touched."""

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import NoReturn

from gateway.tool_settings.tool import ConnectError, Start


def start(how: Start, arguments: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Become the tool, with the user's *arguments* last; raise `ConnectError` if it is not installed."""
    program = shutil.which(how.program, path=env.get("PATH"))
    if program is None:
        raise ConnectError(f"{how.program} is not installed: no program of this name is in the PATH")
    kept = {name: value for name, value in env.items() if name not in how.unset}
    os.execve(program, [how.program, *how.arguments, *arguments], {**kept, **how.env})  # noqa: S606 - what was asked for
