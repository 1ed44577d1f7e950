# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The virtual board's serial port: REPL, mpremote, Ctrl-C, soft reset, cable and noise."""

import asyncio
from pathlib import Path

import pytest

from boards.errors import PortError
from boards.virtual.board import VirtualBoard
from boards.virtual.repl import ReplTracker
from tests.virtual_board_rig import PROMPT, Bench, Terminal, flash, mpremote, until_true

LOOP = "import time\nprint('looping')\nwhile True:\n    time.sleep_ms(10)\n"


def test_mpremote_works_on_a_board_that_is_busy_in_main_py(tmp_path: Path) -> None:
    image = flash(tmp_path, LOOP)
    letter = tmp_path / "letter.txt"
    letter.write_bytes(bytes(range(256)) * 40)
    back = tmp_path / "back.txt"

    async def run() -> None:
        async with VirtualBoard(image, port=tmp_path / "port", seed=1) as board:
            await board.until(lambda state: state["phase"] == "main")
            assert await mpremote(tmp_path / "port", "exec", "print(1+1)") == "2\r\n"
            assert "main.py" in await mpremote(tmp_path / "port", "ls")
            await mpremote(tmp_path / "port", "cp", str(letter), ":letter.txt")
            await mpremote(tmp_path / "port", "cp", ":letter.txt", str(back))
            await mpremote(tmp_path / "port", "soft-reset")
            assert await mpremote(tmp_path / "port", "resume", "exec", "print('kept')") == "kept\r\n"
            await mpremote(tmp_path / "port", "reset")
            await board.until(lambda state: state["reset_cause"] == "HARD_RESET" and state["phase"] == "main")
            assert board.state()["misuses"] == 0

    asyncio.run(run())
    assert back.read_bytes() == letter.read_bytes()


def test_a_soft_reset_runs_main_py_from_the_friendly_prompt_but_not_from_the_raw_one(tmp_path: Path) -> None:
    image = flash(tmp_path, main="print('main ran')", boot="print('boot ran')")

    async def run() -> None:
        async with Bench(image) as bench:
            terminal = await bench.prompt()
            terminal.type(b"\x04")
            seen = await terminal.until(PROMPT)
            assert seen.index(b"soft reboot\r\n") < seen.index(b"boot ran\r\n") < seen.index(b"main ran\r\n")
            terminal.type(b"\r\x01")
            await terminal.until(b"raw REPL; CTRL-B to exit\r\n>")
            terminal.type(b"\x04")
            seen = await terminal.until(b"raw REPL; CTRL-B to exit\r\n>")
            assert seen == b"OK\r\nMPY: soft reboot\r\nboot ran\r\nraw REPL; CTRL-B to exit\r\n>"
            terminal.type(b"import sys; sys.exit(1)\x04")
            seen = await terminal.until(b"raw REPL; CTRL-B to exit\r\n>")
            assert b"soft reboot\r\nboot ran\r\n" in seen
            terminal.type(b"\x02")
            await terminal.until(PROMPT)
            assert await terminal.run("1 + 1") == "2"

    asyncio.run(run())


def test_ctrl_c_interrupts_sleeping_and_spinning_programs_and_is_only_a_byte_at_the_prompt(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path, LOOP)) as bench:
            terminal = bench.terminal
            await terminal.until(b"looping\r\n")
            terminal.type(b"\x03")
            assert b"KeyboardInterrupt" in await terminal.until(PROMPT)
            for program in ("while True: pass\r", "import time; time.sleep(100)", "import sys; sys.stdin.read(1)"):
                terminal.type(program.encode() + b"\r")
                await terminal.until(program.encode()[:10])
                pid = bench.board.state()["pid"]
                await until_true(lambda pid=pid: _interruptible(pid))
                terminal.type(b"\x03")
                assert b"KeyboardInterrupt" in await terminal.until(PROMPT), program
            terminal.type(b"half a line\x03")
            await terminal.until(b"\r\n" + PROMPT)
            terminal.type(b"\x03\x03\x03")
            terminal.type(b"print('al' + 'ive')\r")
            await terminal.until(b"alive\r\n")
            state = bench.board.state()
            assert (state["boots"], state["soft_resets"], state["crashes"]) == (1, 0, 0)

    asyncio.run(run())


def _interruptible(pid: int) -> bool:
    caught = Path(f"/proc/{pid}/status").read_text().split("SigCgt:")[1].split()[0]
    return bool(int(caught, 16) & 2)


