"""Loads the settings in a child process, so that the memory used by validation is freed when that process ends."""

import gc
import os
import pickle
import threading
from collections.abc import Mapping
from pathlib import Path

from gateway.config.settings import Settings, SettingsError


def load_in_child(path: Path | None, env: Mapping[str, str], home: Path | None) -> Settings:
    """Load the settings as `loader.load` does, in a child process where that is possible.

    The settings are loaded in this process on Windows, if this process has several threads, and if the settings name
    extensions, which must be imported where they are used. Raises `SettingsError`.
    """
    if hasattr(os, "fork") and threading.active_count() == 1:
        outcome = _outcome_of_child(path, env, home)
        if isinstance(outcome, SettingsError):
            raise outcome
        if outcome is not None:
            return outcome
    from gateway.config.loader import load  # noqa: PLC0415 - it imports pydantic

    return load(path, env, home)


def _outcome_of_child(path: Path | None, env: Mapping[str, str], home: Path | None) -> Settings | SettingsError | None:
    """Return the settings that a child process loads, or its error; None if the child wrote nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_child(writer, path, env, home)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as pipe:
            written = pipe.read()
    finally:
        os.waitpid(child, 0)
    outcome: Settings | SettingsError | None = pickle.loads(written) if written else None  # noqa: S301 - our own child
    return outcome


def _be_child(writer: int, path: Path | None, env: Mapping[str, str], home: Path | None) -> None:
    """Write the outcome to the pipe and exit the child process without running the parent's cleanup handlers."""
    gc.disable()
    try:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(written_outcome(path, env, home))
    finally:
        os._exit(0)


def written_outcome(path: Path | None, env: Mapping[str, str], home: Path | None) -> bytes:
    """Load the settings and return them or the `SettingsError`, pickled; empty if the settings name extensions."""
    from gateway.config.loader import load_unless_extended  # noqa: PLC0415 - it imports pydantic

    outcome: Settings | SettingsError | None
    try:
        outcome = load_unless_extended(path, env, home)
    except SettingsError as error:
        outcome = error
    return b"" if outcome is None else pickle.dumps(outcome)
