# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where the tests run: a rig is one device, hands that switch its power, and a packet forwarder that hears it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest

from boards.schema import load_board
from hil_tests.lab import hands
from hil_tests.lab.file import BoardTable, Foreign, LabFile
from hil_tests.lab.file import load as load_lab
from hil_tests.lab.place import empty
from hil_tests.semtech_end import SemtechEnd
from provisioning.bench import identity
from provisioning.bench.board import Board
from provisioning.bench.install import Installer
from provisioning.bench.package import Purpose, package_for
from provisioning.bench.repl import RawRepl
from provisioning.bench.session import Session
from provisioning.secret_refs import load_secret

WAIT_S = 30
REAL_INTERVAL_MS = 3000


@dataclass(frozen=True)
class Identity:
    """What the network must know of a device; EUIs as people write them."""

    dev_eui: bytes
    join_eui: bytes
    app_key: bytes


@dataclass(frozen=True)
class Needs:
    """What a test needs of the device: its class, and whether the test port 224 is open."""

    device_class: Literal["A", "C"] = "A"
    certification: bool = True


class Rig(Protocol):
    """All that tests know of the place they run in."""

    identity: Identity
    semtech: SemtechEnd
    tell: Callable[[bytes], None]
    """Gets what the device's console says, where somebody listens to it."""

    def fresh(self, needs: Needs) -> None:
        """Switch on a device that knows of no session; ``pytest.skip`` with the reason when the rig has none such."""

    def power(self, on: bool) -> None:
        """Switch the device's power, at once."""

    def next_join_nonce(self) -> int:
        """Return a JoinNonce higher than every one before, on this rig's device."""

    def console(self) -> str:
        """Return what the device's console said lately, for a failure's message."""

    def air_log(self) -> list[dict[str, Any]]:
        """Return a record of every frame in the air; ``pytest.skip`` where nobody keeps one."""

    def close(self) -> None:
        """Give everything back."""


def power_cycle(rig: Rig, off_s: float = 0.3) -> None:
    """Take the power away and give it again."""
    rig.power(False)
    rig.semtech.clock.sleep(off_s)  # capacitors of a real board
    rig.power(True)


class BenchRig:
    """A real board and a real packet forwarder, as a lab's file names them.

    A board of ours is given firmware and a new identity over its cable for each `fresh`; a foreign one is as it is.
    """

    def __init__(self, lab: LabFile, table: BoardTable, folder: Path) -> None:
        if lab.gateway is None:
            pytest.skip("not run: this lab has no LoRa gateway ([gateway])")
        self._table, self._folder = table, folder
        self.identity = new_identity() if table.device is None else _foreign(table.device, folder)
        self._join_nonce = 0
        self.tell = lambda _data: None  # opening its port would reset many a board in the middle of a test
        host, _, port = lab.gateway.bind.rpartition(":")
        self.semtech = SemtechEnd(host, int(port), lab.gateway.address)
        if not self.semtech.connected.wait(WAIT_S):
            self.semtech.close()
            raise RuntimeError(f"no packet forwarder has spoken to {lab.gateway.bind} within {WAIT_S} s")

    def fresh(self, needs: Needs) -> None:
        device = self._table.device
        if device is None:
            self._given(needs)
            return
        if needs.device_class != device.device_class:
            pytest.skip(f"not run: the device on this bench is of class {device.device_class}")
        if needs.certification and not device.certification:
            pytest.skip("not run: the test port 224 of the device on this bench is closed (certification = false)")
        hands.do(device.forget, "make the device forget its session (delete /data/session.* on it)")
        power_cycle(self)

    def power(self, on: bool) -> None:
        if self._table.power is None:
            pytest.skip(f"not run: {self._table.name} has nothing that switches its power ([boards.power])")
        hands.switch(self._table.power, on, f"the power of {self._table.name}")

    def next_join_nonce(self) -> int:
        if self._table.device is None:
            self._join_nonce += 1
            return self._join_nonce
        state = self._folder / self._table.device.state
        last = int(state.read_text()) if state.exists() else 0
        state.write_text(f"{last + 1}\n")
        return last + 1

    def console(self) -> str:
        return f"see {self._table.serial}" if self._table.serial else "not connected"

    def air_log(self) -> list[dict[str, Any]]:
        pytest.skip("not run: nobody records the air around this bench")

    def close(self) -> None:
        self.semtech.close()

    def _given(self, needs: Needs) -> None:
        """Put firmware and an identity of these tests' own on the board, over its cable."""
        if not self._table.may_be_erased:
            pytest.skip(f"not run: {self._table.name} may not be erased (may_be_erased = false)")
        name = self._table.board or ""
        values = identity_values(self.identity, needs, name, self._table.kind, REAL_INTERVAL_MS)
        package = package_for(name, Purpose(self._table.kind, frozenset({"serial", "lora"})))

        def give(board: Board, repl: RawRepl) -> None:
            if board.facts().launcher.build != package.build:
                empty(board)  # a small flash holds one node with LoRa beside its readings
            Installer(board, package).install(board.facts())
            identity.forget_everything(board)
            identity.write(board, identity.record(values, 1))
            repl.reset()

        Session(self._table.serial or "", wait_s=WAIT_S, attempts=6).do(give)


def new_identity() -> Identity:
    """A device that no network has heard of."""
    return Identity(b"\x02" + os.urandom(7), bytes.fromhex("0200000000000002"), os.urandom(16))


def _foreign(device: Foreign, folder: Path) -> Identity:
    key = load_secret(device.app_key, folder)
    key = bytes.fromhex(key.decode()) if len(key) == 32 else key
    return Identity(bytes.fromhex(device.dev_eui), bytes.fromhex(device.join_eui), key)


def identity_values(who: Identity, needs: Needs, board: str, kind: str, interval_ms: int) -> dict[str, Any]:
    """What lies in the identity file of a board under test."""
    lorawan = {"class": needs.device_class, "certification": needs.certification}
    return {
        "dev_eui": who.dev_eui,
        "join_eui": who.join_eui,
        "app_key": who.app_key,
        "kind": kind,
        "link": "lora",
        "console": True,
        "interval_ms": interval_ms,
        "receipt_every": 64,
        "queue_bytes": 65536,
        "board": {**load_board(board).node.as_map(), "lorawan": lorawan},
    }


def open_rig(name: str, folder: Path, board: str | None = None) -> Rig:
    """Return the rig that ``--rig`` names."""
    if name == "virtual":
        from hil_tests.virtual_rig import VirtualRig  # which needs this module

        return VirtualRig(folder)
    lab = load_lab(Path(name))
    return BenchRig(lab, board_of(lab, board), Path(name).parent)


def board_of(lab: LabFile, board: str | None) -> BoardTable:
    """The board of a lab that was chosen; else its first. pytest.UsageError."""
    if board is None:
        return lab.boards[0]
    found = [table for table in lab.boards if table.name == board]
    if not found:
        known = ", ".join(table.name for table in lab.boards)
        raise pytest.UsageError(f"this lab has no board {board!r}; it has: {known}")
    return found[0]
