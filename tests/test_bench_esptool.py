# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta flash` through the real esptool, as a library, to a stand-in of a chip's loader: its flash is what counts."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from boards.virtual.esp_port import EspPort
from boards.virtual.esp_rom import CHIPS, EspRom, Faults
from provisioning.bench import esp, flash, logs
from provisioning.bench.errors import FlashFailed, NoSuchPort, PortBusy
from provisioning.bench.esp_worker import PIECE_BYTES
from provisioning.bench.images import Image
from provisioning.bench.install import Progress
from provisioning.bench.line import Line
from provisioning.bench.ports import Port, asked
from provisioning.cli import main
from tests.esp_images import ESP32, ESP32_S3, esp_image
from tests.test_bench_flash import bench, image

pytest.importorskip("esptool", reason="esptool is not installed: make esptool")
pytestmark = pytest.mark.apart
FIRST_BYTES = 512  # the first image, in whose header esptool writes the size of the flash


@pytest.fixture(autouse=True)
def logs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "lykta" / "logs"


BLOCK_BYTES = 16_384  # what esptool sends at once; a last one that is shorter is filled up


def release(folder: Path, chip: int = ESP32_S3, size_bytes: int = 2 * PIECE_BYTES + 3 * BLOCK_BYTES) -> Image:
    """Like a release of MicroPython: a first image, and more after it that does not shrink when it is packed."""
    first = esp_image(chip)
    return image(folder, first + random.Random(7).randbytes(size_bytes - len(first)), "firmware.bin")


@contextmanager
def board(folder: Path, chip: str = "esp32s3", back_s: float = 0.1, **faults: object) -> Iterator[EspPort]:
    rom = EspRom(CHIPS[chip], folder / "flash", faults=Faults(**faults))  # type: ignore[arg-type]
    with EspPort(folder / "port", rom, back_s=back_s) as port:
        yield port


def write(port: EspPort, made: Image, *, erase: bool = False) -> tuple[list[str], list[Progress]]:
    told: list[str] = []
    seen: list[Progress] = []
    flash.flash(
        Port(str(port.path)),
        "heltec_v3",
        bench("heltec_v3"),
        made,
        mcu="ESP32-S3",
        erase=erase,
        tell=told.append,
        report=seen.append,
    )
    return told, seen


def holds(port: EspPort, made: Image, offset: int = 0) -> bool:
    """All of the image, but for the flash's size in the header of the first one, and its hash."""
    data = made.path.read_bytes()
    found = port.rom.read(offset, len(data))
    return found[:2] == data[:2] and found[FIRST_BYTES:] == data[FIRST_BYTES:]


def test_an_image_goes_from_the_command_through_esptool_into_the_flash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = release(tmp_path)
    with board(tmp_path) as port:
        command = ["flash", str(port.path), "--board", "heltec_v3", "--image", str(made.path), "--sha256", made.sha256]
        assert main(command) == 0
        assert holds(port, made)
        assert port.rom.read(len(made.path.read_bytes()), 64) == b"\xff" * 64
    said = capsys.readouterr()
    assert "firmware.bin" in said.out
    assert "found ESP32-S3 (QFN56) (revision v0.0), MAC f4:12:fa:7e:57:a1" in said.err
    assert f"100 % of {made.path.stat().st_size} bytes" in said.err
    assert "verified; the board restarts" in said.err


def test_two_boards_are_flashed_at_once_and_one_that_fails_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = release(tmp_path, size_bytes=40_000)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with board(tmp_path / "one") as right, board(tmp_path / "other", "esp32") as wrong:
        command = ["flash", str(right.path), str(wrong.path), "--board", "heltec_v3"]
        assert main([*command, "--image", str(made.path), "--sha256", made.sha256]) == 1
        assert holds(right, made)
        assert wrong.rom.written_bytes == 0
    said = capsys.readouterr()
    results = {line.split()[0]: line.split()[-1] for line in said.out.splitlines()[1:]}
    assert results == {str(right.path): "flashed", str(wrong.path): "FAILED"}
    assert "processor is another one" in said.err


def test_progress_is_in_bytes_of_the_image_and_never_goes_back(tmp_path: Path) -> None:
    made = release(tmp_path)
    with board(tmp_path) as port:
        _, seen = write(port, made)
    done = [each.done_bytes for each in seen]
    assert done == sorted(done)
    assert done[-1] == made.path.stat().st_size
    assert {each.total_bytes for each in seen} == {made.path.stat().st_size}
    assert len(set(done)) > 20, "a bar moves more than once for each piece"


def test_an_esp32_of_the_older_kind_is_found_by_its_magic_word_and_written_at_its_offset(tmp_path: Path) -> None:
    made = release(tmp_path, ESP32, 40_000)
    older = bench("heltec_v3").model_copy(update={"chip": "esp32", "offset": 0x1000})
    with board(tmp_path, "esp32") as port:
        flash.flash(Port(str(port.path)), "older", older, made, mcu="ESP32", erase=True, tell=print)
        assert holds(port, made, 0x1000)
        assert port.rom.read(0, 0x1000) == b"\xff" * 0x1000


