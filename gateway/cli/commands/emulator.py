"""``sap-ai-proxy emulator``."""

import os
import sys
from pathlib import Path

import click


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
@click.pass_context
def emulator(context: click.Context) -> None:
    """Run the emulator of SAP AI Core on its own."""
    here = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    # -P: whatever is called emulator in the current folder is not meant.
    command = [sys.executable, "-P", "-m", "emulator", *context.args]
    os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": path})  # noqa: S606 - our own module
