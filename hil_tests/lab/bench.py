# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What tests do with a board on its cable: enrol it, talk to it as its network, look at its readings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from firmware.wire import cobs, cobs_stream, kinds, readings, requests
from firmware.wire.session import Received
from hil_tests.lab.place import Place
from provisioning.bench import ports
from provisioning.bench.enrolment import Bench, Enrolled, Enrolment, Wanted
from provisioning.bench.line import Line
from provisioning.bench.proof import BenchNetwork

PATIENCE_S = 90.0
ASK_AGAIN_S = 6.0
INTERVAL_MS = 1000
_RECEIPT_BYTES = 16


def enrol(place: Place, bench: Bench, **wanted: Any) -> Enrolled:
    """All that `lykta enroll` does."""
    asked = {"kind": place.kind, "board": place.board, "interval_ms": INTERVAL_MS, "without": place.without, **wanted}
    job = Enrolment(
        bench,
        ports.Port(place.port),
        Wanted(**asked),
        place.session(),
        step=lambda _name, _remark: None,
        confirm=lambda _what, _word: True,
    )
    return job.run()


@dataclass(frozen=True)
class Reading:
    """A reading as it came; `alarm`: on the port of alarms."""

    seq: int
    values: dict[str, Any]
    alarm: bool = False


@dataclass
class Talk:
    """The network of one board on its serial line, for as long as the line is open."""

    line: Line
    network: BenchNetwork
    silent: bool = False
    """Hear the board and never answer: it has no contact."""
    readings: list[Reading] = field(default_factory=list)
    answers: dict[int, dict[int, Any]] = field(default_factory=dict)
    _deframer: cobs_stream.Deframer = field(default_factory=cobs_stream.Deframer)
    _number: int = 100
    _oldest: int | None = None

    def __post_init__(self) -> None:
        self.network.tell = self._heard

    def until(self, done: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Be the network until something has happened. AssertionError with what was awaited."""
        deadline = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain: {what}; {self.network.refused}"
            for phy in self._deframer.feed(self.line.read(0.2)):
                answer = self.network.heard(phy, int(time.time() * 1000))
                if answer is not None and not self.silent:
                    self.line.write(cobs.frame(answer))
                self._receipt()

    def next_reading(
        self, right: Callable[[Reading], object] = lambda _reading: True, what: str = "a reading"
    ) -> Reading:
        """The next one that comes and is right."""
        begun = len(self.readings)

        def found() -> Reading | None:
            return next((each for each in self.readings[begun:] if right(each)), None)

        self.until(found, what)
        reading = found()
        assert reading is not None
        return reading

    def settled(self, field: str, truth: float, within: float, wait_s: float = 0.0) -> float:
        """What the board reads once filters and *wait_s* have had their time; the last if none is near *truth*."""
        self.next_reading()  # one that may have been made before
        tries, end_s = 1 if wait_s else 6, time.monotonic() + wait_s
        while tries > 0 or time.monotonic() < end_s:
            tries -= 1
            near = self.next_reading(lambda each: not each.alarm and field in each.values, f"a reading with {field}")
            if abs(near.values[field] - truth) <= within:
                break
        return float(near.values[field])

    def command(self, name: str, **arguments: object) -> dict[int, Any]:
        """Give a command; return its answer."""
        module = next(m for m in kinds.controls(self.network.kind) if name in [each[0] for each in m.COMMANDS])
        _, key, fields = next(each for each in module.COMMANDS if each[0] == name)
        keys = {each[0]: each[1] for each in fields}
        return self._ask(
            readings.FPORT_COMMANDS, lambda n: requests.command(n, key, {keys[k]: v for k, v in arguments.items()})
        )

    def set(self, **values: object) -> dict[int, Any]:
        """Set settings by name; return the answer."""
        keys = {each[0]: each[1] for module in kinds.controls(self.network.kind) for each in module.SETTINGS}
        return self._ask(
            readings.FPORT_SETTINGS, lambda n: requests.settings(n, {keys[k]: v for k, v in values.items()})
        )

    def defaults(self) -> dict[int, Any]:
        """All settings as they were made."""
        return self._ask(readings.FPORT_SETTINGS, requests.defaults)

    def _ask(self, fport: int, make: Callable[[int], bytes]) -> dict[int, Any]:
        self.until(lambda: self.network.session is not None and self.network.timed, "a session, and the time")
        self._number += 1
        number, asked_s = self._number, 0.0
        deadline = time.monotonic() + PATIENCE_S
        while number not in self.answers:
            assert time.monotonic() < deadline, f"no answer to request {number} on port {fport}"
            if time.monotonic() - asked_s > ASK_AGAIN_S:
                asked_s = time.monotonic()
                assert self.network.session is not None
                self.line.write(cobs.frame(self.network.session.seal_downlink(fport, make(number))))
            pause_s = time.monotonic() + 0.3
            self.until(lambda: number in self.answers or time.monotonic() > pause_s, "an answer")  # noqa: B023
        return self.answers[number]

    def _heard(self, received: Received) -> None:
        if received.fport in (readings.FPORT_READINGS, readings.FPORT_ALARMS):
            items, oldest = readings.unpack_payload(received.payload)
            kind = kinds.load(self.network.kind)
            for item in items:
                seq, _, _, values = readings.decode_reading(kind, item)
                self.readings.append(Reading(seq, values, received.fport == readings.FPORT_ALARMS))
            self._oldest = oldest
        elif received.fport in (readings.FPORT_COMMANDS, readings.FPORT_SETTINGS):
            answer = requests.decode(received.payload)
            self.answers[answer[requests.ID]] = answer

    def _receipt(self) -> None:
        """As the gateway: what came is kept, so that the board frees its flash."""
        if self._oldest is None or self.network.session is None or self.silent:
            return
        held = sorted({reading.seq for reading in self.readings if reading.seq >= self._oldest})
        contiguous = self._oldest - 1
        while contiguous + 1 in held:
            contiguous += 1
        payload = readings.encode_receipt(contiguous, held, _RECEIPT_BYTES)
        self._oldest = None
        self.line.write(cobs.frame(self.network.session.seal_downlink(readings.FPORT_RECEIPTS, payload)))
