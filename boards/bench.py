# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How a board is recognised on a technician's bench, and how MicroPython gets onto it: the table [bench]."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from boards.errors import SchemaError

Method = Literal["esptool", "drive", "dfu"]


class FlashImage(BaseModel):
    """The build of MicroPython that the board is to have."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,120}$")
    """Its name, in the cache or in the folder where it is brought."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    url: str | None = Field(default=None, pattern=r"^https://")


class BenchTable(BaseModel):
    """Facts about the board on a cable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    usb: list[str] = Field(min_length=1)
    """Vendor and product of its USB port as four and four hexadecimal digits; several boards may share them."""
    machine: str = Field(min_length=3)
    """How sys.implementation._machine begins on it."""
    method: Method
    chip: str | None = None
    """What esptool calls the processor."""
    offset: int = Field(default=0, ge=0, le=0xFFFFFFFF)
    """Where the image begins in flash (esptool); where it is written to (dfu)."""
    drive: str | None = None
    """A file that the board's drive holds, and a text in it: 'INFO_UF2.TXT RPI-RP2'."""
    image: FlashImage | None = None
    """None: nobody has pinned one yet; then its SHA-256 is given on the command line."""


def problems(bench: BenchTable | None) -> list[str]:
    """What contradicts itself."""
    if bench is None:
        return []
    found = [f"bench.usb: {each!r} is not like '10c4:ea60'" for each in bench.usb if not _is_usb(each)]
    if bench.method == "esptool" and bench.chip is None:
        found.append("bench.method = 'esptool' needs bench.chip, as esptool calls it, for example 'esp32s3'")
    if bench.method == "drive" and (bench.drive is None or len(bench.drive.split(None, 1)) != 2):
        found.append("bench.method = 'drive' needs bench.drive: a file on the drive, a space, a text in that file")
    return found


def drive_mark(bench: BenchTable) -> tuple[str, str]:
    """The file on the drive, and the text in it."""
    if bench.drive is None:
        raise SchemaError("this board is not flashed by a drive: bench.drive is missing")
    name, text = bench.drive.split(None, 1)
    return name, text


def _is_usb(text: str) -> bool:
    vendor, colon, product = text.partition(":")
    return colon == ":" and all(len(part) == 4 and set(part) <= set("0123456789abcdef") for part in (vendor, product))
