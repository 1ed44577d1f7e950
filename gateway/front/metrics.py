# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The front's metrics for Prometheus, on loopback: what came, what was acknowledged, which worker is away."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from gateway.operate.web.settings import parse_listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

_LOOPBACK = "127.0.0.1"


class Collected:
    """What Prometheus reads of a front."""

    def __init__(self, status: Callable[[], dict[str, Any]]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        found = self._status()
        events = CounterMetricFamily("lykta_front_events", "Datagrams by what became of them.", labels=("event",))
        for event, count in found["counters"].items():
            events.add_metric([event], count)
        yield events
        there = GaugeMetricFamily(
            "lykta_front_worker_there", "0 while a worker does not answer.", labels=("link", "worker")
        )
        forwarders = GaugeMetricFamily(
            "lykta_front_forwarder_there", "0 while no PULL_DATA comes.", labels=("link", "forwarder")
        )
        for line in found["links"]:
            for each in line["workers"]:
                there.add_metric([line["name"], str(each["worker"])], float(not each["away"]))
            for each in line["gateways"]:
                forwarders.add_metric([line["name"], each["eui"]], float(not each["away"]))
        yield there
        yield forwarders


@contextmanager
def served(listen: str, status: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Answer ``/metrics`` at the port of ``operate.listen``, on loopback; nowhere when it is empty. Raises OSError."""
    if not listen:
        yield
        return
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Collected(status))
    server, thread = start_http_server(parse_listen(listen)[1], _LOOPBACK, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