def test_what_the_flash_holds_already_is_not_written_again(tmp_path: Path) -> None:
    made = release(tmp_path)
    size_bytes = made.path.stat().st_size
    with board(tmp_path) as port:
        write(port, made)
        before = port.rom.written_bytes
        told, _ = write(port, made)
        assert port.rom.written_bytes - before == PIECE_BYTES, "the first piece, with the header, and no other"
        assert f"{size_bytes - PIECE_BYTES} bytes were in the flash already" in told
        write(port, made, erase=True)
        assert port.rom.written_bytes - before == PIECE_BYTES + size_bytes
        assert holds(port, made)


def test_after_a_pulled_cable_it_goes_on_where_it_was(tmp_path: Path) -> None:
    made = release(tmp_path)
    size_bytes = made.path.stat().st_size
    with board(tmp_path, pulls=[2 * PIECE_BYTES + 20_000]) as port:
        told, seen = write(port, made, erase=True)
        assert port.pulled == 1
        assert holds(port, made)
        # Two pieces and two blocks; after that the first piece, which is always written, and the one that was cut.
        assert port.rom.written_bytes == 2 * PIECE_BYTES + 2 * BLOCK_BYTES + PIECE_BYTES + 3 * BLOCK_BYTES
    assert any("cable was pulled" in line and "attempt 2" in line for line in told)
    assert sum(line == "erasing the flash" for line in told) == 1
    assert seen[-1].done_bytes == size_bytes


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_random_pulls_never_leave_half_an_image_behind(tmp_path: Path) -> None:
    """Up to three pulls anywhere in one job, twenty jobs; each ends with the whole image and says so."""
    for seed in range(20):
        chance, folder = random.Random(seed), tmp_path / str(seed)
        folder.mkdir()
        made = release(folder, size_bytes=2 * PIECE_BYTES)
        pulls = sorted(chance.sample(range(1, 2 * PIECE_BYTES), chance.randint(1, 3)))
        with board(folder, pulls=pulls) as port:
            write(port, made, erase=chance.random() < 0.5)
            assert holds(port, made), (seed, pulls)
            assert port.pulled >= 1


def test_a_board_without_reset_lines_goes_on_with_the_stub_that_runs(tmp_path: Path) -> None:
    """As when a job was killed: what answers then is not the ROM."""
    made = release(tmp_path, size_bytes=40_000)
    with board(tmp_path, no_reset=True) as port:
        write(port, made)
        assert port.rom.stub
        write(port, made, erase=True)
        assert holds(port, made)


def test_a_cable_that_stays_out_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esp, "WAIT_S", 0.5)
    with board(tmp_path, pulls=[50_000], back_s=60) as port, pytest.raises(NoSuchPort) as failed:
        write(port, release(tmp_path))
    assert "lykta ports" in failed.value.next_step