def test_what_is_typed_ahead_is_not_lost(tmp_path: Path) -> None:
    lines = b"".join(b"print('line', %d * 3)\r" % n for n in range(60))

    async def run() -> None:
        async with Bench(flash(tmp_path)) as bench:
            terminal = await bench.prompt()
            terminal.type(lines)
            seen = await terminal.until(b"line 177\r\n")
            assert [b"line %d\r\n" % (3 * n) in seen for n in range(60)] == [True] * 60

    asyncio.run(run())


def test_a_program_may_have_every_byte_for_itself(tmp_path: Path) -> None:
    main = """
import micropython, sys
micropython.kbd_intr(-1)
print("text\\nbefore")
got = sys.stdin.buffer.read(256)
sys.stdout.buffer.write(bytes(got) + b"|end|")
micropython.kbd_intr(3)
print("text\\nafter")
"""
    every = bytes(range(256))

    async def run() -> None:
        async with Bench(flash(tmp_path, main)) as bench:
            await bench.terminal.until(b"before\n")
            bench.terminal.type(every)
            assert await bench.terminal.until(b"|end|") == every + b"|end|"
            assert (await bench.terminal.until(PROMPT)).startswith(b"text\r\nafter\r\n")

    asyncio.run(run())


def test_the_cable_can_be_pulled_and_the_board_runs_on(tmp_path: Path) -> None:
    main = "import time\nn = 0\nwhile True:\n    n += 1\n    print('n', n)\n    time.sleep_ms(20)\n"

    async def run() -> None:
        async with Bench(flash(tmp_path, main)) as bench:
            await bench.terminal.until(b"n 3\r\n")
            await bench.board.unplug()
            assert not bench.port.is_symlink()
            await bench.terminal.until_hung_up()
            dropped = bench.board.state()["console_dropped_bytes"]
            await bench.board.until(lambda state: state["console_dropped_bytes"] >= dropped)
            await bench.board.replug()
            again = Terminal(bench.port)
            seen = await again.until(b"\r\n")
            first = int(seen.split()[-1])
            await again.until(b"n %d\r\n" % (first + 1))
            again.close()
            assert bench.board.state()["boots"] == 1

    asyncio.run(run())


def test_clients_come_and_go(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path)) as bench:
            await bench.prompt()
            bench.terminal.close()
            for n in range(5):
                client = Terminal(bench.port)
                assert await client.run(f"{n} + 1") == str(n + 1)
                client.close()
            bench.terminal = Terminal(bench.port)
            assert bench.board.state()["boots"] == 1

    asyncio.run(run())


def test_a_client_that_does_not_read_does_not_stop_the_board_for_ever(tmp_path: Path) -> None:
    main = "for i in range(6000): print('a line that nobody reads', i)\nopen('/done', 'w').close()\nprint('done')"

    async def run() -> None:
        async with Bench(flash(tmp_path, main)) as bench:
            asyncio.get_running_loop().remove_reader(bench.terminal.fd)
            state = await bench.board.until(lambda state: state["phase"] == "repl", timeout_s=60)
            assert state["console_dropped_bytes"] > 0

    asyncio.run(run())


def test_noise_reaches_the_client_only(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path)) as bench:
            terminal = await bench.prompt()
            await bench.board.inject_noise(b"\x00\xff\x80noise")
            await terminal.until(b"\x00\xff\x80noise")
            assert await terminal.run("2 + 2") == "4"

    asyncio.run(run())


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    image = flash(tmp_path / "a")
    other = flash(tmp_path / "b")
    (tmp_path / "file").write_text("mine")

    async def run() -> None:
        with pytest.raises(PortError, match="not a link to a PTY"):
            await VirtualBoard(image, port=tmp_path / "file").start()
        async with Bench(image) as bench:
            with pytest.raises(PortError, match="belongs to a board that is running"):
                await VirtualBoard(other, port=bench.port).start()
        bench.port.symlink_to("/dev/pts/999999")  # left over by a killed board
        async with Bench(image) as bench:
            assert await (await bench.prompt()).run("3") == "3"

    asyncio.run(run())


def test_line_ends_and_modes_do_not_depend_on_how_the_output_is_cut() -> None:
    text = b'a\nb\r\nc\r\n\nType "help()" for more information.\r\n>>> \r\nraw REPL; CTRL-B to exit\r\n>'
    whole = ReplTracker()
    whole.begin()
    expected = whole.output(text)
    assert b"\n" not in expected.replace(b"\r\n", b"")
    for cut in range(len(text)):
        parts = ReplTracker()
        parts.begin()
        assert parts.output(text[:cut]) + parts.output(text[cut:]) == expected
        assert parts.raw
