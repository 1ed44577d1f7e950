# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Live frames of devices, from a gateway's socket or from the broker's verified stream: what `lykta monitor` shows.

Memory is bounded: so many devices, and of each so many frames; the device heard longest ago is forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from provisioning.bench import gateway_status
from provisioning.bench.errors import NoGateway
from provisioning.bench.gateway_status import Sighting

MAX_DEVICES: Final = 256
MAX_FRAMES: Final = 120
_BARS: Final = "▁▂▃▄▅▆▇█"
RSSI_DBM: Final = (-130.0, -30.0)
SNR_DB: Final = (-20.0, 12.0)
SF: Final = (7.0, 12.0)


@dataclass(frozen=True)
class Frame:
    """One frame, or one reading, of a device."""

    dev_eui: str
    at_s: float
    link: str = ""
    name: str = ""
    kind: str = ""
    sf: int | None = None
    rssi_dbm: float | None = None
    snr_db: float | None = None
    seq: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    not_shown: int = 0
    """Frames that came between two looks at the gateway, of which only the last is known."""

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {key: value for key, value in vars(self).items() if value not in (None, "", 0) or key == "seq"}


@dataclass
class Device:
    """What is remembered of one."""

    last: Frame
    frames: int = 0
    rssi_dbm: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_FRAMES))
    snr_db: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_FRAMES))
    sf: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_FRAMES))


class Board:
    """All that is shown."""

    def __init__(self, max_devices: int = MAX_DEVICES) -> None:
        self._max = max_devices
        self.devices: OrderedDict[str, Device] = OrderedDict()
        self.frames = 0

    def take(self, frame: Frame) -> None:
        """One more frame."""
        device = self.devices.setdefault(frame.dev_eui, Device(frame))
        self.devices.move_to_end(frame.dev_eui)
        if len(self.devices) > self._max:
            self.devices.popitem(last=False)
        device.last = frame
        device.frames += 1 + frame.not_shown
        self.frames += 1 + frame.not_shown
        for kept, value in ((device.rssi_dbm, frame.rssi_dbm), (device.snr_db, frame.snr_db), (device.sf, frame.sf)):
            if value is not None:
                kept.append(float(value))


class GatewaySource:
    """The frames of a gateway on this computer, by looking at what it heard last."""

    def __init__(self, path: Path, only: Collection[str] = ()) -> None:
        self._path = path
        self._only = frozenset(only)
        self._seen: dict[str, Sighting] = {}
        self._missing = False
        self._take(gateway_status.sightings(path))  # raises NoGateway at once when there is none

    def look(self) -> list[Frame]:
        """The frames since the last look, oldest first. A gateway or a worker that restarts is waited for."""
        try:
            return self._take(gateway_status.look(self._path)[0])
        except NoGateway:
            self._seen.clear()  # it counts anew
            return []

    def _take(self, found: Iterable[Sighting]) -> list[Frame]:
        frames = []
        listed = [each for each in found if not self._only or each.dev_eui in self._only]
        for each in listed:
            known = self._seen.get(each.dev_eui)
            new = each.frames - (known.frames if known is not None and known.frames <= each.frames else 0)
            if new > 0 and (known is None or each.heard_at > known.heard_at or each.frames != known.frames):
                frames.append(_frame(each, known, new - 1 if known is not None else 0))
        self._seen = {each.dev_eui: each for each in listed}
        return sorted(frames, key=lambda frame: frame.at_s)


def _frame(found: Sighting, known: Sighting | None, not_shown: int) -> Frame:
    fresh = known is None or found.seq != known.seq
    return Frame(
        dev_eui=found.dev_eui,
        at_s=found.heard_at,
        link=found.link,
        name=found.name,
        kind=found.kind,
        sf=found.sf,
        rssi_dbm=found.rssi_dbm,
        snr_db=found.snr_db,
        seq=found.seq if fresh else None,
        values=found.values if fresh else {},
        not_shown=not_shown,
    )


def plot(values: Iterable[float], low: float, high: float, width: int) -> str:
    """The last *width* values as bars between *low* and *high*; what is outside is drawn at the edge."""
    span = high - low
    top = len(_BARS) - 1
    return "".join(_BARS[round(max(0.0, min(1.0, (value - low) / span)) * top)] for value in list(values)[-width:])


def numbers(frame: Frame) -> str:
    """How it was heard, in one line."""
    parts = [f"SF{frame.sf}" if frame.sf is not None else ""]
    parts += [f"{frame.rssi_dbm:.0f} dBm" if frame.rssi_dbm is not None else ""]
    parts += [f"SNR {frame.snr_db:+.1f} dB" if frame.snr_db is not None else ""]
    return " ".join(part for part in parts if part)


def words(values: dict[str, Any], show: Callable[[object], str] = str) -> str:
    """The values of a reading in one line."""
    shown = []
    for name, value in values.items():
        if isinstance(value, bool):
            shown.append(f"{name}={'on' if value else 'off'}")
        elif isinstance(value, float):
            shown.append(f"{name}={value:g}")
        else:
            shown.append(f"{name}={show(value)}")
    return " ".join(shown)
