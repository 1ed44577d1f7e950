# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, Protocol, TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from consumer.report import Report, VerifiedReading
from firmware.wire.kinds.terms import terms
from provisioning.demo.plan import KINDS, BoardPlan
from provisioning.demo.radio import Heard
from provisioning.verification import reading_line

_SHOWN: Final = 16
_COLUMNS: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {  # kind: title, field, format
    "street_light": (
        ("lamp", "lamp_on", ""),
        ("dim", "dim_pct", "{:.0%}"),
        ("power", "power_w", "{:.1f} W"),
        ("energy", "energy_wh", "{:.0f} Wh"),
        ("temp", "temperature_c", "{:.1f} °C"),
        ("light", "illuminance_lx", "{:.0f} lx"),
    ),
    "waste_bin": (
        ("fill", "fill_pct", "{:.0%}"),
        ("temp", "temperature_c", "{:.1f} °C"),
        ("battery", "battery_v", "{:.2f} V"),
        ("lid", "lid_openings", "{:.0f}"),
        ("full", "full", ""),
    ),
    "traffic": (
        ("a", "count_a", "{:.0f}"),
        ("b", "count_b", "{:.0f}"),
        ("heavy a", "heavy_a", "{:.0f}"),
        ("heavy b", "heavy_b", "{:.0f}"),
        ("speed", "speed_mean_kmh", "{:.1f} m/s"),
        ("occupied", "occupancy_pct", "{:.0%}"),
    ),
}

_RADIO_COLUMNS: Final = ("link", "RSSI dBm", "SNR dB")
_RADIO_LEAVES_OUT: Final[str] = "energy_wh"  # so that a line fits 118 columns
_LINKS: Final = {"lora": "LoRa", "ble": "Bluetooth", "serial": "serial"}
_WORDS: Final = 3
_LEAVE: Final = (
    *("energy", "record", "light", "temp", "RSSI dBm", "occupied", "heavy b", "full", "dim", "battery", "heavy a"),
    *("seq", "device", "signature", "link"),
)
"""What is left out first where a terminal is narrow."""
_UNBOUNDED: Final = 1000
Cell = str | Text
_Each = TypeVar("_Each")
_NUMBERS: Final = ("seq", "RSSI dBm", "SNR dB", "record")


class View(Protocol):
    """Where the demo shows what happens."""

    def note(self, text: str) -> None:
        """A line about the work."""

    def reading(
        self, gateway: str, reading: VerifiedReading, heard: Heard | None = None, board: BoardPlan | None = None
    ) -> None:
        """A verified reading; how its device was heard last where it has a radio; what it is where they differ."""

    def refresh(self, report: Report, radio: str = "") -> None:
        """The counts so far, and a line about the radio; called several times a second."""


@contextmanager
def open_view(console: Console, kind: str = "street_light") -> Iterator[View]:
    """A live table when the console is a terminal, plain lines otherwise."""
    if not console.is_terminal:
        yield _PlainView(console)
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield _TableView(live, kind)


class _PlainView:
    def __init__(self, console: Console) -> None:
        self._console = console

    def note(self, text: str) -> None:
        self._print(text)

    def reading(
        self, gateway: str, reading: VerifiedReading, heard: Heard | None = None, board: BoardPlan | None = None
    ) -> None:
        over = f" {board.link}" if board and not heard else ""
        self._print(f"verified {reading_line(gateway, reading)}" + (f" {heard}" if heard else over))

    def refresh(self, report: Report, radio: str = "") -> None:
        """Every reading has its line: nothing to refresh."""

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _TableView:
    def __init__(self, live: Live, kind: str) -> None:
        self._live = live
        self._kind = kind
        self._readings: deque[tuple[VerifiedReading, Heard | None, BoardPlan | None]] = deque(maxlen=_SHOWN)
        self._note = ""
        self._head = ""

    def note(self, text: str) -> None:
        self._note = text
        self._show()

    def reading(
        self, gateway: str, reading: VerifiedReading, heard: Heard | None = None, board: BoardPlan | None = None
    ) -> None:
        self._readings.append((reading, heard, board))

    def refresh(self, report: Report, radio: str = "") -> None:
        head = (
            f"{report.readings} readings verified, {sum(stream.envelopes for stream in report.streams)} envelopes, "
            f"{report.missing} missing, {report.forks} forked, {report.duplicates} duplicated, "
            f"{sum(report.refused.values())} refused" + (f"\n{radio}" if radio else "")
        )
        if head != self._head:
            self._head = head
            self._show()

    def _show(self) -> None:
        parts: list[RenderableType] = [Text(self._head, style="bold"), self._table()] if self._readings else []
        self._live.update(Group(*parts, Text(self._note, style="dim")), refresh=True)

    def _table(self) -> Table:
        titles, rows = self._all_kinds() if any(board for _, _, board in self._readings) else self._one_kind()
        console = self._live.console
        unbounded = console.options.update_width(_UNBOUNDED)
        for title in _LEAVE:
            if Measurement.get(console, unbounded, _drawn(titles, rows)).maximum <= console.width:
                break
            if title in titles:
                number = titles.index(title)
                titles, rows = _without(titles, number), [_without(row, number) for row in rows]
        return _drawn(titles, rows)

    def _one_kind(self) -> tuple[list[str], list[list[Cell]]]:
        radio = _RADIO_COLUMNS if any(heard for _, heard, _ in self._readings) else ()
        columns = [column for column in _COLUMNS[self._kind] if not radio or column[1] != _RADIO_LEAVES_OUT]
        rows = []
        for reading, heard, _ in self._readings:
            cells = [_cell(reading, self._kind, name, form) for _, name, form in columns]
            rows.append(_row(reading, cells + (_radio_cells(heard) if radio else [])))
        return _titles(*(title for title, _, _ in columns), *radio), rows

    def _all_kinds(self) -> tuple[list[str], list[list[Cell]]]:
        rows = []
        for reading, heard, board in self._readings:
            if board is not None:
                link = f"LoRa SF{heard.sf}" if heard else _LINKS[board.link]
                rows.append(_row(reading, [KINDS[board.kind], link, _words(reading, board.kind)]))
        return _titles("what", "link", "measured"), rows


def _titles(*of_the_kind: str) -> list[str]:
    return ["time (UTC)", "device", "seq", *of_the_kind, "record", "signature"]


def _drawn(titles: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, no_wrap=True, justify="right" if title in _NUMBERS else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _row(reading: VerifiedReading, cells: Sequence[str]) -> list[Cell]:
    moment = datetime.fromtimestamp(reading.time, UTC).strftime("%H:%M:%S")
    mark = Text("duplicate", style="red") if reading.duplicate else Text("valid", style="green")
    return [moment, reading.dev_eui, str(reading.seq), *cells, str(reading.record), mark]


def _without(row: Sequence[_Each], number: int) -> list[_Each]:
    return [*row[:number], *row[number + 1 :]]


def _words(reading: VerifiedReading, kind: str) -> str:
    """The first few values, each with its name."""
    return ", ".join(f"{title} {_cell(reading, kind, name, form)}" for title, name, form in _COLUMNS[kind][:_WORDS])


def _radio_cells(heard: Heard | None) -> list[str]:
    if heard is None:
        return ["–"] * len(_RADIO_COLUMNS)
    return [f"LoRa SF{heard.sf}", f"{heard.rssi_dbm:.0f}", f"{heard.snr_db:+.1f}"]


def _cell(reading: VerifiedReading, kind: str, name: str, form: str) -> str:
    value = reading.values.get(terms(kind)[name].senml_name)
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    return form.format(value) if form and not isinstance(value, str) else str(value)
