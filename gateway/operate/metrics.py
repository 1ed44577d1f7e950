# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics, made of an overview when somebody asks: counting costs the pipeline nothing of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_COMMIT_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_EVENTS = (
    ("frames", "lykta_frames", "Frames by what became of them.", "event"),
    ("refused", "lykta_refused_frames", "Frames that went no further, by reason.", "reason"),
    ("readings", "lykta_readings", "Readings by what became of them.", "result"),
    ("outbox", "lykta_outbox_refusals", "Batches that were not taken, by reason.", "reason"),
    ("downlinks", "lykta_downlinks", "Downlinks by what became of them.", "event"),
    ("reloads", "lykta_reloads", "Reloads, taken and refused.", "result"),
    ("guidelines", "lykta_guideline_events", "Rules that a device began to break, by rule.", "rule"),
    ("clock", "lykta_clock_events", "Steps of the wall clock.", "event"),
)


class Metrics:
    """What is measured as it happens, and the text of everything."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.commit_s = Histogram(
            "lykta_commit_seconds",
            "From the batch's last frame to its receipts: decrypt, check, sign, fdatasync.",
            buckets=_COMMIT_BUCKETS_S,
            registry=self._registry,
        )

    def text(self, found: Mapping[str, Any]) -> bytes:
        """Return everything in Prometheus's text format."""
        registry = CollectorRegistry()
        registry.register(_Collected(families(found)))
        return generate_latest(registry) + generate_latest(self._registry)


class _Collected:
    def __init__(self, collected: Iterable[Metric]) -> None:
        self._collected = list(collected)

    def collect(self) -> Iterable[Metric]:
        return self._collected