@pytest.mark.parametrize(
    ("faults", "state", "advice"),
    [
        ({"silent": True}, "loader does not answer", "BOOT"),
        ({"stuck_at": 0x5000}, "does not hold", "--erase"),
        ({"hang_after": 100_000}, "stopped answering", "cable"),
    ],
)
def test_each_failure_of_a_real_esptool_is_explained(
    faults: dict[str, object], state: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(esp, "CONNECTS", 1)
    data = release(tmp_path).path.read_bytes()
    made = image(tmp_path, data[:0x5000] + b"\x00" + data[0x5001:], "firmware.bin")
    with board(tmp_path, **faults) as port, pytest.raises(FlashFailed, match=state) as failed:
        write(port, made)
    assert advice in failed.value.next_step


def test_nothing_is_written_to_another_processor(tmp_path: Path) -> None:
    with board(tmp_path, "esp32") as port:
        with pytest.raises(FlashFailed, match="processor is another one") as failed:
            write(port, release(tmp_path), erase=True)
        assert port.rom.written_bytes == 0
    assert "ESP32, not esp32s3" in str(failed.value.value)
    assert "--board" in failed.value.next_step


def test_an_image_that_does_not_fit_is_refused_by_the_size_of_the_chips_flash(tmp_path: Path) -> None:
    made = release(tmp_path, size_bytes=(1 << 20) + 1)
    rom = EspRom(CHIPS["esp32s3"], tmp_path / "flash", 1 << 20)
    with EspPort(tmp_path / "port", rom) as port, pytest.raises(FlashFailed, match="does not fit"):
        write(port, made)


def test_a_port_that_somebody_has_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    made = release(tmp_path)
    with board(tmp_path) as port, Line(str(port.path)), pytest.raises(PortBusy):
        write(port, made)
    port.path = tmp_path / "none"
    with pytest.raises(NoSuchPort):
        esp._await_port(str(port.path), 0.1)


def test_slow_is_not_hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen blocks of 0.35 s each take longer than nothing may happen."""
    monkeypatch.setitem(esp.PATIENCE_S, "write", 4)
    made = release(tmp_path, size_bytes=PIECE_BYTES)
    with board(tmp_path, block_s=0.35) as port:
        write(port, made)
        assert holds(port, made)


HANGS = 'import time; print(\'{"event": "step", "step": "connect"}\', flush=True); time.sleep(600)'


@pytest.mark.parametrize(
    ("script", "state"),
    [
        (HANGS, "did nothing for 0.5 s"),
        ("import sys; sys.stdin.readline(); print('not JSON at all')", "esptool failed"),
        ("import sys; sys.exit(3)", "esptool failed"),
    ],
)
def test_a_library_that_hangs_or_dies_takes_nothing_with_it(
    script: str, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(esp.PATIENCE_S, "connect", 0.5)
    monkeypatch.setattr(esp, "COMMAND", (sys.executable, "-c", script))
    with board(tmp_path) as port, pytest.raises(FlashFailed, match=state):
        write(port, release(tmp_path))
    assert not [each for each in psutil.Process().children() if script in (each.as_dict(["cmdline"])["cmdline"] or [])]


def test_of_a_failure_that_nobody_knows_all_that_was_printed_is_kept(tmp_path: Path, logs_folder: Path) -> None:
    made = release(tmp_path, size_bytes=40_000)
    with board(tmp_path) as port:
        for _ in range(logs.KEPT + 1):
            with pytest.raises(FlashFailed, match="esptool failed") as failed:
                write(port, replace(made, sha256="00" * 32))  # as when the file changes after it was looked at
        assert port.rom.written_bytes == 0
    kept = sorted(logs_folder.iterdir())
    assert failed.value.reason == f"All that esptool printed is in {kept[-1]}"
    assert len(kept) == logs.KEPT
    assert "ValueError: the image was changed" in kept[-1].read_text()
    assert 'esp_worker.py", line' in kept[-1].read_text()
    assert kept[-1].stat().st_mode & 0o077 == 0


def test_a_failure_is_told_even_where_nothing_can_be_kept(tmp_path: Path, logs_folder: Path) -> None:
    logs_folder.parent.mkdir(parents=True)
    logs_folder.touch()
    with board(tmp_path) as port, pytest.raises(FlashFailed, match="esptool failed") as failed:
        write(port, replace(release(tmp_path, size_bytes=40_000), sha256="00" * 32))
    assert failed.value.reason == ""


def test_a_known_failure_leaves_no_log(tmp_path: Path, logs_folder: Path) -> None:
    with board(tmp_path, "esp32") as port, pytest.raises(FlashFailed, match="processor is another one"):
        write(port, release(tmp_path, size_bytes=40_000))
    assert not logs_folder.exists()


def test_the_worker_ends_when_nobody_waits_any_more(tmp_path: Path) -> None:
    """A killed `lykta` leaves no process that works on a board."""
    made = release(tmp_path)
    with board(tmp_path, block_s=0.2) as port:
        request = {"port": str(port.path), "chip": "esp32s3", "offset": 0, "baud": esp.BAUD, "connects": 2}
        request |= {"image": str(made.path), "sha256": made.sha256, "erase": False}
        with subprocess.Popen(esp.COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdin is not None and worker.stdout is not None
            worker.stdin.write(json.dumps(request) + "\n")
            worker.stdin.flush()
            assert any('"write"' in line for line in worker.stdout)
            worker.stdin.close()
            assert worker.wait(60) == 1
        assert port.rom.written_bytes < made.path.stat().st_size


def test_the_program_serves_where_the_library_is_older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian has the 4th: here it is this esptool's command, spoken to as to the 4th."""
    monkeypatch.setattr(esp, "library", lambda: False)
    made = release(tmp_path, size_bytes=40_000)
    with board(tmp_path) as port:
        write(port, made)
        assert holds(port, made)


def test_lykta_ports_sees_a_board_that_waits_in_its_loader(tmp_path: Path) -> None:
    with board(tmp_path) as port:
        found = asked(Port(str(port.path), boards=("heltec_v3", "pico_w_waveshare")))
    assert (found.answers, found.boards) == ("rom loader", ("heltec_v3",))


def test_a_rehearsal_flashes_a_stand_in_and_then_a_blank_board_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flash", "--virtual", "1", "--board", "heltec_v3"]) == 0
    said = capsys.readouterr()
    assert "rehearsal.bin taken; micropython" in said.out
    assert "verified; the board restarts" in said.err


def test_the_flash_that_esptool_wrote_passes_esptools_own_check(tmp_path: Path) -> None:
    made = image(tmp_path, esp_image() + bytes(3), "firmware.bin")
    with board(tmp_path) as port:
        write(port, made)
        copy = tmp_path / "read.bin"
        copy.write_bytes(port.rom.read(0, made.path.stat().st_size - 3))
    assert hashlib.sha256(copy.read_bytes()).hexdigest() != made.sha256, "the size of the flash stands in its header"
    done = subprocess.run(
        [sys.executable, "-m", "esptool", "image-info", str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == 0
    assert "Chip ID: 9" in done.stdout
    assert "invalid" not in done.stdout.lower()
    assert "Flash size: 4MB" in done.stdout
