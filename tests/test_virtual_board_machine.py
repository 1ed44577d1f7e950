# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The virtual board's machine module: sensors read the scenario, wrong use is loud, interrupts arrive."""

import asyncio
import random
from pathlib import Path

import pytest

from boards.schema import load_board
from tests.virtual_board_rig import PROMPT, Bench, flash

NODE = load_board("virtual").node
PINS = f"""
from machine import ADC, I2C, PWM, SPI, UART, Pin, Timer, WDT
LAMP, DIM, PHOTO = {NODE.lamp_pin}, {NODE.dim_pin}, {NODE.photocell_adc}
"""

# What firmware does, what it gets, and what the board says about it.
MISUSES = [
    ("Pin(3, Pin.IN).value(1)", "RuntimeError", "not an output"),
    ("Pin(2).value()", "RuntimeError", "no mode yet"),
    ("Pin(99)", "ValueError", "no pin 99"),
    ("Pin(3, 7)", "ValueError", "no mode 7"),
    ("Pin(PHOTO, Pin.OUT)", "RuntimeError", "two outputs would fight"),
    ("ADC(LAMP)", "ValueError", "has no ADC"),
    ("PWM(Pin(3, Pin.IN), freq=1000, duty_u16=0)", "RuntimeError", "not an output"),
    ("PWM(Pin(5), freq=0, duty_u16=0)", "ValueError", "frequency 0 Hz"),
    ("PWM(Pin(5), freq=100, duty_u16=70000)", "ValueError", "duty_u16 70000"),
    ("I2C(5)", "ValueError", "no I2C(5)"),
    ("I2C(0, scl=1, sda=2)", "RuntimeError", "soldered to pin 9"),
    ("I2C(0, freq=5)", "ValueError", "freq 5 Hz"),
    ("SPI(1, polarity=3)", "ValueError", "polarity=3"),
    ("SPI(1).write(b'x')", "RuntimeError", "exactly one must be"),
    ("UART(4)", "ValueError", "no UART(4)"),
    ("UART(1, 100)", "ValueError", "baudrate 100"),
    ("UART(1, 4800, bits=9)", "ValueError", "bits must be one of"),
    ("UART(1, 4800, tx=3)", "RuntimeError", "soldered to pin 17"),
    ("WDT(timeout=0)", "ValueError", "must be positive"),
]


def test_sensors_show_the_scenario(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path, PINS)) as bench:
            terminal, board = await bench.prompt(), bench.board
            await terminal.run("i2c = I2C(0, scl=9, sda=8, freq=100000)")
            await terminal.run("photo = ADC(PHOTO)")
            truth = board.state()["values"]
            assert float(await terminal.run("photo.read_u16() / 65535 * 2000")) == pytest.approx(
                truth["illuminance_lx"], abs=0.1
            )
            await board.stimulus("temperature_c", -20.125)
            assert await terminal.run("i2c.readfrom_mem(0x48, 0, 2).hex()") == "'ebe0'"
            await board.stimulus("temperature_c", None)
            await board.stimulus("illuminance_lx", 100_000.0)
            assert await terminal.run("photo.read_u16()") == "65535"
            raw = bytes.fromhex((await terminal.run("i2c.readfrom_mem(0x48, 0, 2).hex()")).strip("'"))
            assert int.from_bytes(raw, "big", signed=True) / 256 == pytest.approx(truth["temperature_c"], abs=0.0626)
            assert await terminal.run("[hex(a) for a in i2c.scan()]") == "['0x48']"
            assert board.state()["misuses"] == 0

    asyncio.run(run())


