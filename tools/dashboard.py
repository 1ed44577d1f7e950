# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Writes packaging/monitoring/lykta-dashboard.json: the panels are short here, and Grafana's form of them is long."""

import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "packaging" / "monitoring" / "lykta-dashboard.json"
ONE = '{job="lykta",instance=~"$instance"}'
_COLUMNS = 24

_SHARE = f"lykta_outbox_used_bytes{ONE} / lykta_outbox_limit_bytes{ONE}"
_DROPPED = '{event=~"kernel_dropped(_bundles)?",' + ONE[1:]
_NOT_PASSED_ON = '{event=~".+_(kernel_dropped|unanswered|not_taken)",' + ONE[1:]

# title, unit, width, kind, (legend, query)...
Panel = tuple[str, str, int, str, list[tuple[str, str]]]
PANELS: list[Panel] = [
    ("Takes readings", "bool_yes_no", 4, "stat", [("", f"lykta_ready{ONE}")]),
    ("Errors", "short", 4, "stat", [("", 'lykta_problems{job="lykta",instance=~"$instance",severity="error"}')]),
    ("Platforms connected", "short", 4, "stat", [("", f"sum(lykta_platform_connected{ONE})")]),
    ("Oldest reading that waits", "s", 4, "stat", [("", f"max(lykta_platform_oldest_waiting_seconds{ONE})")]),
    ("Outbox in use", "percentunit", 4, "stat", [("", _SHARE)]),
    ("Certificate ends in", "s", 4, "stat", [("", f"lykta_certificate_expiry_timestamp_seconds{ONE} - time()")]),
    ("Frames", "pps", 12, "timeseries", [("{{event}}", f"rate(lykta_frames_total{ONE}[$__rate_interval])")]),
    ("Readings", "cps", 12, "timeseries", [("{{result}}", f"rate(lykta_readings_total{ONE}[$__rate_interval])")]),
    ("Commit", "s", 12, "timeseries", [
        ("half", f"histogram_quantile(0.5, sum by (le) (rate(lykta_commit_seconds_bucket{ONE}[$__rate_interval])))"),
        ("1 %", f"histogram_quantile(0.99, sum by (le) (rate(lykta_commit_seconds_bucket{ONE}[$__rate_interval])))"),
    ]),
    ("Envelopes waiting", "short", 12, "timeseries", [
        ("{{platform}}", f"lykta_platform_waiting_envelopes{ONE}"),
        ("{{platform}} on their way", f"lykta_platform_in_flight_envelopes{ONE}"),
    ]),
    ("Refused frames", "cps", 12, "timeseries", [
        ("{{reason}}", f"rate(lykta_refused_frames_total{ONE}[$__rate_interval])")
    ]),
    ("Stages: silence of their limit", "percentunit", 12, "timeseries", [
        ("{{stage}}", f"lykta_stage_silent_seconds{ONE} / lykta_stage_limit_seconds{ONE}")
    ]),
    ("Airtime of the law's limit", "percentunit", 12, "timeseries", [
        ("{{forwarder}} {{band}}", f"lykta_duty_airtime_seconds{ONE} / lykta_duty_limit_seconds{ONE}")
    ]),
    ("Forwarders: frames heard", "pps", 12, "timeseries", [
        ("{{forwarder}}", f"rate(lykta_forwarder_uplinks_total{ONE}[$__rate_interval])")
    ]),
    ("Dropped before it was read, by the kernel or for a slow worker", "cps", 24, "timeseries", [
        ("{{instance}} {{link}} {{event}}", f"rate(lykta_link_events_total{_DROPPED}[$__rate_interval])"),
        ("{{instance}} {{event}}", f"rate(lykta_front_events_total{_NOT_PASSED_ON}[$__rate_interval])"),
    ]),
    ("Downlinks", "cps", 12, "timeseries", [("{{event}}", f"rate(lykta_downlinks_total{ONE}[$__rate_interval])")]),
    ("Devices heard", "short", 12, "timeseries", [
        ("10 minutes", f"lykta_devices_heard_10m{ONE}"),
        ("1 hour", f"lykta_devices_heard_1h{ONE}"),
        ("1 day", f"lykta_devices_heard_1d{ONE}"),
    ]),
    ("Memory", "bytes", 8, "timeseries", [("resident", f"process_resident_memory_bytes{ONE}")]),
    ("Processor", "percentunit", 8, "timeseries", [
        ("cores", f"rate(process_cpu_seconds_total{ONE}[$__rate_interval])")
    ]),
    ("Open files", "short", 8, "timeseries", [("", f"process_open_fds{ONE}")]),
]  # fmt: skip


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    panels, x, y, row = [], 0, 0, 0
    for number, (title, unit, width, kind, targets) in enumerate(PANELS, 1):
        height = 4 if kind == "stat" else 8
        if x + width > _COLUMNS:
            x, y = 0, y + row
        row = height
        panels.append(_panel(number, title, unit, kind, targets, {"h": height, "w": width, "x": x, "y": y}))
        x += width
    variables = [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
        {"name": "instance", "type": "query", "datasource": {"type": "prometheus", "uid": "${datasource}"},
         "query": 'label_values(lykta_build_info{job="lykta"}, instance)', "includeAll": True, "multi": True,
         "refresh": 2, "label": "Gateway"},
    ]  # fmt: skip
    return {
        "title": "Lykta gateways",
        "uid": "lykta-gateways",
        "tags": ["lykta"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": variables},
        "panels": panels,
    }


def _panel(
    number: int, title: str, unit: str, kind: str, targets: list[tuple[str, str]], place: dict[str, int]
) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number,
        "title": title,
        "type": kind,
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": source, "expr": query, "legendFormat": legend}
            for index, (legend, query) in enumerate(targets)
        ],
    }


if __name__ == "__main__":
    TARGET.write_text(json.dumps(dashboard(), indent=1) + "\n", encoding="utf-8")
