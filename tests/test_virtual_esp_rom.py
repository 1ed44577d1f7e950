# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The stand-in for an ESP32's loader, spoken to byte by byte: frames, noise, checksums, and a flash as flash is."""

import hashlib
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from boards.errors import BoardsError
from boards.virtual.esp_rom import CHIPS, EspRom
from provisioning.bench.ports import ESP_SYNC, ESP_SYNCED

SYNC, READ_REGISTER, FLASH_BEGIN, FLASH_DATA, MEM_END, MD5, DEFLATED_BEGIN, DEFLATED_DATA = 8, 10, 2, 3, 6, 0x13, 16, 17
BAD_CHECKSUM, NOT_UNDERSTOOD, BAD_DATA = b"\x01\x07", b"\x01\x05", b"\x01\x0b"


@pytest.fixture
def rom(tmp_path: Path) -> EspRom:
    return EspRom(CHIPS["esp32"], tmp_path / "flash", 1 << 20)


def framed(inner: bytes) -> bytes:
    return b"\xc0" + inner.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


def command(number: int, payload: bytes, checksum: int = 0) -> bytes:
    return framed(struct.pack("<BBHI", 0, number, len(payload), checksum) + payload)


def block(data: bytes, change: int = 0) -> tuple[bytes, int]:
    checksum = 0xEF
    for byte in data:
        checksum ^= byte
    return struct.pack("<IIII", len(data), 0, 0, 0) + data, checksum ^ change


def answer(said: bytes) -> tuple[int, bytes]:
    """Value and data of one answer."""
    assert said[:1] == said[-1:] == b"\xc0" and said.count(b"\xc0") == 2, said.hex()
    inner = said[1:-1].replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
    direction, _, length, value = struct.unpack_from("<BBHI", inner)
    assert direction == 1 and length == len(inner) - 8
    return value, inner[8:]


def test_it_answers_the_synchronisation_eight_times_as_a_rom_does(rom: EspRom) -> None:
    said = rom.feed(ESP_SYNC)
    assert said.startswith(ESP_SYNCED)
    assert said.count(ESP_SYNCED) == 8


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 60), st.binary(max_size=30).filter(lambda noise: b"\xc0" not in noise))
@example(9, bytes(8))
def test_noise_and_any_cut_between_reads_change_nothing(rom: EspRom, at: int, noise: bytes) -> None:
    asked = noise + command(READ_REGISTER, struct.pack("<I", 0x40001000))
    said = rom.feed(asked[:at]) + rom.feed(asked[at:])
    assert answer(said) == (0x00F01D83, bytes(4))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_garbage_breaks_nothing(rom: EspRom, garbage: bytes) -> None:
    rom.reset()
    rom.feed(garbage + b"\xc0")
    assert rom.feed(ESP_SYNC).count(ESP_SYNCED) == 8


def test_a_block_with_a_wrong_checksum_is_not_written(rom: EspRom) -> None:
    rom.feed(command(FLASH_BEGIN, struct.pack("<IIII", 4096, 1, 1024, 0)))
    payload, checksum = block(b"x" * 64, change=1)
    assert answer(rom.feed(command(FLASH_DATA, payload, checksum)))[1].startswith(BAD_CHECKSUM)
    assert rom.read(0, 64) == b"\xff" * 64
    payload, checksum = block(b"x" * 64)
    assert answer(rom.feed(command(FLASH_DATA, payload, checksum)))[1] == bytes(4)
    assert rom.read(0, 64) == b"x" * 64


def test_writing_clears_bits_and_only_erasing_sets_them(rom: EspRom) -> None:
    rom.flash.write_bytes(b"\x0f" * rom.size_bytes)
    rom._program(b"\x3c")
    assert rom.read(0, 2) == b"\x0c\x0f"
    rom.feed(command(FLASH_BEGIN, struct.pack("<IIII", 1, 1, 1024, 4096)))
    assert rom.read(0, 8193) == b"\x0c" + b"\x0f" * 4095 + b"\xff" * 4096 + b"\x0f"


def test_rom_and_stub_tell_a_hash_each_in_its_way(rom: EspRom) -> None:
    asked = command(MD5, struct.pack("<IIII", 0, 1000, 0, 0))
    digest = hashlib.md5(b"\xff" * 1000, usedforsecurity=False)
    assert answer(rom.feed(asked))[1] == digest.hexdigest().encode() + bytes(4)
    assert rom.feed(command(MEM_END, struct.pack("<II", 0, 0x40370000))).endswith(framed(b"OHAI"))
    assert answer(rom.feed(asked))[1] == digest.digest() + bytes(2)


def test_what_is_torn_or_unknown_is_answered_so(rom: EspRom) -> None:
    assert answer(rom.feed(command(0x77, b"")))[1].startswith(NOT_UNDERSTOOD)
    assert answer(rom.feed(command(0x14, b"")))[1].startswith(NOT_UNDERSTOOD), "an ESP32 has no such command"
    assert answer(rom.feed(command(READ_REGISTER, b"abc")))[1].startswith(BAD_DATA)
    rom.feed(command(DEFLATED_BEGIN, struct.pack("<IIII", 4096, 1, 1024, 0)))
    payload, checksum = block(b"no zlib stream")
    assert answer(rom.feed(command(DEFLATED_DATA, payload, checksum)))[1].startswith(BAD_DATA)
    payload, checksum = block(zlib.compress(b"light" * 100))
    rom.feed(command(DEFLATED_BEGIN, struct.pack("<IIII", 4096, 1, 1024, 0)))
    assert answer(rom.feed(command(DEFLATED_DATA, payload, checksum)))[1] == bytes(4)
    assert rom.read(0, 500) == b"light" * 100


def test_a_flash_of_an_odd_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BoardsError, match="power of two"):
        EspRom(CHIPS["esp32"], tmp_path / "flash", 3_000_000)
