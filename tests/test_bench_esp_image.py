# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Images for ESP32 chips are checked before a flash is erased; where esptool is installed, it is the witness."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.bench import esp_image, flash
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


@pytest.mark.slow
def test_esptool_says_the_same(tmp_path: Path) -> None:
    """esptool comes as source only, so it is not among what is installed here: pip install esptool, then -m slow.

    It exits with 0 for an image whose checksum is wrong: what counts is what it says."""
    command = flash.esptool_command()
    samples = {"good": GOOD, "no hash": made(hashed=False), **{name: data for name, (data, _) in BAD.items() if data}}
    for name, data in samples.items():
        path = tmp_path / "image.bin"
        path.write_bytes(data)
        done = subprocess.run(
            [*command, "image_info", *(["--version", "2"] if _is_old(command) else []), str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stdout + done.stderr
        chip = re.search(r"Chip ID: 9\b", said)
        accepted = done.returncode == 0 and "invalid" not in said.lower() and chip is not None
        assert accepted == (name in ("good", "no hash")), (name, said)


def _is_old(command: list[str]) -> bool:
    done = subprocess.run([*command, "version"], capture_output=True, text=True, timeout=60, check=False)
    return re.search(r"v?[34]\.\d", done.stdout) is not None
