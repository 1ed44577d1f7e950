# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the serial loader in the ROM of an ESP32 or ESP32-S3, and for the stub that esptool loads over it.

It runs no code of a chip. It answers as far as esptool asks, so that esptool itself finds the chip, writes its flash
and verifies it: SLIP frames, commands, checksums and status bytes after Espressif's "Serial Protocol" (esptool's
documentation, advanced topics); registers after the chips' technical reference manuals.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Final

from boards.errors import BoardsError

_END, _ESC, _ESC_END, _ESC_ESC = b"\xc0", b"\xdb", b"\xdb\xdc", b"\xdb\xdd"
_HEAD: Final = struct.Struct("<BBHI")  # direction, command, length, value or checksum
_BLOCK: Final = struct.Struct("<IIII")  # length, number, two reserved words
_CHECKSUM_START: Final = 0xEF
_MAX_FRAME_BYTES: Final = 0x8000
SECTOR_BYTES: Final = 4096
_ERASED: Final = b"\xff"
_SYNC_ANSWERS: Final = 8
_ROM_SYNC: Final = 0x20120707  # anything but 0, which is the stub's answer
_SPI_RUN: Final = 1 << 18
_READ_ID, _READ_SFDP = 0x9F, 0x5A
_SFDP: Final = 0x50444653
_NOT_UNDERSTOOD, _BAD_CHECKSUM, _BAD_DATA = b"\x01\x05", b"\x01\x07", b"\x01\x0b"
MAC: Final = bytes.fromhex("f412fa7e57a1")


@dataclass(frozen=True)
class Chip:
    """Where a chip has what esptool reads. Addresses of registers."""

    name: str
    number: int | None
    """In the answer to GET_SECURITY_INFO; None: this ROM does not know the command, and the magic word tells."""
    magic: int
    spi: int
    spi_command: int
    spi_data: int
    mac: tuple[int, int]
    """The low word and the high one."""


CHIPS: Final = {
    "esp32": Chip("esp32", None, 0x00F01D83, 0x3FF42000, 0x24, 0x80, (0x3FF5A004, 0x3FF5A008)),
    "esp32s3": Chip("esp32s3", 9, 0x9, 0x60002000, 0x20, 0x58, (0x60007044, 0x60007048)),
}


@dataclass
class Faults:
    """What goes wrong; counts are of bytes written to flash."""

    silent: bool = False
    stuck_at: int | None = None
    """The lowest bit of this byte of the flash stays as it is after erasing."""
    pulls: list[int] = field(default_factory=list)
    """When the cable is pulled, the first first."""
    no_reset: bool = False
    """DTR and RTS are not wired: a stub that runs goes on running when the port is closed."""
    hang_after: int | None = None
    block_s: float = 0.0
    """How long each block takes."""


class Pulled(Exception):
    """The cable is pulled now."""


