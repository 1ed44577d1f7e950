# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Hours of a city in less: 200 readings a second, and the broker out for ten minutes of every hour.

``python benchmarks/soak.py HOURS SPEED``: at SPEED 5 an hour takes twelve minutes, at 1000 readings a second. Nothing
that was stored may be lost or come twice; memory must not grow, and the disk must stay within its bound. Where the
computer does not keep up and datagrams are dropped, the devices send them again, as they do until they are told that a
reading is on disk: in the end all are there, and no gap is left. Prints what it saw; the exit code says whether it was
so. SIGINT or SIGTERM ends it sooner: what was until then is judged.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.load.rig import Gateway, Load, datagrams, dropped, make_city, mosquitto, pin, send, steady_port  # noqa: E402
from benchmarks.load.unheard import Unheard  # noqa: E402
from consumer.certificates import load_authorities  # noqa: E402
from consumer.verify import Verifier  # noqa: E402
from gateway.outbox import stats  # noqa: E402
from tests.gateway_rig import until  # noqa: E402

PER_S = 200
HOUR_S, OUTAGE_S = 3600.0, 600.0
MAX_BYTES = 256 << 20
DEVICES = 200
MOST_GROWTH_MB = 5.0
"""In the second half of a run: less is what allocators and page caches do."""
SETTLE_S = 600.0
"""Within so long, at the end, all that was dropped is sent again."""
_AGAIN_SHARE = 4
"""One frame for so many new ones may bring a reading again."""
_STEPS = 60
"""Parts of an hour: the broker is out for ten of them."""


@dataclass
class Platform:
    """A verifier under a persistent session, so that its own absence loses nothing."""

    port: int
    verifier: Verifier
    seen: dict[str, bytearray] = field(default_factory=dict)
    """By device, a byte for each number: a day is 17 million readings."""
    arrived: int = 0
    twice: int = 0
    refused: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Connect, and stay so."""
        ready = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, "soak", clean_session=False, protocol=paho.MQTTv311)
        self.client.on_connect = lambda client, *_: client.subscribe("lykta/v1/+/records", qos=1)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = lambda _c, _d, message: self.take(message.payload)
        self.client.reconnect_delay_set(0.1, 0.5)
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        ready.wait(10)

    def take(self, message: bytes) -> None:
        """Keep each reading once."""
        try:
            verified = self.verifier.check(message)
        except ValueError as error:
            self.refused.append(str(error))
            return
        for reading in [] if verified.redelivered else verified.readings:
            seen = self.seen.setdefault(reading.dev_eui, bytearray())
            if reading.seq >= len(seen):
                seen.extend(bytes(reading.seq + 4096 - len(seen)))
            self.twice += seen[reading.seq]
            self.arrived += not seen[reading.seq]
            seen[reading.seq] = 1


class Broker:
    """Mosquitto, which keeps what it has for its subscribers over an outage."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, steady_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Come back, if it is away."""
        if self.process is None:
            self.process = mosquitto(self.folder, self.port, "persistence true\n")

    def stop(self) -> None:
        """An outage."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None


def written_bytes(gateway: Gateway) -> int:
    """What the process has sent to the disk: flash wears out by it."""
    lines = Path(f"/proc/{gateway.process.pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def growth_mb(samples: list[tuple[float, float]]) -> float:
    """Return how much memory grew in the second half, when all has warmed up, by the line through its samples."""
    half = samples[len(samples) // 2 :]
    slope = statistics.linear_regression([at for at, _ in half], [mb for _, mb in half]).slope
    return slope * (half[-1][0] - half[0][0])


def live(
    load: Load, gateway: Gateway, broker: Broker, hours: float, speed: float, enough: threading.Event
) -> tuple[list[tuple[float, float]], int]:
    """Send for so many hours, or until it is *enough*; return memory over time, and the largest size of the outbox."""
    count = round(PER_S * HOUR_S / _STEPS)
    unheard, made = Unheard(load), 0
    samples, largest = [], 0
    for step in range(round(hours * _STEPS)):
        if enough.is_set():
            break
        minute = step % _STEPS
        if minute == 20:
            broker.stop()
        if minute == 20 + OUTAGE_S / HOUR_S * _STEPS:
            broker.start()
        again = []
        if step % 2:  # what was new in the step before is on its way perhaps
            again, made = unheard.frames(made, count // _AGAIN_SHARE), load.made
        send(load, again + datagrams(load, count), PER_S * speed)  # as they were numbered: an older frame is a replay
        samples.append((time.monotonic(), gateway.rss_mb))
        largest = max(largest, sum(each.stat().st_size for each in load.outbox.parent.glob("outbox.db*")))
        if minute == _STEPS - 1:
            print(
                f"{(step + 1) // _STEPS} h: {load.made} made, {gateway.stored()} stored, {load.again} sent again, "
                f"{samples[-1][1]:.1f} MB",
                flush=True,
            )
    broker.start()
    unheard.settle(PER_S * speed / 2, SETTLE_S)
    return samples, largest


def main() -> int:
    """Run, print, judge."""
    hours, speed = float(sys.argv[1]), float(sys.argv[2])
    enough = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: enough.set())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Broker(folder)
        load = make_city(
            folder / "city", DEVICES, broker.port, outbox=f"max_bytes = {MAX_BYTES}\nkeep_published_h = 0.02"
        )
        verifier = Verifier(load_authorities((folder / "city" / "ca.pem").read_bytes()))
        verifier.add_certificate((folder / "city" / "gateway.cert.pem").read_bytes())
        platform = Platform(broker.port, verifier)
        platform.start()
        pin(0, 1)
        gateway = Gateway(load)
        try:
            samples, largest = live(load, gateway, broker, hours, speed, enough)
            until(lambda: gateway.published() >= gateway.stored(), "everything published", 300)
            until(lambda: platform.arrived >= gateway.stored(), "everything at the platform", 300)
            stored, written, lost = gateway.stored(), written_bytes(gateway), dropped(load.udp_port)
            gaps = sum(len(each.runs()) for each in stats.held(load.outbox).values())
        finally:
            gateway.stop()
            platform.client.loop_stop()
            broker.stop()
    report = platform.verifier.report()
    growth = growth_mb(samples)
    print(
        f"{len(samples) / _STEPS:.2g} h at {PER_S}/s, {speed:g} times as fast: {load.made} sent, "
        f"{lost} datagrams dropped by the system, {load.again} sent again, {stored} stored, {gaps} gaps, "
        f"{platform.arrived} arrived, {platform.twice} twice, {report.missing} missing, {report.lost} given up, "
        f"{len(platform.refused)} refused; "
        f"memory {samples[0][1]:.1f} to {samples[-1][1]:.1f} MB, {growth:+.1f} MB in the second half; "
        f"outbox at most {largest / 1e6:.1f} MB, {written / max(1, stored):.0f} bytes written to disk for each reading"
    )
    sound = load.made == stored == platform.arrived and not (platform.twice or report.missing or platform.refused)
    return 0 if sound and growth <= MOST_GROWTH_MB and largest <= MAX_BYTES + (32 << 20) else 1


if __name__ == "__main__":
    sys.exit(main())
