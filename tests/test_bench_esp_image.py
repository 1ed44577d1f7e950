# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Images for ESP32 chips are checked before a flash is erased; where esptool is installed, it is the witness."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.bench import esp_image
from provisioning.bench.errors import NoImage
from tests.esp_images import ESP32, FIRST_DATA
from tests.esp_images import esp_image as made

GOOD = made()
BAD = {
    "empty": (b"", "none"),
    "elf": (b"\x7fELF" + bytes(100), "first byte 7f"),
    "head only": (GOOD[:20], "the header alone"),
    "no segments": (GOOD[:1] + b"\0" + GOOD[2:], "0 segments"),
    "another chip": (made(ESP32), "it is for esp32, not for esp32s3"),
    "a flipped bit": (GOOD[:60] + bytes([GOOD[60] ^ 1]) + GOOD[61:], "its checksum"),
    "cut in a segment": (GOOD[:300], "cut short: segment 1"),
    "cut in a head": (GOOD[: FIRST_DATA + 37 * 4 + 3], "head of segment 1"),
    "cut before the checksum": (made(hashed=False)[:-1], "its checksum stands at"),
    "a wrong hash": (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "SHA-256"),
}


def test_a_whole_image_is_accepted_with_what_follows_it() -> None:
    assert esp_image.check(GOOD, 0, "esp32s3") == len(GOOD)
    assert esp_image.check(GOOD + b"\xff" * 4096 + b"partitions", 0, "esp32s3") == len(GOOD)
    assert esp_image.check(made(hashed=False), 0, "esp32s3") == len(GOOD) - 32
    assert esp_image.check(made(ESP32), 0x1000, "esp32") == len(GOOD)


@pytest.mark.parametrize("name", BAD)
def test_what_the_loader_would_not_start_is_refused(name: str) -> None:
    data, why = BAD[name]
    with pytest.raises(NoImage) as refused:
        esp_image.check(data, 0, "esp32s3")
    assert why in str(refused.value.value)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(at: int, change: int) -> None:
    data = GOOD[:at] + bytes([GOOD[at] ^ change]) + GOOD[at + 1 :]
    with pytest.raises(NoImage):
        esp_image.check(data, 0, "esp32s3")


ESPTOOL = """
import sys, esptool
for path in sys.argv[1:]:
    print("FILE", path, flush=True)
    try:
        esptool.main(["image-info", path])
        print("ENDED 0", flush=True)
    except SystemExit as end:
        print("ENDED", end.code, flush=True)
    except BaseException as error:
        print("ENDED", type(error).__name__, flush=True)
"""


def test_esptool_says_the_same(tmp_path: Path) -> None:
    """It exits with 0 for an image whose checksum is wrong: what counts is what it says."""
    pytest.importorskip("esptool", reason="esptool is not installed: make esptool")
    samples = {"good": GOOD, "no hash": made(hashed=False), **{name: data for name, (data, _) in BAD.items() if data}}
    for name, data in samples.items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", ESPTOOL, *(str(tmp_path / name) for name in samples)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=True,
        env={**os.environ, "COLUMNS": "1000"},
    )
    _, *each = done.stdout.split("FILE ")
    assert len(each) == len(samples)
    for name, said in zip(samples, each, strict=True):
        well = re.search(r"ENDED (0|None)\b", said) is not None and "invalid" not in said.lower()
        accepted = well and re.search(r"Chip ID: 9\b", said) is not None
        assert accepted == (name in ("good", "no hash")), (name, said)