@dataclass
class EspRom:
    """The loader. `flash`: the file that is the flash, made anew and erased when it is not there."""

    chip: Chip
    flash: Path
    size_bytes: int = 4 << 20
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        if self.size_bytes & (self.size_bytes - 1) or self.size_bytes < 1 << 20:
            raise BoardsError(f"a flash of {self.size_bytes} bytes: it must be a power of two, 1 MB or more")
        if not self.flash.exists():
            self.flash.write_bytes(_ERASED * self.size_bytes)
        self.written_bytes = 0
        self.reset()
        self._commands: dict[int, Callable[[bytes], tuple[int, bytes]]] = {
            0x02: self._flash_begin,
            0x03: self._flash_data,
            0x04: _done,
            0x05: _done,
            0x06: self._run_stub,
            0x07: _done,
            0x09: self._write_registers,
            0x0A: self._read_register,
            0x0B: _done,
            0x0D: _done,
            0x0F: _done,
            0x10: self._compressed_begin,
            0x11: self._compressed_data,
            0x12: _done,
            0x13: self._md5,
        }
        if self.chip.number is not None:
            self._commands[0x14] = self._security_info
        self._of_stub = {0xD0: self._erase_all, 0xD1: self._erase_region}

    def reset(self) -> None:
        """As after a reset with BOOT held: the ROM answers, a stub is gone."""
        low, high = int.from_bytes(MAC[2:], "big"), int.from_bytes(MAC[:2], "big")
        self._registers = {0x40001000: self.chip.magic, self.chip.mac[0]: low, self.chip.mac[1]: high}
        self.stub = False
        self._frame, self._in_frame = bytearray(), False
        self._at = 0
        self._inflate = zlib.decompressobj()

    def feed(self, data: bytes) -> bytes:
        """Bytes from the host; returns what the chip says. Raises Pulled."""
        if self.faults.silent:
            return b""
        said = bytearray()
        *whole, rest = bytes(self._frame + data).split(_END)
        for part in whole:
            if not self._in_frame:  # what stands between two frames is noise
                self._in_frame = True
            elif part:
                self._in_frame = False
                said += self._answer(_unescaped(part))
        self._frame = bytearray(rest[-_MAX_FRAME_BYTES:])
        return bytes(said)

    def _answer(self, frame: bytes) -> bytes:
        if len(frame) < _HEAD.size:
            return b""
        direction, command, length, checksum = _HEAD.unpack_from(frame)
        payload = frame[_HEAD.size :]
        if direction != 0 or length != len(payload):
            return b""
        if command == 0x08:
            return self._say(command, 0 if self.stub else _ROM_SYNC) * _SYNC_ANSWERS
        known = self._commands.get(command) or (self._of_stub.get(command) if self.stub else None)
        if known is None:
            return self._say(command, 0, status=_NOT_UNDERSTOOD)
        if command in (0x03, 0x07, 0x11) and _checksum(payload[_BLOCK.size :]) != checksum:
            return self._say(command, 0, status=_BAD_CHECKSUM)
        try:
            value, data = known(payload)
        except (struct.error, zlib.error):
            return self._say(command, 0, status=_BAD_DATA)
        said = self._say(command, value, data)
        if command == 0x06 and self.stub:
            said += _escaped(b"OHAI")
        return b"" if self.faults.silent else said

    def _say(self, command: int, value: int, data: bytes = b"", status: bytes = b"\0\0") -> bytes:
        if not self.stub:
            status += b"\0\0"  # the ROM has two bytes more
        return _escaped(_HEAD.pack(1, command, len(data) + len(status), value) + data + status)

    # Registers, and the flash's own commands, which go through them.

    def _read_register(self, payload: bytes) -> tuple[int, bytes]:
        return self._registers.get(struct.unpack("<I", payload)[0], 0), b""

    def _write_registers(self, payload: bytes) -> tuple[int, bytes]:
        for address, value, mask, _ in struct.iter_unpack("<IIII", payload):
            old = self._registers.get(address, 0)
            self._registers[address] = old & ~mask | value & mask
            if address == self.chip.spi and value & _SPI_RUN:
                self._spi()
        return 0, b""

    def _spi(self) -> None:
        chip = self.chip
        self._registers[chip.spi] = 0  # done
        command = self._registers.get(chip.spi + chip.spi_command, 0) & 0xFF
        address = self._registers.get(chip.spi + 4, 0)
        capacity = self.size_bytes.bit_length() - 1
        answers = {_READ_ID: capacity << 16 | 0x40C8, _READ_SFDP: _SFDP if address == 0 else 0}
        self._registers[chip.spi + chip.spi_data] = answers.get(command, 0)

    def _security_info(self, _: bytes) -> tuple[int, bytes]:
        return 0, struct.pack("<IB7xII", 0, 0, self.chip.number, 0)

    def _run_stub(self, payload: bytes) -> tuple[int, bytes]:
        stay, _ = struct.unpack("<II", payload)
        self.stub = not stay
        return 0, b""

    # The flash: erasing makes ones, writing makes zeros.

    def _flash_begin(self, payload: bytes) -> tuple[int, bytes]:
        size, _, _, self._at = _BLOCK.unpack_from(payload)
        self._erase(self._at, size)
        return 0, b""

    def _compressed_begin(self, payload: bytes) -> tuple[int, bytes]:
        self._inflate = zlib.decompressobj()
        return self._flash_begin(payload)

    def _flash_data(self, payload: bytes) -> tuple[int, bytes]:
        self._program(payload[_BLOCK.size :])
        return 0, b""

    def _compressed_data(self, payload: bytes) -> tuple[int, bytes]:
        self._program(self._inflate.decompress(payload[_BLOCK.size :]))
        return 0, b""

    def _erase_all(self, _: bytes) -> tuple[int, bytes]:
        self._erase(0, self.size_bytes)
        return 0, b""

    def _erase_region(self, payload: bytes) -> tuple[int, bytes]:
        self._erase(*struct.unpack("<II", payload))
        return 0, b""

    def _erase(self, start: int, size: int) -> None:
        first, end = start // SECTOR_BYTES, -(-(start + size) // SECTOR_BYTES)
        self._store(first * SECTOR_BYTES, _ERASED * ((end - first) * SECTOR_BYTES))

    def _program(self, data: bytes) -> None:
        faults = self.faults
        time.sleep(faults.block_s)
        old = self.read(self._at, len(data))
        new = bytearray((int.from_bytes(old) & int.from_bytes(data[: len(old)])).to_bytes(len(old)))
        if faults.stuck_at is not None and self._at <= faults.stuck_at < self._at + len(new):
            new[faults.stuck_at - self._at] |= 1
        self._store(self._at, bytes(new))
        self._at += len(new)
        self.written_bytes += len(new)
        if faults.pulls and self.written_bytes >= faults.pulls[0]:
            del faults.pulls[0]
            raise Pulled
        if faults.hang_after is not None and self.written_bytes >= faults.hang_after:
            faults.silent = True

    def _store(self, at: int, data: bytes) -> None:
        with self.flash.open("r+b") as file:
            os.pwrite(file.fileno(), data[: max(0, self.size_bytes - at)], at)

    def read(self, at: int, size: int) -> bytes:
        """What the flash holds."""
        with self.flash.open("rb") as file:
            return os.pread(file.fileno(), size, at)

    def _md5(self, payload: bytes) -> tuple[int, bytes]:
        at, size, _, _ = _BLOCK.unpack(payload)
        digest = hashlib.md5(self.read(at, size), usedforsecurity=False)
        return 0, digest.digest() if self.stub else digest.hexdigest().encode()


def _done(_: bytes) -> tuple[int, bytes]:
    return 0, b""


def _checksum(data: bytes) -> int:
    """All bytes, exclusive-or."""
    return reduce(xor, data, _CHECKSUM_START)


def _escaped(frame: bytes) -> bytes:
    return _END + frame.replace(_ESC, _ESC_ESC).replace(_END, _ESC_END) + _END


def _unescaped(inner: bytes) -> bytes:
    return inner.replace(_ESC_END, _END).replace(_ESC_ESC, _ESC)
