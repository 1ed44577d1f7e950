# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The front's metrics for Prometheus, on loopback: what came, what was acknowledged, which worker is away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from gateway.operate.logs import EventLog
from gateway.operate.web.absence import absence
from gateway.operate.web.settings import parse_listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Thread
    from wsgiref.simple_server import WSGIServer

    from prometheus_client.metrics_core import Metric

_LOOPBACK = "127.0.0.1"
AGAIN_S = 1.0
"""How often a port is tried that somebody else has."""


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


class Page:
    """Answers ``/metrics`` at the port of ``operate.listen``, on loopback; nowhere when it is empty.

    A port that somebody else has stops no front.
    """

    def __init__(self, listen: str, status: Callable[[], dict[str, Any]]) -> None:
        self._listen = listen
        self._collected = Collected(status)
        self._log = EventLog("front.metrics")
        self._served: tuple[WSGIServer, Thread] | None = None
        self._absent: dict[str, str] | None = None

    def status(self) -> dict[str, Any]:
        """See ``StatusPage.status``."""
        return {"listen": self._listen, "absent": self._absent}

    def open(self) -> None:
        """Try again, where it is to be and is not yet."""
        if not self._listen or self._served is not None:
            return
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(self._collected)
        try:
            self._served = start_http_server(parse_listen(self._listen)[1], _LOOPBACK, registry)
        except OSError as error:
            if self._absent is None:
                self._log.warning("metrics_absent", listen=self._listen, why=error)
            self._absent = absence(self._listen, error, AGAIN_S, "systemctl restart lykta-gateway-front")
        else:
            self._absent = None

    def close(self) -> None:
        """Answer nobody any more."""
        if self._served is not None:
            server, thread = self._served
            self._served = None
            server.shutdown()
            server.server_close()
            thread.join()
