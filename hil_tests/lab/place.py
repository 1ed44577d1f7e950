# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A place in the lab: one board, and what can be done to it there. The same tests run on virtual and real ones."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from boards.virtual.models._bin import HEIGHT_MM, OFFSET_MM
from hil_tests.lab import hands
from hil_tests.lab.capture import Capture
from hil_tests.lab.file import BoardTable, LabFile, Switch
from provisioning.bench.board import Board
from provisioning.bench.line import Line
from provisioning.bench.rehearsal import VirtualBoard, virtual_boards
from provisioning.bench.session import Session

STIMULUS = "truth:"
_CONTROL_S = 60
KIND = "kind:"
_WAIT_S = 60.0
# What a virtual world is told, by the field of a reading that shows it.
_STIMULI: dict[str, Callable[[float], dict[str, float]]] = {
    "voltage_v": lambda volts: {"mains_voltage_v": volts},
    "power_w": lambda watts: {"load_power_w": watts},
    "energy_wh": lambda wh: {"load_energy_wh": wh},
    "range_m": lambda metres: {"content_mm": HEIGHT_MM + OFFSET_MM - 1000 * metres},
    "tilt_deg": lambda degrees: {"bin_tilt_deg": degrees},
    "speed_mean_kmh": lambda kmh: {"traffic_flow": _BUSY, "all_drive_kmh": kmh},
    "count_a": lambda count: {"traffic_flow": 0.0, "sent_a": count},
    "count_b": lambda count: {"traffic_flow": 0.0, "sent_b": count},
}
_BUSY = 20.0


class Place(Protocol):
    """All that a test knows of where it runs."""

    name: str
    board: str | None
    kind: str
    port: str
    without: frozenset[str]
    capture: Capture

    def lacks(self, need: str) -> str | None:
        """Why a need cannot be met here; None: it can. The needs: docs/hil-lab.md."""

    def power(self, on: bool) -> None:
        """Switch the power."""

    def cable(self, plugged: bool) -> None:
        """Pull the cable, or put it back."""

    def blank(self) -> None:
        """Make the board one that nothing of ours is on."""

    def truth(self, field: str, wanted: float) -> float:
        """Have the sensor of a field see *wanted*, or something else; return what it sees."""

    def grow(self, field: str, wanted: float) -> None:
        """Let a total grow to *wanted*, where the world is in our hand: a real one grows by itself."""

    def let_go(self) -> None:
        """Give the world back to itself."""

    def state(self) -> dict[str, Any]:
        """What only a virtual board knows of itself."""

    def close(self) -> None:
        """Give everything back."""

    def session(self) -> Session:
        """The raw prompt, with patience."""


class VirtualPlace:
    """A virtual board, blank at first; every need is met."""

    def __init__(self, folder: Path, captures: Path, board: str = "virtual", kind: str = "street_light") -> None:
        self.name, self.board, self.kind = board, board, kind
        self.without: frozenset[str] = frozenset()
        self.capture = Capture(captures, board)
        self._folder = folder
        self._number = 0
        self._held: set[str] = set()
        self._stack = ExitStack()
        self._board: VirtualBoard | None = None

    @property
    def port(self) -> str:
        """Its PTY."""
        return self._running.port

    def lacks(self, need: str) -> str | None:
        """Bluetooth and the radio are other suites' boards."""
        if need.startswith(KIND):
            return _other_kind(self, need)
        return "this rig has no Bluetooth adapter" if need == "bluetooth" else None

    def power(self, on: bool) -> None:
        """At once."""
        self._control("power_on" if on else "power_cut")

    def cable(self, plugged: bool) -> None:
        """At once."""
        self._control("replug" if plugged else "unplug")

    def blank(self) -> None:
        """Another board, fresh from its factory."""
        self._stack.close()
        self._number += 1
        options = ("--scenario", "still")
        boards = virtual_boards(1, self.board, self._folder / str(self._number), 1000 + self._number, options=options)
        (self._board,) = self._stack.enter_context(boards)

    def truth(self, field: str, wanted: float) -> float:
        """Exactly as wanted."""
        name = "bin_temperature_c" if (self.kind, field) == ("waste_bin", "temperature_c") else field
        for what, value in _STIMULI.get(field, lambda value: {name: value})(wanted).items():
            self._control("stimulus", name=what, value=value)
            self._held.add(what)
        return wanted

    def grow(self, field: str, wanted: float) -> None:
        """At once, or as fast as vehicles can follow each other."""
        self.truth(field, wanted)

    def let_go(self) -> None:
        """All that was held."""
        while self._held:
            self._control("stimulus", name=self._held.pop(), value=None)

    def state(self) -> dict[str, Any]:
        """Its counters."""
        return self._control("state")

    def close(self) -> None:
        """Power off."""
        self._stack.close()

    def session(self) -> Session:
        """The raw prompt."""
        return Session(self.port, wait_s=_WAIT_S, attempts=6)

    @property
    def _running(self) -> VirtualBoard:
        if self._board is None:
            self.blank()
        if self._board is None:
            raise RuntimeError("no virtual board")
        return self._board

    def _control(self, cmd: str, **arguments: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_CONTROL_S)
            client.connect(str(self._running.control))
            client.sendall(json.dumps({"cmd": cmd, **arguments}).encode() + b"\n")
            answer = json.loads(client.makefile("rb").readline())
        if not answer["ok"]:
            raise RuntimeError(f"{cmd}: {answer['error']}")
        state: dict[str, Any] = answer["state"]
        return state