def test_the_meter_measures_the_lamp(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path, PINS)) as bench:
            terminal, board = await bench.prompt(), bench.board
            await terminal.run("relay, dim = Pin(LAMP, Pin.OUT, value=1), PWM(Pin(DIM), freq=1000, duty_u16=32768)")
            await terminal.run("uart = UART(1, 4800, tx=17, rx=18, timeout=300)")
            await terminal.run("uart.write(b'\\x58\\xaa')")
            packet = bytes.fromhex((await terminal.run("uart.read(23).hex()")).strip("'"))
            state = board.state()
            assert state["pins"][str(NODE.lamp_pin)] == 1
            assert state["pwm_duty_pct"][str(NODE.dim_pin)] == pytest.approx(50, abs=0.01)
            assert packet[0] == 0x55
            assert packet[22] == ~(0x58 + sum(packet[:22])) & 0xFF
            # The data sheet's own formulas with the reference circuit's resistors.
            volts = int.from_bytes(packet[4:7], "little") * 1.218 * (1950 + 0.51) / (73989 * 0.51 * 1000)
            amperes = int.from_bytes(packet[1:4], "little") * 1.218 / (305978 * 1)
            watts = int.from_bytes(packet[10:13], "little") * 1.218**2 * (1950 + 0.51) / (3537 * 1 * 0.51 * 1000)
            assert volts == pytest.approx(230.0, abs=0.01)
            assert watts == pytest.approx(2 + 58 / 2, abs=0.01)
            assert amperes == pytest.approx(state["values"]["load_current_a"], rel=1e-4)
            assert int.from_bytes(packet[16:18], "little") == 20_000
            await terminal.run("relay(0)")
            assert board.state()["values"]["load_power_w"] == 0
            assert board.state()["values"]["load_energy_wh"] > 0

    asyncio.run(run())


def test_a_uart_takes_its_time_and_a_wrong_speed_gives_garbage_and_a_complaint(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path, PINS)) as bench:
            terminal = await bench.prompt()
            line = "uart = UART(1, 4800, tx=17, rx=18); n = uart.write(b'\\x58\\xaa'); uart.any()"
            assert await terminal.run(line) == "0"
            await terminal.run("import time; time.sleep_ms(100)")
            assert await terminal.run("uart.any(), uart.read(2)[0], uart.any(), uart.read(9) is None") == (
                "(23, 85, 21, False)"
            )
            assert bench.board.state()["misuses"] == 0
            await terminal.run("uart = UART(1, 9600, tx=17, rx=18, timeout=300); n = uart.write(b'\\x58\\xaa')")
            assert await terminal.run("uart.read(1) == b'U'") == "False"
            assert "talks at 4800" in bench.board.state()["last_misuse"]

    asyncio.run(run())


def test_wrong_use_raises_in_the_firmware_and_is_counted_outside(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path, PINS)) as bench:
            terminal = await bench.prompt()
            for n, (line, error, words) in enumerate(MISUSES):
                shown = await terminal.run(line)
                assert shown.splitlines()[-1].startswith(f"{error}: "), (line, shown)
                assert words in shown, (line, shown)
                assert bench.board.state()["misuses"] == n + 1
                assert words in bench.board.state()["last_misuse"]

    asyncio.run(run())


def test_a_chip_that_is_not_there_is_an_oserror_and_no_misuse(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path, PINS)) as bench:
            terminal = await bench.prompt()
            await terminal.run("i2c = I2C(0, scl=9, sda=8)")
            assert "ENODEV" in await terminal.run("i2c.readfrom(0x50, 1)")
            assert bench.board.state()["misuses"] == 0

    asyncio.run(run())


def test_a_watchdog_cannot_be_changed(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path, PINS)) as bench:
            terminal = await bench.prompt()
            await terminal.run("dog = WDT(timeout=60000)")
            assert "cannot be changed" in await terminal.run("WDT(timeout=50000)")
            await terminal.run("dog.feed()")
            terminal.type(b"\x04")
            await terminal.until(b"soft reboot\r\n")
            assert bench.board.state()["watchdog_ms"] == 60000, "a soft reset does not stop the watchdog"

    asyncio.run(run())


def test_pins_and_pwm_after_each_kind_of_reset(tmp_path: Path) -> None:
    async def run() -> None:
        async with Bench(flash(tmp_path, PINS)) as bench:
            terminal = await bench.prompt()
            await terminal.run("relay = Pin(LAMP, Pin.OUT, value=1); dim = PWM(Pin(DIM), freq=1000, duty_u16=65535)")
            terminal.type(b"\x04")
            await terminal.until(b"soft reboot\r\n")
            state = bench.board.state()
            assert state["pins"][str(NODE.lamp_pin)] == 1
            assert state["pwm_duty_pct"] == {}
            await bench.board.reset()
            assert bench.board.state()["pins"] == {}
            assert bench.board.state()["models"]["lamp"]["on"] == 0

    asyncio.run(run())


