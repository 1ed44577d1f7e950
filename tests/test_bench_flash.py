# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MicroPython onto boards: only the right image, by each method; stand-ins for the tools say what the real ones say."""

import hashlib
import os
import shutil
import struct
import threading
from pathlib import Path

import pytest

from boards import schema
from boards.bench import BenchTable, FlashImage
from boards.errors import SchemaError
from provisioning.bench import flash, images, loader_drive
from provisioning.bench.errors import FlashFailed, NoImage, WrongBoard
from provisioning.bench.images import Image
from provisioning.bench.ports import Port
from provisioning.cli import main
from tests.esp_images import esp_image

UF2 = struct.Struct("<IIIIIIII476sI")
RP2040 = 0xE48BFF56
UF2_END = 0x0AB16F30


def uf2(blocks: int = 3, family: int = RP2040, *, leave_out: int = -1) -> bytes:
    parts = [
        UF2.pack(
            0x0A324655,
            0x9E5D5157,
            0x2000,
            0x10000000 + 256 * n,
            256,
            n,
            blocks,
            family,
            bytes([n & 255]) * 476,
            UF2_END,
        )
        for n in range(blocks)
        if n != leave_out
    ]
    return b"".join(parts)


def image(folder: Path, data: bytes, name: str = "firmware.uf2") -> Image:
    path = folder / name
    path.write_bytes(data)
    return Image(path, hashlib.sha256(data).hexdigest())


def bench(name: str = "pico_w_waveshare") -> BenchTable:
    found = schema.load_board(name).bench
    assert found is not None
    return found


def drive(folder: Path) -> Port:
    folder.mkdir()
    (folder / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nBoard-ID: RPI-RP2\n")
    return Port(str(folder), answers="drive", boards=("pico_w_waveshare",))


def loader(folder: Path, name: str, size: int = 3 * 512) -> threading.Thread:
    """A board's loader: takes the file when it is whole, and restarts, so that its drive goes away."""

    def take() -> None:
        while not (folder / name).exists() or (folder / name).stat().st_size < size:
            os.sched_yield()
        shutil.rmtree(folder)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return thread


def test_an_image_is_copied_to_the_drive_of_a_board_that_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port, made = drive(tmp_path / "RPI-RP2"), image(tmp_path, uf2())
    taken = loader(tmp_path / "RPI-RP2", "firmware.uf2")
    assert main(["flash", port.path, "--image", str(made.path), "--sha256", made.sha256]) == 0
    taken.join(10)
    assert not Path(port.path).exists()
    assert "firmware.uf2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (uf2()[:-1], "whole blocks"),
        (uf2(leave_out=1), "missing"),
        (uf2(family=0xE48BFF59), "0xe48bff59"),
        (b"x" * 512, "no block begins"),
    ],
)
def test_what_is_no_image_for_the_board_is_not_copied(tmp_path: Path, data: bytes, why: str) -> None:
    port, made = drive(tmp_path / "drive"), image(tmp_path, data)
    with pytest.raises(NoImage) as refused:
        flash.flash(port, "pico_w_waveshare", bench(), made, mcu="RP2040", erase=False, tell=print)
    assert why in str(refused.value.value)
    assert not (tmp_path / "drive" / "firmware.uf2").exists()


def test_another_drive_is_not_written_to(tmp_path: Path) -> None:
    with pytest.raises(WrongBoard, match="not the drive"):
        flash.copy_to_drive(Port(str(tmp_path)), "pico_w_waveshare", image(tmp_path, uf2()), uf2(), print)
    assert main(["flash", str(tmp_path), "--board", "pico_w_waveshare"]) == 1


def test_the_image_must_be_the_one_that_was_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKTA_IMAGES", str(tmp_path / "cache"))
    made = image(tmp_path, uf2())
    pinned = bench().model_copy(update={"image": FlashImage(file="firmware.uf2", sha256=made.sha256)})
    with pytest.raises(NoImage, match="Nobody has said"):
        images.find("pico_w_waveshare", bench().model_copy(update={"image": None}), None, None)
    with pytest.raises(NoImage, match="not the image") as wrong:
        images.find("pico_w_waveshare", bench(), made.path, "0" * 64)
    assert made.sha256 in str(wrong.value.value)
    with pytest.raises(NoImage, match="not on this computer") as offline:
        images.find("pico_w_waveshare", pinned, None, None)
    assert str(tmp_path / "cache" / "firmware.uf2") in offline.value.next_step
    (tmp_path / "cache").mkdir()
    shutil.copy(made.path, tmp_path / "cache" / "firmware.uf2")
    assert images.find("pico_w_waveshare", pinned, None, None).sha256 == made.sha256


