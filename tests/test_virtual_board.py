# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The virtual board as a board: start, flash, resets, power, watchdog, sleep, clocks."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from boards.errors import BoardStateError, ImageBusyError, ImageError
from boards.virtual.board import VirtualBoard
from boards.virtual.image import list_files, make_image, read_file
from tests.virtual_board_rig import PROMPT, Bench, flash, until_true

COUNTING = """
import machine
try:
    with open("/data/starts") as f:
        n = int(f.read())
except OSError:
    n = 0
with open("/data/starts", "w") as f:
    f.write(str(n + 1))
print("start", n + 1, "cause", machine.reset_cause())
"""


def test_a_file_system_survives_power_cycles_and_the_end_of_the_process(tmp_path: Path) -> None:
    image = flash(tmp_path, COUNTING, files={"/data/starts": b"0"})

    async def run() -> None:
        async with Bench(image) as bench:
            await bench.terminal.until(b"start 1 cause 1\r\n")
            await bench.board.power_cut()
            await bench.board.power_on()
            await bench.terminal.until(b"start 2 cause 1\r\n")
        async with Bench(image) as bench:
            await bench.terminal.until(b"start 3 cause 1\r\n")

    asyncio.run(run())
    assert read_file(image, "/data/starts") == b"3"
    assert set(list_files(image)) == {"/main.py", "/data/starts"}
    with pytest.raises(FileNotFoundError, match="no file /data/other"):
        read_file(image, "/data/other")


def test_each_reset_names_its_cause(tmp_path: Path) -> None:
    main = "import machine; print('cause', machine.reset_cause())"

    async def run() -> None:
        async with Bench(flash(tmp_path, main)) as bench:
            terminal = bench.terminal
            await terminal.until(b"cause 1\r\n")
            await bench.board.reset()
            await terminal.until(b"cause 2\r\n")
            await bench.prompt()
            terminal.type(b"import machine; machine.reset()\r")
            await terminal.until(b"cause 2\r\n")
            await bench.prompt()
            terminal.type(b"import machine; machine.deepsleep(30)\r")
            await terminal.until(b"cause 4\r\n")
            await bench.prompt()
            terminal.type(b"machine.soft_reset()\r")
            await terminal.until(b"MPY: soft reboot\r\n")
            await terminal.until(b"cause 5\r\n")
            await bench.prompt()
            terminal.type(b"\x04")
            await terminal.until(b"MPY: soft reboot\r\n")
            await terminal.until(b"cause 5\r\n")
            state = bench.board.state()
            assert state["boots"] == 4
            assert state["soft_resets"] == 2
            assert state["reset_causes"][0] == "PWRON_RESET"

    asyncio.run(run())


def test_the_watchdog_bites_a_board_that_spins_and_spares_one_that_feeds(tmp_path: Path) -> None:
    main = """
import machine, time
print("cause", machine.reset_cause())
dog = machine.WDT(timeout=150)
if machine.reset_cause() == machine.WDT_RESET:
    for _ in range(20):
        time.sleep_ms(20)
        dog.feed()
    print("fed")
while True:
    pass
"""

    async def run() -> None:
        async with Bench(flash(tmp_path, main)) as bench:
            await bench.terminal.until(b"cause 1\r\n")
            seen = await bench.terminal.until(b"fed\r\n")
            assert b"cause 3\r\n" in seen
            state = await bench.board.until(lambda state: state["watchdog_bites"] >= 2)
            assert state["reset_cause"] == "WDT_RESET"
            assert state["watchdog_ms"] in (None, 150)

    asyncio.run(run())


def test_deep_sleep_without_a_time_ends_with_the_reset_button_only(tmp_path: Path) -> None:
    main = "import machine\nif machine.reset_cause() == 1: machine.deepsleep()\nprint('awake', machine.reset_cause())"

    async def run() -> None:
        async with Bench(flash(tmp_path, main)) as bench:
            state = await bench.board.until(lambda state: state["asleep"] == "deep")
            assert state["phase"] is None
            await bench.board.reset()
            await bench.terminal.until(b"awake 2\r\n")

    asyncio.run(run())


def test_light_sleep_keeps_the_program(tmp_path: Path) -> None:
    main = "import machine\nx = 7\nmachine.lightsleep(100)\nprint('still', x)"

    async def run() -> None:
        async with Bench(flash(tmp_path, main)) as bench:
            await bench.board.until(lambda state: state["asleep"] == "light")
            await bench.terminal.until(b"still 7\r\n")
            assert bench.board.state()["asleep"] is None

    asyncio.run(run())


