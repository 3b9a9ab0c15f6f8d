"""What a Dockerfile and a manifest of Cloud Foundry say, as far as tests ask."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """The instructions of a Dockerfile, in their order, each with what it is given."""

    instructions: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: Path) -> "Dockerfile":
        """Read a file: a backslash at the end of a line joins the next one to it."""
        text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        lines = re.sub(r"\\\n\s*", "", text).splitlines()
        return cls(tuple((line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line.strip()))

    def all(self, name: str) -> list[str]:
        """List what the instructions *name* are given."""
        return [given for each, given in self.instructions if each == name]

    def one(self, name: str) -> str:
        """Give what the only instruction *name* is given."""
        [given] = self.all(name)
        return given

    @property
    def arguments(self) -> dict[str, str]:
        """The arguments of the build, with their defaults."""
        return dict(each.split("=", 1) for each in self.all("ARG"))

    @property
    def bases(self) -> list[str]:
        """The images that the stages start from."""
        return [each.split(" ")[0] for each in self.all("FROM")]

    @property
    def env(self) -> dict[str, str]:
        """The variables that a container has."""
        return dict(pair.split("=", 1) for each in self.all("ENV") for pair in shlex.split(each))


def environment(application: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Give the variables of an application of Cloud Foundry, with those of `cf push --var` put in."""
    env = {name: str(value) for name, value in application["env"].items()}
    return {name: re.sub(r"\(\((\w+)\)\)", lambda match: given[match[1]], text) for name, text in env.items()}
