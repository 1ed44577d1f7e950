# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What was heard of each device last, for people: the last reading, its signal, its battery. Bounded, in memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.network.live import Opened
    from gateway.outbox.devices import Arrival
    from gateway.records.reading import Reading

MAX_DEVICES = 5000
_MAINS, _UNKNOWN = 0, 255
_FULL = 254


@dataclass(slots=True)
class _Sighting:
    frame: Opened
    frames: int = 0
    reading: Reading | None = None


class Sightings:
    """The devices that were heard most recently. Filled by the writer's thread, read by any."""

    def __init__(self, max_devices: int = MAX_DEVICES) -> None:
        self._max_devices = max_devices
        self._seen: OrderedDict[bytes, _Sighting] = OrderedDict()

    def __len__(self) -> int:
        """How many devices are remembered."""
        return len(self._seen)

    def note(self, opened: Sequence[Opened], arrivals: Sequence[Arrival | None]) -> None:
        """Take the frames of a batch, and what each brought."""
        for frame, arrival in zip(opened, arrivals, strict=True):
            dev_eui = frame.session.dev_eui
            sighting = self._seen.get(dev_eui)
            if sighting is None:
                sighting = self._seen[dev_eui] = _Sighting(frame)
                if len(self._seen) > self._max_devices:
                    self._seen.popitem(last=False)
            else:
                sighting.frame = frame
                self._seen.move_to_end(dev_eui)
            sighting.frames += 1
            if arrival is not None and arrival.payload.readings:
                readings = arrival.payload.readings
                last = readings[0] if len(readings) == 1 else max(readings, key=lambda reading: reading.seq)
                if sighting.reading is None or last.seq > sighting.reading.seq:
                    sighting.reading = last

    def snapshot(self, limit: int) -> list[dict[str, Any]]:
        """Return the *limit* devices heard last, the newest first. For the thread that fills it."""
        newest = list(self._seen.items())[-limit:] if limit else []
        return [_described(dev_eui, sighting) for dev_eui, sighting in reversed(newest)]


def _described(dev_eui: bytes, sighting: _Sighting) -> dict[str, Any]:
    uplink, reading, state = sighting.frame.uplink, sighting.reading, sighting.frame.session.radio
    radio = uplink.radio
    found: dict[str, Any] = {
        "dev_eui": dev_eui.hex(),
        "kind": sighting.frame.kind,
        "link": uplink.link,
        "address": uplink.address,
        "heard_at": uplink.received_at,
        "frames": sighting.frames,
        "gateways": 1 + len(uplink.others),
        "battery": _battery(state.battery),
        "margin_db": state.margin_db,
    }
    if radio is not None:
        found |= {"rssi_dbm": radio.rssi_dbm, "snr_db": radio.snr_db, "sf": radio.sf, "freq_hz": radio.freq_hz}
    if reading is not None:
        found |= {"seq": reading.seq, "time_s": reading.time_s, "values": dict(reading.values)}
    return found


def _battery(value: int | None) -> str | int | None:
    """Return ``mains``, a percentage, or None (DevStatusAns, TS001-1.0.4 section 5.5)."""
    if value is None or value == _UNKNOWN:
        return None
    return "mains" if value == _MAINS else round(100 * (value - 1) / (_FULL - 1))
