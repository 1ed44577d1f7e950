# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Metrics, and that the dashboard and the alert rules speak of nothing else."""

import json
import re
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from gateway.front.metrics import Collected
from gateway.operate.metrics import Metrics
from tests.status_page_rig import in_trouble, judged, overview
from tools.dashboard import TARGET, dashboard

ROOT = Path(__file__).resolve().parent.parent
ALERTS = ROOT / "packaging" / "monitoring" / "lykta-alerts.yaml"
_OURS = re.compile(r"\b(?:lykta|process)_[a-z0-9_]+")


def samples(found: dict[str, object], metrics: Metrics | None = None) -> dict[tuple[str, str], float]:
    """Every sample by name and labels, as Prometheus reads the text."""
    text = (metrics or Metrics()).text(found).decode()
    return {
        (sample.name, ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_is_counted_is_what_the_overview_says() -> None:
    metrics = Metrics()
    metrics.commit_s.observe(0.004)
    found = samples(judged(overview()), metrics)
    assert found["lykta_refused_frames_total", "reason=replayed"] == 41
    assert found["lykta_frames_total", "event=heard"] == 126_310
    assert found["lykta_link_events_total", "event=push_data,link=air"] == 126_310
    assert found["lykta_platform_events_total", "event=connected,platform=city"] == 1
    assert found["lykta_duty_limit_seconds", "band=868.00-868.60 MHz,forwarder=0200000000000a01"] == 36
    assert found["lykta_commit_seconds_bucket", "le=0.005"] == 1
    for yes in (("lykta_ready", ""), ("lykta_reload_ok", ""), ("lykta_link_open", "link=bench,type=serial")):
        assert found[yes] == 1
    bad = samples(in_trouble())
    assert bad["lykta_platform_connected", "platform=city"] == 0
    assert bad["lykta_platform_oldest_waiting_seconds", "platform=city"] == 5400
    assert bad["lykta_forwarder_there", "forwarder=0200000000000a02,link=air"] == 0


def test_an_output_that_is_refused_and_readings_that_are_set_aside_are_told() -> None:
    found = overview()
    refused = {"connected": False, "refused": "PRIV-6: TRK-0001 measures people. Next: declare it.", "set_aside": 3}
    found["platforms"][1] |= refused
    told = samples(judged(found))
    assert told["lykta_platform_refused", "platform=open-light"] == 1
    assert told["lykta_platform_set_aside_total", "platform=open-light"] == 3
    assert ("lykta_platform_refused", "platform=city") not in told
    problems = {each["what"]: each for each in found["problems"]}
    may_not = problems["platform open-light may not have what it asks for"]
    assert (may_not["severity"], may_not["why"]) == ("error", refused["refused"])
    assert "set-aside" in problems["platform open-light refused readings"]["next_step"]
    assert "platform open-light is not connected" not in problems


def test_a_city_does_not_become_a_time_series_for_each_device() -> None:
    few, many = (len(samples(judged(overview(devices)))) for devices in (1, 400))
    assert few == many


def test_nothing_is_said_of_secrets_or_devices_in_labels() -> None:
    assert not any("70b3d57ed000" in labels for _, labels in samples(judged(overview())))


def of_the_front() -> set[str]:
    line = {"name": "air", "workers": [{"worker": 1, "away": False}], "gateways": [{"eui": "aa", "away": False}]}
    front = Collected(lambda: {"counters": {"air_worker_1_unanswered": 1}, "links": [line]})
    return {sample.name for family in front.collect() for sample in family.samples}


def expressions() -> dict[str, str]:
    rules = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]
    found = {f"alert {rule['alert']}": rule["expr"] for rule in rules}
    for panel in json.loads(TARGET.read_text(encoding="utf-8"))["panels"]:
        found |= {f"panel {panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    return found


@pytest.mark.parametrize(("where", "expression"), expressions().items(), ids=expressions())
def test_every_metric_that_is_named_exists(where: str, expression: str) -> None:
    named = set(_OURS.findall(re.sub(r'"[^"]*"', '""', expression)))
    exist = {name for name, _ in samples(judged(overview()))} | of_the_front()
    assert named or expression.startswith("up{"), where
    assert named <= exist, where
    promql_parser.parse(expression.replace("$__rate_interval", "5m"))  # Grafana's own variable


def test_every_alert_says_what_to_do() -> None:
    rules = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert len(rules) == len({rule["alert"] for rule in rules}) >= 15
    for rule in rules:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "action"}


def test_the_dashboard_is_the_one_that_its_program_writes() -> None:
    assert json.loads(TARGET.read_text(encoding="utf-8")) == dashboard(), "run `python tools/dashboard.py`"
    panels = dashboard()["panels"]
    taken = set()
    for place in (panel["gridPos"] for panel in panels):
        columns = range(place["x"], place["x"] + place["w"])
        taken |= {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
    assert len(taken) == sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in panels), "panels overlap"