def test_the_clock_runs_from_power_on_and_keeps_what_is_set_over_resets(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path)) as bench:
            terminal = await bench.prompt()
            assert await terminal.run("import machine; machine.RTC().datetime()[:6]") == "(2000, 1, 1, 5, 0, 0)"
            await terminal.run("machine.RTC().datetime((2026, 6, 21, 0, 23, 58, 0, 0))")
            await bench.board.reset()
            terminal = await bench.prompt()
            assert await terminal.run("import machine; machine.RTC().datetime()[:6]") == "(2026, 6, 21, 6, 23, 58)"
            await bench.board.power_cut()
            await bench.board.power_on()
            terminal = await bench.prompt()
            assert await terminal.run("import machine; machine.RTC().datetime()[:3]") == "(2000, 1, 1)"

    asyncio.run(run())


def test_an_exception_in_boot_py_leaves_main_py_out(tmp_path: Path) -> None:
    image = flash(tmp_path, main="print('main ran')", boot="print('boot ran')\n1 / 0")

    async def run() -> None:
        async with Bench(image) as bench:
            seen = await bench.terminal.until(PROMPT)
            assert b"boot ran\r\nTraceback" in seen
            assert b"ZeroDivisionError" in seen
            assert b"main ran" not in seen

    asyncio.run(run())


def test_the_firmware_sees_a_board_and_nothing_of_the_host(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path, "x = 1")) as bench:
            terminal = await bench.prompt()
            assert await terminal.run("import os; os.listdir('/')") == "['main.py']"
            assert await terminal.run("import sys; sys.path") == "['', '.frozen', '/lib']"
            assert await terminal.run("sorted(k for k in globals() if k[0] != '_')") == "['os', 'sys', 'x']"
            assert await terminal.run("sorted(sys.modules)") == "['__main__', 'machine', 'micropython', 'time']"
            assert "ImportError" in await terminal.run("import hal")
            assert "ENOENT" in await terminal.run("open('/etc/passwd')")
            assert await terminal.run("import machine; machine.__name__") == "'machine'"

    asyncio.run(run())


def test_modules_of_the_firmware_come_from_the_flash_as_bytecode_too(tmp_path: Path, mpy_cross: Path) -> None:
    (tmp_path / "tree" / "lib").mkdir(parents=True)
    source = tmp_path / "part.py"
    source.write_text("value = 42\n")
    subprocess.run([mpy_cross, "-o", tmp_path / "tree" / "lib" / "part.mpy", source], check=True, timeout=30)
    image = flash(tmp_path, "import part; print('value', part.value, part.__file__)")

    async def run() -> None:
        async with Bench(image) as bench:
            await bench.terminal.until(b"value 42 /lib/part.mpy\r\n")

    asyncio.run(run())


def test_a_write_that_power_cuts_leaves_the_old_content_or_the_new(tmp_path: Path, rng: random.Random) -> None:
    writer = """
import os
n = int(open("/data/n").read()[:6])
while True:
    n += 1
    with open("/data/new", "w") as f:
        f.write("%06d" % n * 100)
    os.rename("/data/new", "/data/n")
    print("wrote", n)
"""
    image = flash(tmp_path, writer, files={"/data/n": b"000000" * 100})
    cuts = 30

    async def run() -> None:
        last = 0
        async with Bench(image, seed=rng.randrange(1000)) as bench:
            for _ in range(cuts):
                operations = rng.randrange(1, 40)
                await bench.board.power_cut(after_flash_operations=operations)
                await bench.board.until(lambda state: not state["powered"])
                await bench.board.inject_noise(b"cut\r\n")
                said = [int(word) for word in (await bench.terminal.until(b"cut\r\n")).split() if word.isdigit()]
                number = _whole_number(image)
                last = max([last, *said])
                assert number in (last, last + 1), (operations, last, number)
                last = number
                await bench.board.power_on()
            assert bench.board.state()["faults"] == []
            assert bench.board.state()["power_cuts"] == cuts

    asyncio.run(run())


def test_files_that_are_forgotten_open_do_not_disturb_the_file_system(tmp_path: Path) -> None:
    # Their finalisers run when memory is collected; that must not happen in the middle of a flash operation.
    main = """
import gc, os
for n in range(250):
    gc.threshold(500 + n * 37 % 4000)
    open("/data/n").read()
    with open("/data/new", "w") as f:
        f.write("%06d" % n * 100)
    os.rename("/data/new", "/data/n")
print("content", open("/data/n").read() == "000249" * 100)
"""

    async def run() -> None:
        async with Bench(flash(tmp_path, main, files={"/data/n": b""}), heap_bytes=128 * 1024) as bench:
            await bench.terminal.until(b"content True\r\n", timeout_s=60)
            assert bench.board.state()["crashes"] == 0

    asyncio.run(run())


def _whole_number(image: Path) -> int:
    # A copy, because the board holds the image; what it says must be one number a hundred times.
    copy = image.with_name("copy.img")
    copy.write_bytes(image.read_bytes())
    content = read_file(copy, "/data/n").decode()
    assert content == content[:6] * 100
    return int(content[:6])