class RealPlace:
    """A board on a serial port, as the lab's file describes it."""

    def __init__(self, lab: LabFile, table: BoardTable, captures: Path) -> None:
        self.name, self.board, self.kind = table.name, table.board, table.kind
        self.port = table.serial or ""
        self.without = frozenset(table.without)
        self.capture = Capture(captures, table.name)
        self._lab, self._table = lab, table

    def lacks(self, need: str) -> str | None:
        """What the file does not name."""
        table = self._table
        field = need.removeprefix(STIMULUS)
        met: dict[str, tuple[object, str]] = {
            "serial": (table.serial, "has no serial port (serial)"),
            "ours": (table.board, "is a foreign device, which takes no firmware of ours"),
            "blank": (table.may_be_erased, "may not be erased (may_be_erased = false)"),
            "power": (table.power, "has nothing that switches its power ([boards.power])"),
            "cable": (table.cable, "has nothing that pulls its cable ([boards.cable])"),
            "lora": (self._lab.gateway, "has no LoRa gateway ([gateway])"),
            "bluetooth": (self._lab.bluetooth, "has no Bluetooth adapter ([bluetooth])"),
            "state": (None, "is real: nobody sees into its chips"),
        }
        if need.startswith(KIND):
            return _other_kind(self, need)
        if need.startswith(STIMULUS):
            met[need] = (field in table.references, f"has no reference instrument for {field} ([boards.references])")
        if need not in met:
            raise ValueError(
                f"a test asks for {need!r}, which no lab knows; there are: {', '.join(met)}, "
                f"{STIMULUS}<field>, {KIND}<kind>"
            )
        there, why = met[need]
        return None if there else f"{self.name} {why}"

    def power(self, on: bool) -> None:
        """As the file says."""
        hands.switch(self._has(self._table.power), on, f"the power of {self.name}")

    def cable(self, plugged: bool) -> None:
        """As the file says."""
        hands.switch(self._has(self._table.cable), plugged, f"the USB cable of {self.name}")

    def blank(self) -> None:
        """Every file on the board is removed; MicroPython stays."""
        if not self._table.may_be_erased:
            pytest.skip(f"not run: {self.lacks('blank')}")
        self.session().do(lambda at, repl: empty(at))

    def truth(self, field: str, wanted: float) -> float:
        """What the instrument beside the sensor reads; nobody can make it *wanted*."""
        return hands.measured(self._table.references[field], field)

    def grow(self, field: str, wanted: float) -> None:
        """By itself."""

    def let_go(self) -> None:
        """Nobody holds it."""

    def state(self) -> dict[str, Any]:
        """Nothing."""
        raise RuntimeError("a real board has no state to look at: mark the test with needs('state')")

    def close(self) -> None:
        """The board stays as it is."""

    def session(self) -> Session:
        """The raw prompt."""
        return Session(self.port, wait_s=_WAIT_S, attempts=6)

    def _has(self, table: Switch | None) -> Switch:
        if table is None:
            raise RuntimeError(f"the lab's file names no such hand for {self.name}: mark the test with needs(...)")
        return table


def _other_kind(place: Place, need: str) -> str | None:
    kind = need.removeprefix(KIND)
    return None if place.kind == kind else f"{place.name} is a {place.kind}, and this is for one of kind {kind}"


def empty(board: Board) -> None:
    """Remove every file on a board."""
    for name in board.names("/"):
        if name.endswith("/"):
            board.remove_tree(f"/{name[:-1]}")
        else:
            board.remove(f"/{name}")


@contextmanager
def tapped(places: list[Place]) -> Iterator[None]:
    """Let the captures hear all that the boards say while the block lasts."""
    before: Callable[[str, bytes], None] | None = Line.tap

    def hear(port: str, data: bytes) -> None:
        for place in places:
            if place.port == port:
                place.capture.heard(data)

    Line.tap = hear
    try:
        yield
    finally:
        Line.tap = before
