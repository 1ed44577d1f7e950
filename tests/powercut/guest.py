# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""In the emulated machine: stores readings as the gateway does until the power goes, or says what is there afterwards.

``write SYNC`` says the highest number that is on disk, again and again; ``check`` how many there are.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import cbor2

from gateway.clock import SystemClock
from gateway.outbox.devices import Arrival
from gateway.outbox.recovery import recover
from gateway.outbox.store import Limits, Outbox
from gateway.records.envelope import Position, digest
from gateway.records.reading import Payload, Reading

_STATE = Path("/var/lib/powercut")
_FILE = _STATE / "outbox.db"
_DEV_EUI = bytes(8)
_AT_A_TIME = 20


class Sealer:
    """Hides nothing: the place in the stream, and the numbers."""

    def seal(self, readings: Sequence[Reading], position: Position) -> bytes:
        where = [position.stream_id, position.first, position.last, position.previous]
        sealed: bytes = cbor2.dumps([where, [each.seq for each in readings], bytes(600)])
        return sealed

    def loss(self, position: Position, tail: bytes, why: str) -> bytes:
        raise NotImplementedError


def tell(*words: object) -> None:
    """One whole line to the host."""
    with open("/dev/ttyS1", "w", encoding="ascii") as line:  # noqa: PTH123
        line.write(" ".join(str(word) for word in words) + "\n")


def opened() -> Outbox:
    """The outbox after whatever happened to it."""
    recovered = recover(_FILE, ["city"])
    if recovered is not None:
        tell("damaged", str(recovered.why).replace("\n", " "))
    return Outbox(_FILE, Sealer(), ["city"], Limits(), SystemClock())


def write(sync: str) -> None:
    """Store until the end, and tell what may be acknowledged."""
    outbox = opened()
    outbox._db.execute(f"PRAGMA synchronous = {sync}")
    seq = outbox.receipt(_DEV_EUI).contiguous
    while True:
        numbers = range(seq + 1, seq + 1 + _AT_A_TIME)
        readings = tuple(
            Reading(_DEV_EUI, each, "bin", 1.8e9, "device", {"fill_pct": each % 100}, 1.8e9) for each in numbers
        )
        outbox.accept([Arrival(_DEV_EUI, Payload(readings, (), None))])
        seq = numbers[-1]
        tell("stored", seq)


def check() -> None:
    """Read everything, follow the chain, and say how far it goes."""
    outbox = opened()
    last, previous, found = 0, b"", list[int]()
    for row in outbox.read(0, 1_000_000_000):
        (_, first, upto, before), numbers, _ = cbor2.loads(row.message)
        if first != last + 1 or before != previous:
            tell("broken", first)
            return
        last, previous = upto, digest(row.message)
        found += numbers
    sound = found == list(range(1, len(found) + 1)) and outbox.receipt(_DEV_EUI).contiguous == len(found)
    tell("found" if sound else "broken", len(found))


if __name__ == "__main__":
    _STATE.mkdir(parents=True, exist_ok=True)
    write(sys.argv[2]) if sys.argv[1] == "write" else check()
