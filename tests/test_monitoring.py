"""What `deploy/` has for Prometheus and Grafana is well made, and speaks of what the proxy counts."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from routing.classification import CLASSIFICATIONS, Effect
from tests.support.monitoring import DASHBOARD, DEPLOY, RULES, names_in, panels, rules, targets
from tests.support.prometheus import promtool
from tests.support.sources import ROOT, held

ALERTS = [rule for rule in rules() if "alert" in rule]
GUIDE = ROOT / "docs/monitoring.md"
VARIABLES = {"datasource", "instance", "model", "subaccount"}
BUILT_IN = {"__rate_interval", "__range"}


def config(folder: Path) -> dict[str, Any]:
    """The example with a key file that is there."""
    key = folder / "proxy.key"
    key.write_text("sk-demo")
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    loaded["scrape_configs"][0]["authorization"]["credentials_file"] = str(key)
    loaded["rule_files"] = [str(RULES)]
    return loaded


def test_promtool_takes_the_rules_and_the_config(tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(config(tmp_path)))
    told = promtool("check", "config", str(file))

    assert (told.returncode, told.stderr) == (0, "")
    assert f"SUCCESS: {len(rules())} rules found" in told.stdout
    assert promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES)).returncode == 0


def test_each_alert_fires_for_what_it_is_about_and_for_nothing_else() -> None:
    told = promtool("test", "rules", "rules.test.yml", folder=RULES.parent)

    assert told.returncode == 0, told.stdout + told.stderr


def test_each_alert_has_a_test_in_which_it_fires() -> None:
    tested = (RULES.parent / "rules.test.yml").read_text(encoding="utf-8")

    held(
        "rules.test.yml has each alert.",
        [each["alert"] for each in ALERTS if f'alertname="{each["alert"]}"' not in tested],
    )


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_each_alert_says_what_is_wrong_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    notes = alert["annotations"]

    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert re.fullmatch(r"\d+[mh]", alert["for"])
    assert len(notes["summary"]) < 120
    assert notes["description"].endswith(".")
    page, _, section = notes["runbook"].partition("#")
    assert page == "docs/troubleshooting.md"
    assert section in sections(ROOT / page)
    assert f"`{alert['alert']}`" in GUIDE.read_text(encoding="utf-8")


def sections(page: Path) -> set[str]:
    """The anchors of a page, as GitHub and mkdocs make them of its headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


def test_failures_are_all_outcomes_but_the_mistakes_of_callers() -> None:
    """A fault that says nothing about an endpoint, and is worth no retry, is the caller's, unless it is our own."""
    callers = {
        kind.value
        for kind, row in CLASSIFICATIONS.items()
        if row.effect is Effect.NEUTRAL and not row.try_elsewhere and kind.value not in {"unavailable", "defect"}
    }
    expressions = [rule["expr"] for rule in rules()] + [target["expr"] for _, target in targets()]
    excluded = {found for each in expressions for found in re.findall(r'outcome!~"([^"]+)"', each)}

    assert [set(each.split("|")) for each in excluded] == [{"ok", *callers}]


def test_each_panel_of_the_dashboard_says_what_it_shows_and_in_which_unit() -> None:
    lacking = [
        panel["title"]
        for panel in panels()
        if not (panel["description"].endswith(".") and panel["fieldConfig"]["defaults"]["unit"] and panel["targets"])
    ]

    held("A panel has a title, a description, a unit and a query.", lacking)
    assert DASHBOARD["schemaVersion"] >= 41
    assert [row["title"] for row in DASHBOARD["panels"] if row["type"] == "row"] == [
        "Overview", "Models", "Endpoints", "Saturation", "Cost in tokens"
    ]  # fmt: skip


def test_panels_have_numbers_of_their_own_and_do_not_cover_each_other() -> None:
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    cells = [cell for panel in DASHBOARD["panels"] for cell in cells_of(panel["gridPos"])]

    assert len(set(numbers)) == len(numbers)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def cells_of(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def test_the_dashboard_reads_each_of_its_variables_and_no_other() -> None:
    declared = {each["name"] for each in DASHBOARD["templating"]["list"]}
    text = json.dumps(DASHBOARD["panels"]) + "${datasource}"
    used = set(re.findall(r"\$\{?(\w+)", text))

    assert declared == VARIABLES
    assert used == VARIABLES | BUILT_IN


def test_what_is_provisioned_is_where_the_containers_look_for_it() -> None:
    compose = yaml.safe_load((DEPLOY / "docker/monitoring.yaml").read_text(encoding="utf-8"))
    mounts = {
        name: dict(each.split(":")[:2] for each in service["volumes"] if each.startswith(".."))
        for name, service in compose["services"].items()
    }
    [provider] = provisioned("dashboards/sap-ai-proxy.yaml")["providers"]
    [source] = provisioned("datasources/prometheus.yaml")["datasources"]
    [job] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    [key] = compose["services"]["prometheus"]["configs"]

    assert [path for each in mounts.values() for path in each if not (DEPLOY / "docker" / path).exists()] == []
    assert Path(mounts["grafana"]["../grafana/dashboard.json"]).parent == Path(provider["options"]["path"])
    assert mounts["grafana"]["../grafana/provisioning"] == "/etc/grafana/provisioning"
    assert source["url"] == "http://prometheus:9090"
    assert job["authorization"]["credentials_file"] == key["target"]


def provisioned(name: str) -> Any:
    return yaml.safe_load((DEPLOY / "grafana/provisioning" / name).read_text(encoding="utf-8"))


def test_the_guide_says_what_each_metric_means() -> None:
    public = (
        (ROOT / "docs/stability.md").read_text(encoding="utf-8").partition("\n## Metrics\n")[2].partition("\n## ")[0]
    )
    metrics = set(re.findall(r"`((?:aicore_proxy|process)_\w+)`", public))
    told = set(re.findall(r"`((?:aicore_proxy|process)_\w+)`", GUIDE.read_text(encoding="utf-8")))

    held("docs/monitoring.md explains each metric.", sorted(metrics - told))
    held("docs/monitoring.md names no metric that does not exist.", sorted(told - metrics))


def test_rules_and_panels_name_public_metrics_alone() -> None:
    public = (ROOT / "docs/stability.md").read_text(encoding="utf-8")
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    expressions = [rule["expr"] for rule in rules()] + [target["expr"] for _, target in targets()]
    unknown = {name for each in expressions for name in names_in(each) - recorded - {"up"} if f"`{name}`" not in public}

    assert unknown == set()