def families(found: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield the metrics of an overview."""
    yield _gauge("lykta_build_info", "The version that runs.", ("version", "gateway"), [
        ((found["version"], found["gateway"]), 1)
    ])  # fmt: skip
    yield _gauge("lykta_uptime_seconds", "Since the start.", (), [((), found["uptime_s"])])
    yield _gauge("lykta_ready", "1 while readings are taken.", (), [((), found["ready"])])
    yield _gauge("lykta_problems", "Problems that status would show.", ("severity",), [
        ((severity,), sum(each["severity"] == severity for each in found["problems"]))
        for severity in ("error", "warning")
    ])  # fmt: skip
    counters = found["counters"]
    for group, name, text, label in _EVENTS:
        yield _counter(name, text, (label,), [((event,), count) for event, count in counters.get(group, {}).items()])
    yield _named("lykta_link_events", "Events by link.", "link", counters.get("links", {}), found["links"])
    events = counters.get("platforms", {})
    yield _named("lykta_platform_events", "Events by platform.", "platform", events, found["platforms"])
    yield from _pipeline(found)
    yield from _links(found)
    yield from _platforms(found["platforms"])
    yield from _radio(found["duty"])
    yield from _devices(found)


def _pipeline(found: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("lykta_queue_frames", "Frames that wait for the next batch.", (), [((), found["queue"]["frames"])])
    yield _gauge("lykta_queue_limit_frames", "Places in that queue.", (), [((), found["queue"]["limit"])])
    stages = found["stages"]
    yield _gauge("lykta_stage_silent_seconds", "Since a stage made progress.", ("stage",), [
        ((each["name"],), each["silent_s"]) for each in stages
    ])  # fmt: skip
    yield _gauge("lykta_stage_limit_seconds", "Silence after which the watchdog starves.", ("stage",), [
        ((each["name"],), each["limit_s"]) for each in stages
    ])  # fmt: skip
    outbox = found["outbox"]
    yield _gauge("lykta_outbox_used_bytes", "Of the outbox.", (), [((), outbox["used_bytes"])])
    yield _gauge("lykta_outbox_limit_bytes", "outbox.max_bytes.", (), [((), outbox["max_bytes"])])
    ends = found["certificate"]["not_after"]
    yield _gauge("lykta_certificate_expiry_timestamp_seconds", "End of the gateway's certificate.", (), [((), ends)])
    yield _gauge("lykta_clock_plausible", "0 while the clock was never set.", (), [((), found["clock"]["plausible"])])
    reload = found["reload"]
    yield _gauge("lykta_reload_ok", "0 when the last reload was refused.", (), [((), reload is None or reload["ok"])])


def _links(found: Mapping[str, Any]) -> Iterator[Metric]:
    links = found["links"]
    yield _gauge("lykta_link_open", "1 while a link is open.", ("link", "type"), [
        ((each["name"], each["type"]), each.get("open", True)) for each in links
    ])  # fmt: skip
    forwarders = [(each["name"], gateway) for each in links for gateway in each.get("gateways", ())]
    yield _gauge("lykta_forwarder_there", "0 while no PULL_DATA comes.", ("link", "forwarder"), [
        ((link, gateway["eui"]), not gateway["away"]) for link, gateway in forwarders
    ])  # fmt: skip
    yield _counter("lykta_forwarder_uplinks", "Frames that a forwarder heard.", ("link", "forwarder"), [
        ((link, gateway["eui"]), gateway["uplinks"]) for link, gateway in forwarders
    ])  # fmt: skip


def _platforms(platforms: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    for key, name, text in (
        ("connected", "lykta_platform_connected", "1 while there is a connection."),
        ("in_flight", "lykta_platform_in_flight_envelopes", "Sent and not acknowledged."),
        ("waiting_envelopes", "lykta_platform_waiting_envelopes", "In the outbox and not taken by the platform."),
        ("oldest_waiting_s", "lykta_platform_oldest_waiting_seconds", "Age of the oldest of these."),
    ):
        yield _gauge(name, text, ("platform",), [((each["name"],), each[key] or 0) for each in platforms])
    outputs = [each for each in platforms if "audience" in each]
    yield _gauge("lykta_platform_refused", "1 while the register does not allow an output.", ("platform",), [
        ((each["name"],), bool(each["refused"])) for each in outputs
    ])  # fmt: skip
    yield _counter("lykta_platform_set_aside", "Readings that a platform will never take.", ("platform",), [
        ((each["name"],), each["set_aside"]) for each in outputs
    ])  # fmt: skip


def _radio(duty: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    labels = ("forwarder", "band")
    rows = [((each["gateway"], f"{each['low_hz'] / 1e6:.2f}-{each['high_hz'] / 1e6:.2f} MHz"), each) for each in duty]
    yield _gauge("lykta_duty_airtime_seconds", "Airtime of the last hour.", labels, [
        (values, each["used_ms"] / 1000) for values, each in rows
    ])  # fmt: skip
    yield _gauge("lykta_duty_limit_seconds", "Airtime that the law allows in an hour.", labels, [
        (values, each["limit_ms"] / 1000) for values, each in rows
    ])  # fmt: skip


def _devices(found: Mapping[str, Any]) -> Iterator[Metric]:
    """Few numbers: a time series for each device of a city would be the end of the Prometheus server."""
    for name, seconds in (("10m", 600), ("1h", 3600), ("1d", 86400)):
        heard = sum(found["now"] - each["heard_at"] <= seconds for each in found["devices"])
        text = f"Devices heard within {name}, of those heard last."
        yield _gauge(f"lykta_devices_heard_{name}", text, (), [((), heard)])


def _gauge(name: str, text: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric(list(values), float(value))
    return family


def _counter(name: str, text: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric(list(values), float(value))
    return family


def _named(name: str, text: str, label: str, counts: Mapping[str, int], ends: Iterable[Mapping[str, Any]]) -> Metric:
    """Counters whose names begin with the name of a link or platform."""
    rows = []
    names = sorted((each["name"] for each in ends), key=len, reverse=True)
    for counter, count in counts.items():
        owner = next((each for each in names if counter.startswith(f"{each}_")), None)
        if owner is not None:
            rows.append(((owner, counter.removeprefix(f"{owner}_")), count))
    return _counter(name, text, (label, "event"), rows)
