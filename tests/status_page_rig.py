# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A status page on a loopback port, over overviews that a test makes up, and a browser to look at it with."""

import asyncio
import copy
import math
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from gateway.operate import health
from gateway.operate.metrics import Metrics
from gateway.operate.web.server import StatusPage
from gateway.operate.web.settings import OperateSection
from gateway.operate.web.source import Source

NOW_S = 1_795_000_000.0
ARTEFACTS = Path(os.environ.get("LYKTA_ARTEFACTS", "build/screenshots"))
_STREETS = ("Storgatan", "Kyrkogatan", "Ågatan", "Slottsgatan", "Hamngatan", "Tullgatan", "Parkvägen", "Skolgatan")


def device(number: int) -> dict[str, Any]:
    """One of a street's lights, or a bin that lives on a battery."""
    street = _STREETS[number % len(_STREETS)]
    lamp = number % 4 != 3
    values: dict[str, float | bool] = (
        {"lamp_on": True, "dimming_pct": 70, "power_w": 41.2 + number, "temperature_c": 3.5, "illuminance_lux": 4}
        if lamp
        else {"filling_pct": 7 * number % 100, "temperature_c": 4.1, "tilt_deg": 2}
    )
    return {
        "dev_eui": f"70b3d57ed000{number:04x}",
        "name": f"{street} {number + 1}",
        "kind": "street_light" if lamp else "waste_bin",
        "link": "air",
        "address": "0200000000000a01",
        "heard_at": NOW_S - 7 - 41 * number,
        "frames": 200 - number,
        "gateways": 1 + number % 2,
        "battery": "mains" if lamp else 93 - number,
        "margin_db": 12,
        "rssi_dbm": -71.0 - 3 * number,
        "snr_db": 9.0 - number,
        "sf": 7 + number // 4,
        "freq_hz": 868_100_000,
        "seq": 4800 + 13 * number,
        "time_s": NOW_S - 9 - 41 * number,
        "values": values,
        "held": 4800 + 13 * number,
        "held_above": 0 if number != 5 else 3,
    }


def _forwarder(number: int) -> dict[str, Any]:
    return {
        "eui": f"0200000000000a0{number}",
        "host": "10.8.0.7",
        "heard_s": 0.4 * number,
        "pulled_s": 3.0,
        "away": False,
        "uplinks": 84_210 // number,
        "pending": 0,
        "latitude_deg": 58.41 + number / 150,
        "longitude_deg": 15.60 + number / 60,
        "temperature_c": 21.0,
    }