def test_a_killed_board_process_has_written_what_it_had_done_and_leaves_nothing_running(tmp_path: Path) -> None:
    image = flash(tmp_path, "with open('/n', 'w') as f: f.write('done')\nwhile True: pass")
    port, copy = tmp_path / "port", tmp_path / "copy.img"

    def written() -> bool:  # the file system is the only witness that does not disturb
        copy.write_bytes(image.read_bytes())
        return list_files(copy).get("/n") == 4

    async def run() -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "boards.virtual", "run", str(image), "--port", str(port)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == f"board ready: {port}\n".encode()
        await until_true(written)
        (child,) = psutil.Process(process.pid).children()
        process.kill()
        await process.wait()
        await until_true(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)

    asyncio.run(run())
    assert read_file(image, "/n") == b"done"


def test_one_flash_is_one_board(tmp_path: Path) -> None:
    image = flash(tmp_path, "print('first')")

    async def run() -> None:
        async with Bench(image) as bench:
            await bench.terminal.until(b"first\r\n")
            second = VirtualBoard(image, port=tmp_path / "second")
            with pytest.raises(ImageBusyError, match=r"in use by another board"):
                await second.start()
            with pytest.raises(ImageBusyError):
                list_files(image)
            assert not (tmp_path / "second").is_symlink()

    asyncio.run(run())
    assert "/main.py" in list_files(image)


def test_two_boards_at_once_are_two_boards(tmp_path: Path) -> None:
    main = "import machine; print('id', machine.unique_id().hex())"
    images = [flash(tmp_path / name, main) for name in ("a", "b")]

    async def run() -> None:
        async with Bench(images[0], seed=1) as one, Bench(images[1], seed=2) as two:
            first = (await one.terminal.until(b"\r\n")).split()[1]
            second = (await two.terminal.until(b"\r\n")).split()[1]
            assert first != second
            assert first.decode() == one.board.state()["unique_id"]
            await one.board.power_cut()
            terminal = await two.prompt()
            assert await terminal.run("6 * 7") == "42"

    asyncio.run(run())


def test_a_damaged_flash_is_a_fault_and_not_a_new_file_system(tmp_path: Path) -> None:
    image = flash(tmp_path, "print('never')")
    image.write_bytes(b"\xff" * 4096 + b"\x5a" + b"\xff" * (image.stat().st_size - 4097))

    async def run() -> None:
        async with Bench(image) as bench:
            state = await bench.board.until(lambda state: state["faults"])
            assert "no littlefs" in state["faults"][0]
            terminal = await bench.prompt()
            assert "[]" in await terminal.run("import os; os.listdir('/')")

    asyncio.run(run())
    with pytest.raises(ImageError):
        list_files(image)


def test_an_erased_flash_gets_a_file_system_at_the_first_start_and_keeps_it(tmp_path: Path) -> None:
    image = flash(tmp_path, "print('never')")
    image.write_bytes(b"\xff" * image.stat().st_size)

    async def run() -> None:
        async with Bench(image) as bench:
            terminal = await bench.prompt()
            await terminal.run("f = open('/kept', 'w'); f.write('hi'); f.close()")
            assert bench.board.state()["faults"] == []

    asyncio.run(run())
    assert list_files(image) == {"/kept": 2}


def test_a_crash_of_the_interpreter_is_counted_and_followed_by_a_reset(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path, "import machine; print('cause', machine.reset_cause())")) as bench:
            await bench.terminal.until(b"cause 1\r\n")
            os.kill(bench.board.state()["pid"], signal.SIGSEGV)
            await bench.terminal.until(b"cause 2\r\n")
            state = bench.board.state()
            assert state["crashes"] == 1
            assert "signal 11" in state["faults"][0]

    asyncio.run(run())


def test_images_and_bench_orders_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot open the flash image"):
        list_files(tmp_path / "missing.img")
    with pytest.raises(ImageError, match="must not contain"):
        make_image(tmp_path / "a.img", tmp_path, {"../escape": b""})
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "file").write_bytes(bytes(2_000_000))
    with pytest.raises(ImageError, match="do not fit"):
        make_image(tmp_path / "big.img", tmp_path / "big")
    short = tmp_path / "short.img"
    short.write_bytes(b"\xff" * 4096)

    async def run() -> None:
        with pytest.raises(ImageError, match="4096 bytes"):
            await VirtualBoard(short, port=tmp_path / "p").start()
        async with Bench(flash(tmp_path)) as bench:
            with pytest.raises(BoardStateError, match="no stimulus 'wind'"):
                await bench.board.stimulus("wind", 1.0)
            await bench.board.power_cut()
            with pytest.raises(BoardStateError, match="no power"):
                await bench.board.reset()

    asyncio.run(run())
