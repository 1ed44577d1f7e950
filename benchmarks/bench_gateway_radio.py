# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A hundred devices, a hundred frames a second, three packet forwarders that all hear each frame: is every ack in time?

One frame in ten is confirmed: a gateway has one transmitter, and what it can send within RX1 is the limit, not the
daemon. Prints one JSON object. ``ack_share_of_rx1`` is the time from a frame's PUSH_DATA to the PULL_RESP with its
acknowledgement, the reading being on disk by then, as a share of the second that RX1 leaves; ``windows`` is how many
acknowledgements were asked for in each. Run: ``python benchmarks/bench_gateway_radio.py [seconds]``.
"""

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware.wire import frame  # noqa: E402
from tests.gateway_rig import City, Device  # noqa: E402
from tests.lora_rig import QUIET, Air, on_air  # noqa: E402
from tests.packet_forwarder import push_body, rxpk  # noqa: E402

DEVICES = 100
FRAMES_PER_S = 100
CONFIRMED_EVERY = 10
SECONDS = 20.0
CHANNELS_MHZ = (867.1, 867.3, 867.5, 867.7, 867.9, 868.1, 868.3, 868.5)
SEED = 1
_ONE_ADDRESS = "rate_per_s = 2000.0"  # three forwarders send from one address here
_JOIN_EVERY_S = 0.1
_LAST_S = 3.0
_RX1_S = 1.0


class Bench:
    """What was sent when, and what was asked for."""

    def __init__(self, air: Air, devices: list[Device]) -> None:
        self.air = air
        self.devices = devices
        self.rng = random.Random(SEED)
        self.began_s = time.monotonic()
        self.sent: dict[int, tuple[float, int]] = {}
        """By DevAddr: when its last confirmed frame left, and at which microsecond of the counters it ended."""
        self.shares: list[float] = []
        self.windows: Counter[str] = Counter()
        self.confirmed = 0
        self.frames = 0

    def push(self, phy: bytes) -> int:
        """All three forwarders hear it; their counters run as their clocks."""
        tmst = int((time.monotonic() - self.began_s) * 1e6) % (1 << 32)
        freq = self.rng.choice(CHANNELS_MHZ)
        for forwarder in self.air.forwarders:
            forwarder.push(push_body(rxpk(phy, tmst=tmst, freq=freq, lsnr=round(self.rng.uniform(-5, 10), 1))))
        self.frames += 1
        return tmst

    async def join(self) -> None:
        for device in self.devices:
            self.push(device.join_request())
            async with asyncio.timeout(20):
                asked = await self.air.asked.get()
            self.air.forwarders[asked.gateway].tx_ack(asked.token)
            device.take_accept(asked.phy)
            await asyncio.sleep(_JOIN_EVERY_S)

    async def run(self, seconds: float) -> None:
        answering = asyncio.create_task(self._answer())
        start_s, self.frames = time.monotonic(), 0
        for number in range(round(seconds * FRAMES_PER_S)):
            await asyncio.sleep(max(0.0, start_s + number / FRAMES_PER_S - time.monotonic()))
            self._uplink(number)
        await asyncio.sleep(_LAST_S)
        answering.cancel()

    def _uplink(self, number: int) -> None:
        device = self.devices[number % DEVICES]
        seq = number // DEVICES + 1
        confirmed = number % CONFIRMED_EVERY == seq % CONFIRMED_EVERY
        phy = device.readings(seq, confirmed=confirmed)
        at_s = time.monotonic()
        tmst = self.push(phy)
        if confirmed:
            self.confirmed += 1
            self.sent[device.live.dev_addr] = at_s, tmst

    async def _answer(self) -> None:
        while True:
            asked = await self.air.asked.get()
            self.air.forwarders[asked.gateway].tx_ack(asked.token)
            header = frame.decode_data(asked.phy)
            at_s, tmst = self.sent.pop(header.dev_addr)
            assert header.ack
            self.shares.append((time.monotonic() - at_s) / _RX1_S)
            self.windows[f"rx{(asked.txpk['tmst'] - tmst) // 1_000_000}"] += 1


async def measure(seconds: float) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder) / "city")
        devices = [city.device(number) for number in range(DEVICES)]
        try:
            async with on_air(city, QUIET, _ONE_ADDRESS) as air:
                bench = Bench(air, devices)
                await bench.join()
                await bench.run(seconds)
                await asyncio.sleep(1.5)  # until the daemon saves its counters
                missed = air.daemon.counters("downlinks")
        finally:
            city.registry.close()
    shares = sorted(bench.shares)
    return {
        "devices": DEVICES,
        "frames_per_s": FRAMES_PER_S,
        "frames": bench.frames,
        "confirmed": bench.confirmed,
        "acknowledged": len(shares),
        "downlinks": missed,
        "windows": dict(sorted(bench.windows.items())),
        "ack_share_of_rx1": {
            "median": round(statistics.median(shares), 3),
            "p99": round(shares[len(shares) * 99 // 100], 3),
            "most": round(shares[-1], 3),
        },
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)), indent=2))
