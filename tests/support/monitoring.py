"""The rules and the dashboard in `deploy/`, and which metrics they name."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.support.sources import ROOT

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus/rules.yml"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboard.json").read_text(encoding="utf-8"))
_METRIC = re.compile(r"(?:model:)?\b(?:aicore_proxy|process|up)(?:[a-z0-9_:]*)\b")
_QUOTED = re.compile(r'"[^"]*"')
_GROUPED = re.compile(r"\b(?:by|without|on|group_left|group_right) ?\([^)]*\)")
_LABELS = re.compile(r"\{[^}]*\}")
_SERIES = re.compile(r"_(?:bucket|sum|count)$")


def rules() -> list[dict[str, Any]]:
    """All rules, in order."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """All panels that show something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def targets() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each query of the dashboard, with its panel."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel, target


def names_in(expression: str) -> set[str]:
    """The metrics that an expression names; a histogram by its own name."""
    bare = _GROUPED.sub("", _LABELS.sub("", _QUOTED.sub("", expression)))
    return {_SERIES.sub("", name) for name in _METRIC.findall(bare)}


def filled(expression: str) -> str:
    """An expression with the variables of the dashboard as Grafana fills them in where all is selected."""
    for name, value in (("__rate_interval", "1m"), ("__range", "1h")):
        expression = expression.replace(f"${name}", value)
    return re.sub(r"\$\w+", ".*", expression)
