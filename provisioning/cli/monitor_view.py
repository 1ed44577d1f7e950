# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What `lykta monitor` draws: devices with their signal as bars, in the columns that the terminal has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from provisioning.bench import monitoring
from provisioning.bench.monitoring import RSSI_DBM, SF, SNR_DB, Board, Device, Frame

_GAP: Final = "  "
_NAME: Final = range(6, 21)
_FRAMES: Final = 6
_CLOCK: Final = 8
_BARS: Final = range(6, 25)
_READING: Final = 36
"""A reading that has fewer columns than this beside the signal gets a line of its own."""
_SIGNAL: Final = (("RSSI dBm", 5), ("SNR dB", 6), ("SF", 3))
"""What is plotted, and the columns of its last value."""


@dataclass(frozen=True)
class Layout:
    """The columns of a width: of the name, of each plot (0: no plots), of the reading (0: a line of its own)."""

    width: int
    name: int
    bars: int
    reading: int


def layout(board: Board, width: int) -> Layout:
    """Return how what is on the board fits in *width* columns."""
    names = [cell_len(_name(dev_eui, device.last)) for dev_eui, device in board.devices.items()]
    name = min(max([*names, _NAME.start]), _NAME.stop - 1)
    rest = width - name - _FRAMES - _CLOCK - 3 * len(_GAP)
    bars = 0
    if any(device.rssi_dbm or device.sf for device in board.devices.values()):
        rest -= sum(digits + len(_GAP) for _, digits in _SIGNAL)
        bars = max(1, min(max((rest - _READING) // len(_SIGNAL), _BARS.start), rest // len(_SIGNAL), _BARS.stop - 1))
        rest -= bars * len(_SIGNAL)
    return Layout(width, name, bars, rest if rest >= _READING else 0)


def picture(board: Board, width: int, height: int) -> Text:
    """The devices heard last, newest first, in *width* columns and no more than *height* lines."""
    made = layout(board, width)
    devices = list(reversed(board.devices.items()))
    head = f"{_number(board.frames, 'frame')} of {_number(len(devices), 'device')}"
    if not devices:
        return _lines([Text(f"{head} so far; Ctrl-C ends", style="bold")], width)
    shown = devices[: max(1, (height - 3) // (1 if made.reading else 2))]
    if len(shown) < len(devices):
        head += f"; {len(devices) - len(shown)} of them do not fit here"
    lines = [Text(head, style="bold"), _titles(made)]
    for dev_eui, device in shown:
        lines.append(_row(_name(dev_eui, device.last), device, made))
        if not made.reading:
            lines.append(Text(f"{_GAP}{_reading(device.last)}", style="dim"))
    return _lines(lines, width)


def _number(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _name(dev_eui: str, frame: Frame) -> str:
    return frame.name or dev_eui


def _lines(lines: Iterable[Text], width: int) -> Text:
    whole = Text("\n", no_wrap=True).join(lines)
    cut = list(whole.split("\n"))
    for line in cut:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(cut)


def _titles(made: Layout) -> Text:
    parts = [set_cell_size("device", made.name), "frames", set_cell_size("last", _CLOCK)]
    if made.bars:
        parts += [set_cell_size(title, made.bars + digits) for title, digits in _SIGNAL]
    return Text(_GAP.join([*parts, "reading"] if made.reading else parts), style="bold")


def _row(name: str, device: Device, made: Layout) -> Text:
    shown = Text(name)
    shown.truncate(made.name, overflow="ellipsis", pad=True)
    at = datetime.fromtimestamp(device.last.at_s).strftime("%H:%M:%S")
    parts = [shown, Text(f"{device.frames:>{_FRAMES}}"), Text(at)]
    if made.bars:
        parts += [
            _plotted(device.rssi_dbm, RSSI_DBM, ".0f", made.bars, _SIGNAL[0][1]),
            _plotted(device.snr_db, SNR_DB, "+.1f", made.bars, _SIGNAL[1][1]),
            _plotted(device.sf, SF, ".0f", made.bars, _SIGNAL[2][1]),
        ]
    return Text(_GAP).join([*parts, Text(_reading(device.last))] if made.reading else parts)


def _plotted(values: Iterable[float], scale: tuple[float, float], form: str, bars: int, digits: int) -> Text:
    """The course of a value, the latest beside it as a number."""
    found = list(values)
    if not found:
        return Text("–".ljust(bars + digits), style="dim")
    drawn = monitoring.plot(found, *scale, bars).rjust(bars)
    return Text.assemble((drawn, "cyan"), f"{found[-1]:{form}}".rjust(digits))


def _reading(frame: Frame) -> str:
    return f"{'' if frame.seq is None else frame.seq} {monitoring.words(frame.values)}".strip()
