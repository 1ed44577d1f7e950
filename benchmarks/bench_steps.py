# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What each trick of the fast path earns: the plain implementation and the quick one, in turns, on one core.

Prints microseconds a frame (median of rounds) and how many times faster the quick one is.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from firmware.wire import kinds, readings
from firmware.wire.session import Session
from gateway.network.aes import ecb
from gateway.network.quick_session import QuickSession
from gateway.records import quick_cbor

ROUNDS = 9
FRAMES = 2000
_KEYS = bytes(range(16)), bytes(range(16, 32))
_ADDRESS = 0x02000001


def us_each(work: Callable[[], object]) -> float:
    """Return microseconds of CPU for one of FRAMES."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e6 / FRAMES


def compare(name: str, plain: Callable[[], object], quick: Callable[[], object]) -> None:
    """Take turns, so that a machine that changes its speed changes it for both."""
    rounds = [(us_each(plain), us_each(quick)) for _ in range(ROUNDS)]
    first, second = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"{name:34}{first:8.1f} us plain{second:8.1f} us quick{first / second:7.1f} x")


def main() -> None:
    """All of them."""
    item = readings.encode_reading(
        kinds.load("street_light"), 70_000, {"lamp_on": True, "power_w": 41.5, "dim_pct": 80}, time_s=1_790_000_000
    )
    device = Session(ecb, _ADDRESS, *_KEYS)
    frames = [device.seal_uplink(1, item) for _ in range(FRAMES)]

    def opened(session: Session) -> None:
        for phy in frames:
            session.open_uplink(phy)

    compare(
        "open a frame of 30 bytes",
        lambda: opened(Session(ecb, _ADDRESS, *_KEYS)),
        lambda: opened(QuickSession(_ADDRESS, *_KEYS, 0, 0)),
    )
    compare(
        "read its payload",
        lambda: [readings.unpack(item) for _ in range(FRAMES)],
        lambda: [quick_cbor.unpack(item) for _ in range(FRAMES)],
    )


if __name__ == "__main__":
    main()
