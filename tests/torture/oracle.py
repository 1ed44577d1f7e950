# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What devices sent, what they were told, and what arrived: the record that the gateway is judged by."""

from dataclasses import dataclass, field

from consumer.errors import ConsumerError
from consumer.verify import Verifier
from tests.gateway_rig import City, Device
from tests.torture.platform import Platform

TIME_S = 1_790_000_000


@dataclass
class Truth:
    """Readings by (device number, seq)."""

    sent: set[tuple[str, int]] = field(default_factory=set)
    acknowledged: set[tuple[str, int]] = field(default_factory=set)
    at_risk: set[tuple[str, int]] = field(default_factory=set)
    """Acknowledged, not arrived, when a page of the outbox was damaged: damage may cost these, and nothing else."""
    damaged: bool = False

    def told(self, device: Device, before: set[int]) -> None:
        """A receipt came: *before* is what the device had been told until then."""
        name = device.dev_eui.hex()
        new = {(name, seq) for seq in device.held - before}
        invented = new - self.sent
        assert not invented, f"a receipt for what was never sent: {sorted(invented)[:5]}"
        self.acknowledged |= new


class Arrived:
    """An idempotent consumer: verifies each message, and keeps each reading once."""

    def __init__(self, city: City, platform: Platform) -> None:
        self._platform = platform
        self._read = 0
        self.verifier: Verifier = city.verifier()
        self.readings: dict[tuple[str, int], object] = {}
        self.refused: list[str] = []

    def look(self) -> dict[tuple[str, int], object]:
        """Take in what came since the last look; return everything."""
        came = self._platform.messages[self._read :]  # more may come while these are checked
        self._read += len(came)
        for message in came:
            try:
                verified = self.verifier.check(message)
            except ConsumerError as error:
                self.refused.append(str(error))
                continue
            for reading in verified.readings:
                found = (reading.time, tuple(sorted(reading.values.items())))
                key = (reading.dev_eui, reading.seq)
                assert self.readings.setdefault(key, found) == found, f"{key} came with two contents"
        return self.readings


def expected(seq: int) -> object:
    """What the reading of a sequence number says (gateway_rig.encoded)."""
    values = {"lamp_on": seq % 2 == 0, "power": seq % 1000 / 10, "temperature": -3.5}
    return TIME_S + seq, tuple(sorted(values.items()))


def judge(truth: Truth, arrived: Arrived) -> None:
    """The invariants. Called when the gateway has published everything."""
    readings = arrived.look()
    missing = truth.acknowledged - set(readings)
    lost = sorted(missing - truth.at_risk)[:10]
    assert not lost, f"acknowledged and lost: {lost}; the platform refused: {arrived.refused[:3]}"
    foreign = set(readings) - truth.sent
    assert not foreign, f"arrived and never sent: {sorted(foreign)[:5]}"
    wrong = [key for key, found in readings.items() if found != expected(key[1])]
    assert not wrong, f"arrived with other contents: {[(key, readings[key]) for key in wrong[:3]]}"
    assert not arrived.refused, arrived.refused[:3]
    report = arrived.verifier.report()
    assert (report.forks, report.lost, report.refused) == (0, 0, {})
    if not truth.damaged:
        assert not missing
        assert (report.missing, report.duplicates) == (0, 0)