def overview(devices: int = 9) -> dict[str, Any]:
    """A gateway that works, in a small town, at dusk."""
    wave = [4 + 2 * math.sin(index / 11) + (index % 7) / 5 for index in range(180)]
    forwarders = [_forwarder(number) for number in (1, 2)]
    return {
        "version": "0.1.0",
        "gateway": "aabbccddeeff0011",
        "pid": 4711,
        "now": NOW_S,
        "started_at": NOW_S - 777_600,
        "uptime_s": 777_600.0,
        "config": "/etc/lykta/gateway.toml",
        "clock": {"plausible": True, "steps": 0},
        "certificate": {"not_after": NOW_S + 86400 * 640},
        "stages": [
            {"name": name, "silent_s": 0.4, "limit_s": 60.0, "stuck": False}
            for name in ("intake and disk", "event loop", "platform city")
        ],
        "queue": {"frames": 3, "limit": 1024},
        "intake": {"state": "accepting", "why": ""},
        "counters": {
            "frames": {"heard": 126_310, "joined": 9, "receipts": 31_204, "sent": 31_300},
            "refused": {"replayed": 41, "unknown_device": 12, "not_authentic": 3},
            "readings": {"new": 125_988, "duplicates": 204},
            "outbox": {"store_unavailable": 1},
            "downlinks": {"queue_sent": 12},
            "links": {"air_push_data": 126_310},
            "platforms": {"city_connected": 1},
        },
        **_ends(forwarders),
        "devices": [device(number) for number in range(devices)],
        "history": {
            "every_s": 5.0,
            "frames_per_s": wave,
            "readings_per_s": [value * 0.93 for value in wave],
            "queued_frames": [6 if 80 < index < 96 else index // 9 % 3 for index in range(180)],
        },
        "reload": None,
        "page": {"listen": "127.0.0.1:8470", "absent": None},
    }  # fmt: skip


def _ends(forwarders: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "links": [
            {"name": "air", "type": "lora", "runs": True, "open": True, "at": "UDP 10.8.0.1:1700",
             "gateways": forwarders},
            {"name": "bench", "type": "serial", "runs": True, "open": True, "at": "/dev/ttyACM0", "unsent_bytes": 0},
        ],
        "platforms": [
            {"name": "city", "type": "mqtt", "connected": True, "in_flight": 2, "waiting_envelopes": 2,
             "oldest_waiting_s": 0.2},
            {"name": "open-light", "type": "ngsi_ld", "connected": True, "in_flight": 0, "waiting_envelopes": 0,
             "oldest_waiting_s": None, "audience": "open", "refused": "", "set_aside": 0},
        ],
        "outbox": {"used_bytes": 182_300_000, "max_bytes": 1 << 30, "stream": "5be1c1f24a92aa01", "new_readings": 1},
        "duty": [
            {"gateway": "0200000000000a01", "low_hz": 868_000_000, "high_hz": 868_600_000, "used_ms": 9_100.0,
             "limit_ms": 36_000.0},
            {"gateway": "0200000000000a01", "low_hz": 869_400_000, "high_hz": 869_650_000, "used_ms": 41_000.0,
             "limit_ms": 360_000.0},
        ],
    }  # fmt: skip


def judged(found: dict[str, Any]) -> dict[str, Any]:
    """Return it with what health says of it, as the daemon does."""
    found["problems"] = [
        {"severity": each.severity, "what": each.what, "why": each.why, "next_step": each.next_step}
        for each in health.problems(found)
    ]
    found["live"] = not any(stage["stuck"] for stage in found["stages"])
    found["ready"] = health.ready(found)
    return found


def in_trouble() -> dict[str, Any]:
    """The same gateway on a bad day."""
    found = overview()
    found["platforms"][0] |= {"connected": False, "in_flight": 0, "waiting_envelopes": 812, "oldest_waiting_s": 5400.0}
    found["links"][1]["open"] = False
    found["links"][0]["gateways"][1] |= {"away": True, "heard_s": 2400.0}
    found["certificate"]["not_after"] = NOW_S + 86400 * 12
    found["duty"][1]["used_ms"] = 331_000.0
    return judged(found)


class Page:
    """The server, in a thread of its own."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.found = judged(overview())
        self.reloads = 0
        self.metrics = Metrics()
        self._folder = folder
        self._settings = OperateSection(listen="127.0.0.1:0", **settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._page: StatusPage | None = None

    async def _gather(self) -> dict[str, Any]:
        return copy.deepcopy(self.found)

    async def _reload(self) -> dict[str, Any]:
        self.reloads += 1
        return {"ok": self.reloads == 1, "message": "reloaded" if self.reloads == 1 else "refused"}

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._page = StatusPage(Source(self._gather, self._reload, self.metrics))
        self._page.configure(self._settings, self._folder, lambda ref: (self._folder / ref[5:]).read_bytes())
        self._task = asyncio.ensure_future(self._page.run())
        await asyncio.wait([self._task])

    @property
    def port(self) -> int:
        end = time.monotonic() + 30
        while self._page is None or self._page.bound is None:
            assert time.monotonic() < end, "the page never listened"
            time.sleep(0.01)
        return self._page.bound[1]

    @property
    def url(self) -> str:
        return f"{'https' if self._settings.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> "Page":
        self._thread.start()
        return self

    def stop(self) -> None:
        assert self._loop is not None
        assert self._task is not None
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(timeout=20)
        assert not self._thread.is_alive(), "the page did not end"


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's own Chromium, without a window."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("chromium is not installed: `make test` installs it (tools/system_packages.sh)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()