def test_edges_and_timers_interrupt_the_prompt_a_sleep_and_a_busy_loop(tmp_path: Path) -> None:
    main = """
from machine import Pin, Timer
import time
pin = Pin(3, Pin.IN, Pin.PULL_DOWN)
pin.irq(lambda p: print("edge", p.value()), Pin.IRQ_RISING | Pin.IRQ_FALLING)
ticks = [0]
def tick(timer):
    ticks[0] += 1
timer = Timer(-1, period=10, callback=tick)
while ticks[0] < 3:
    time.sleep_ms(5)
while ticks[0] < 6:
    pass
timer.deinit()
Timer(-1, mode=Timer.ONE_SHOT, period=1, callback=lambda timer: print("one shot"))
"""

    async def run() -> None:
        async with Bench(flash(tmp_path, main)) as bench:
            await bench.terminal.until(b"one shot\r\n")
            terminal = await bench.prompt()
            for level in (1, 0, 1):
                await bench.board.stimulus("pin:3", level)
                await terminal.until(b"edge %d\r\n" % level)
            await bench.board.stimulus("pin:3", None)
            await terminal.until(b"edge 0\r\n")
            await terminal.run("pin.irq(None)")
            await bench.board.stimulus("pin:3", 1)
            assert await terminal.run("pin.value()") == "1"
            assert bench.board.state()["misuses"] == 0

    asyncio.run(run())


def test_an_interrupt_between_a_request_and_its_answer_waits(tmp_path: Path) -> None:
    main = """
from machine import ADC, Pin, Timer
photo, pin = ADC(4), Pin(3, Pin.IN)
wrong, ticks = [0], [0]
def tick(timer):
    ticks[0] += 1
    if photo.read_u16() != 32768 or pin.value() != 0:
        wrong[0] += 1
timers = [Timer(-1, period=2, callback=tick) for _ in range(3)]
while ticks[0] < 200:
    if photo.read_u16() != 32768:
        wrong[0] += 1
for timer in timers:
    timer.deinit()
print("wrong", wrong[0], "of", ticks[0])
"""

    async def run() -> None:
        async with Bench(flash(tmp_path, main, boot="import time\ntime.sleep_ms(50)")) as bench:
            await bench.board.stimulus("illuminance_lx", 2000 * 32768 / 65535)
            seen = await bench.terminal.until(PROMPT, timeout_s=60)
            assert b"wrong 0 of " in seen, seen

    asyncio.run(run())


def test_ctrl_c_never_falls_between_a_request_and_its_answer(tmp_path: Path, rng: random.Random) -> None:
    main = """
from machine import ADC
photo, stops, wrong = ADC(4), 0, 0
while stops < 12:
    try:
        while True:
            wrong += photo.read_u16() != 32768
            with open("/n", "w") as f:
                f.write("x")
            photo.read_u16()
    except KeyboardInterrupt:
        stops += 1
        print("stop", stops)
print("wrong", wrong, open("/n").read() in ("", "x"))
"""

    async def run() -> None:
        async with Bench(flash(tmp_path, main, boot="import time\ntime.sleep_ms(50)")) as bench:
            await bench.board.stimulus("illuminance_lx", 2000 * 32768 / 65535)
            await bench.board.until(lambda state: state["phase"] == "main" and state["flash_operations"] > 0)
            for stop in range(12):
                operations = bench.board.state()["flash_operations"] + rng.randrange(1, 12)
                await bench.board.until(lambda state, least=operations: state["flash_operations"] >= least)
                bench.terminal.type(b"\x03")
                await bench.terminal.until(b"stop %d\r\n" % (stop + 1))
            assert b"wrong 0 True\r\n" in await bench.terminal.until(PROMPT)
            assert bench.board.state()["misuses"] == 0
            assert bench.board.state()["crashes"] == 0

    asyncio.run(run())