def stand_in(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program on PATH that notes its arguments and behaves as the script says."""
    program = folder / name
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/{name}.log\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    return folder / f"{name}.log"


def test_esptool_erases_and_writes_at_the_offset_of_the_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = stand_in(tmp_path, "esptool", "exit 0", monkeypatch)
    made = image(tmp_path, esp_image(), "firmware.bin")
    flash.flash(Port("/dev/ttyUSB7"), "heltec_v3", bench("heltec_v3"), made, mcu="ESP32-S3", erase=True, tell=print)
    erased, written = log.read_text().splitlines()
    assert erased.endswith("erase_flash")
    assert "--chip esp32s3 --port /dev/ttyUSB7" in written
    assert written.endswith(f"write_flash --flash_size detect 0x0 {made.path}")
    with pytest.raises(NoImage, match="no image for an ESP32"):
        wrong = image(tmp_path, b"\x7fELF", "firmware.elf")
        flash.flash(
            Port("/dev/ttyUSB7"), "heltec_v3", bench("heltec_v3"), wrong, mcu="ESP32-S3", erase=False, tell=print
        )


@pytest.mark.parametrize(
    ("said", "state", "advice"),
    [
        ("A fatal error occurred: MD5 of file does not match data in flash!", "does not hold", "--erase"),
        ("A fatal error occurred: Failed to connect to ESP32-S3: No serial data received.", "ROM loader", "BOOT"),
        ("A fatal error occurred: This chip is ESP32-C3, not ESP32-S3. Wrong chip argument?", "another one", "--board"),
        ("something new", "esptool failed", "doctor"),
    ],
)
def test_what_esptool_complains_of_is_explained(
    said: str, state: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, "esptool", f"echo '{said}' >&2; exit 2", monkeypatch)
    made = image(tmp_path, esp_image(), "firmware.bin")
    with pytest.raises(FlashFailed, match=state) as failed:
        flash.flash(
            Port("/dev/ttyUSB7"), "heltec_v3", bench("heltec_v3"), made, mcu="ESP32-S3", erase=False, tell=print
        )
    assert advice in failed.value.next_step


def test_dfu_util_gets_the_device_that_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = stand_in(tmp_path, "dfu-util", "exit 0", monkeypatch)
    table = BenchTable(usb=["0483:df11"], machine="PYBV11", method="dfu", offset=0x08000000)
    made = image(tmp_path, bytes(100), "firmware.dfu")
    port = Port("dfu:0483:df11:3975", usb="0483:df11", serial_number="3975", answers="dfu")
    flash.flash(port, "pyboard", table, made, mcu="STM32F405", erase=False, tell=print)
    assert log.read_text().startswith(
        "--device 0483:df11 --alt 0 --serial 3975 --dfuse-address 0x8000000:leave --download"
    )


def test_picotool_sends_a_board_that_runs_into_its_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = stand_in(tmp_path, "picotool", "exit 0", monkeypatch)
    made = image(tmp_path, uf2())
    port = Port("/dev/ttyACM7", serial_number="E660583883")
    flash.flash(port, "pico_w_waveshare", bench(), made, mcu="RP2040", erase=True, tell=print)
    erased, loaded = log.read_text().splitlines()
    assert erased == "erase --ser E660583883 -F"
    assert loaded == f"load --verify --execute --ser E660583883 -f {made.path}"
    with pytest.raises(NoImage, match="no whole UF2"):
        wrong = image(tmp_path, uf2(leave_out=1), "torn.uf2")
        flash.flash(port, "pico_w_waveshare", bench(), wrong, mcu="RP2040", erase=True, tell=print)
    assert len(log.read_text().splitlines()) == 2, "nothing was erased for an image that is torn"


def test_without_picotool_the_button_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    made = image(tmp_path, uf2())
    with pytest.raises(FlashFailed, match="picotool is not installed") as failed:
        flash.flash(Port("/dev/ttyACM7"), "pico_w_waveshare", bench(), made, mcu="RP2040", erase=False, tell=print)
    assert "BOOTSEL" in failed.value.next_step


def test_flashing_is_rehearsed_on_a_drive_that_takes_the_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = image(tmp_path, uf2())
    assert main(["flash", "--virtual", "1", "--image", str(made.path), "--sha256", made.sha256]) == 0
    said = capsys.readouterr()
    assert "firmware.uf2 taken; micropython" in said.out
    assert "the board restarts" in said.err
    assert main(["flash", "--virtual", "1", "--image", str(made.path), "--sha256", "0" * 64]) == 1
    dfu = BenchTable(usb=["0483:df11"], machine="PYBV11", method="dfu", offset=0x08000000)
    with pytest.raises(WrongBoard, match="cannot be rehearsed"), loader_drive.waiting(tmp_path, "pyboard", dfu):
        pass


def test_erasing_asks_for_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = image(tmp_path, esp_image(), "firmware.bin")
    command = ["flash", "/dev/ttyUSB7", "--board", "heltec_v3", "--image", str(made.path), "--sha256", made.sha256]
    assert main([*command, "--erase"]) == 1
    assert "type ERASE, or add --yes" in capsys.readouterr().err


def test_a_board_file_must_make_sense(tmp_path: Path) -> None:
    text = (Path(schema.FOLDER) / "heltec_v3.toml").read_text()
    for old, new, what in (
        ('chip = "esp32s3"\n', "", "needs bench.chip"),
        ('"10c4:ea60"', '"10C4"', "is not like"),
        ('method = "esptool"', 'method = "hope"', "bench.method"),
    ):
        path = tmp_path / "heltec_v3.toml"
        path.write_text(text.replace(old, new))
        with pytest.raises(SchemaError, match=what):
            schema.load_board(path)
