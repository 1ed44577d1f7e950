# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One virtual board: power, resets, watchdog, clock and console around the interpreter and its simulated hardware."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from boards.errors import BoardsError, BoardStateError
from boards.schema import BoardFile, load_board
from boards.virtual import protocol, scenario, stepped
from boards.virtual.clock import Interrupts, Rtc
from boards.virtual.console import Console
from boards.virtual.environment import Environment
from boards.virtual.flash import NorFlash
from boards.virtual.hardware import Hardware, unique_id
from boards.virtual.interpreter import Interpreter
from boards.virtual.keyboard import Keyboard
from boards.virtual.protocol import Event, Phase, ResetCause, ResetKind
from boards.virtual.repl import ReplTracker
from boards.virtual.site import Site
from boards.virtual.sleep import Sleep
from boards.virtual.waiting import Waiting
from boards.virtual.watchdog import Watchdog

log = logging.getLogger(__name__)

CRASH_REST_S = 0.5
CAUSES_KEPT = 64


class VirtualBoard:
    """A board made of an image file and a board file. All methods belong to the event loop that start() ran in.

    In a loop with stepped time it is made there, too.
    """

    def __init__(
        self,
        image: Path,
        board: BoardFile | str = "virtual",
        *,
        port: Path,
        seed: int = 0,
        scenario_name: str = "street",
        heap_bytes: int | None = None,
        site: Site | None = None,
        console_log: BinaryIO | None = None,
    ) -> None:
        self._now_s = stepped.clock()
        self.image, self.seed, self._site = image, seed, site
        self.board = board if isinstance(board, BoardFile) else load_board(board)
        self._heap_bytes = heap_bytes or self.board.board.heap_bytes
        self._rng, self._scenario = random.Random(seed), scenario.load(scenario_name, seed)
        self.console = Console(port, self._on_input, console_log)
        self._keyboard = Keyboard(lambda: self._interpreter)
        self._typing: asyncio.Task[None] | None = None
        self._flash: NorFlash | None = None
        self._hardware: Hardware | None = None
        self._interpreter: Interpreter | None = None
        self._repl, self._powered = ReplTracker(), False
        self._phase, self._cause = Phase.BOOT, ResetCause.PWRON_RESET
        self._watchdog = Watchdog(self._after, self._program, self._bite)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._rtc, self._sleep = Rtc(self._now_s), Sleep(self._now_s)
        self._interrupts = Interrupts(self._raise_line, self._now_s)
        self._waiting = Waiting(self.state)
        self._counts = dict.fromkeys(("boots", "soft_resets", "watchdog_bites", "crashes", "power_cuts"), 0)
        self._causes, self._faults = deque[str](maxlen=CAUSES_KEPT), deque[str](maxlen=CAUSES_KEPT)

    # What a person at the bench can do.

    async def start(self) -> None:
        """Open the flash image, make the serial port and switch the power on; ImageError, ImageBusyError, PortError."""
        flash = self.board.flash
        self._flash = NorFlash(self.image, flash.bytes, flash.block_bytes, flash.program_bytes, self._rng)
        try:
            environment = Environment(self._scenario, self._now_s, self._site)
            self._hardware = Hardware(self.board, self._flash, environment, self)
            self.console.plug()
            await self.power_on()
        except BoardsError:
            self.console.unplug()
            self._flash.close()
            raise
        self._typing = asyncio.create_task(self._keyboard.run())

    async def stop(self) -> None:
        """Power off and give everything back."""
        self._power_off()
        self.console.unplug()
        if self._typing is not None:
            self._typing.cancel()
            await asyncio.wait([self._typing])
        if self._flash is not None:
            self._flash.close()
            self._flash = None
        self._waiting.cancel()

    async def __aenter__(self) -> "VirtualBoard":
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def power_on(self) -> None:
        """Power after a cut; nothing happens if it is on."""
        if self._powered:
            return
        self.hardware.power(True)
        self._powered = True
        self._rtc.power_on()
        self._boot(ResetCause.PWRON_RESET)

    async def power_cut(self, after_flash_operations: int | None = None) -> None:
        """Take the power away: now, or in the middle of the n-th flash program or erase from now."""
        if after_flash_operations is None:
            self._power_fails()
        elif after_flash_operations < 1:
            raise BoardStateError(f"after_flash_operations = {after_flash_operations}: it must be 1 or more")
        else:
            self._open_flash.cut_after(after_flash_operations, self._power_fails)

    async def reset(self) -> None:
        """The reset button."""
        if not self._powered:
            raise BoardStateError("the board has no power, so a reset does nothing. Switch it on first: power_on")
        self._boot(ResetCause.HARD_RESET)

    async def unplug(self) -> None:
        """Pull the serial cable; the board keeps its power."""
        self.console.unplug()
        self._notify()

    async def replug(self) -> None:
        """Put it back."""
        self.console.plug()
        self._notify()

    async def inject_noise(self, data: bytes) -> None:
        """Bytes on the line towards the client that the board never sent."""
        self.console.write(data)

    async def stimulus(self, name: str, value: float | None) -> None:
        """Hold a value of the surroundings (None: back to the scenario), or drive pin:<n> (None: let go)."""
        if name.startswith("pin:"):
            self.hardware.pins.drive(int(name[4:]), None if value is None else int(bool(value)))
            return
        try:
            self.hardware.environment.hold(name, value)
        except KeyError:
            known = ", ".join(sorted(self.hardware.environment.names()))
            raise BoardStateError(f"no stimulus {name!r}; known: {known}, pin:<number>") from None

    def state(self) -> dict[str, Any]:
        """Everything worth seeing, ready for JSON."""
        flash = self._open_flash
        return {
            "powered": self._powered,
            "plugged": self.console.plugged,
            "phase": self._phase.name.lower() if self._interpreter else None,
            **self._sleep.state(),
            "pid": self._interpreter.pid if self._interpreter else None,
            **self._counts,
            "reset_cause": self._cause.name,
            "reset_causes": list(self._causes),
            "faults": list(self._faults),
            "watchdog_ms": self._watchdog.timeout_ms,
            "console_dropped_bytes": self.console.dropped_bytes,
            "flash_operations": flash.operations,
            "flash_erases": sum(flash.erases),
            "flash_worst_block_erases": max(flash.erases),
            **self.hardware.state(),
            "unique_id": unique_id(self.seed, self.board.board.name).hex(),
        }

    async def until(self, predicate: Callable[[dict[str, Any]], bool], timeout_s: float = 10.0) -> dict[str, Any]:
        """Wait until state() satisfies the predicate; TimeoutError with the state that did not."""
        return await self._waiting.until(predicate, timeout_s)

    # What the chip asks for: hardware.System.

    def hello(self) -> bytes:
        """Facts for the start code."""
        flash, identity = self.board.flash, unique_id(self.seed, self.board.board.name)
        facts = (flash.bytes, flash.block_bytes, flash.program_bytes, self.board.board.clock_hz, identity)
        return protocol.HELLO.pack(protocol.VERSION, self._cause, not self._repl.raw, *facts)

    def request_reset(self, kind: int, sleep_ms: int) -> None:
        """machine.reset(), a SystemExit of boot.py or main.py, or deepsleep."""
        self._drain()
        if kind == ResetKind.SOFT:
            self._soft_reset()
        elif kind == ResetKind.DEEPSLEEP:
            self._deepsleep(sleep_ms)
        else:
            self._boot(ResetCause.HARD_RESET)

    def set_console_binary(self, binary: bool) -> None:
        """Text written so far still gets its line ends; what follows is left alone, or the other way round."""
        self._drain()
        self._repl.binary = binary
        self._keyboard.interruptible = not binary

    def set_phase(self, phase: int) -> None:
        """boot.py, main.py, REPL."""
        self._drain()
        self._phase = Phase(phase)
        if self._phase is Phase.REPL:
            self._repl.binary = False
            self._keyboard.interruptible = True
            if self._repl.begin() and self._interpreter:
                self._interpreter.type(b"\x01")
        self._notify()

    def watchdog(self, timeout_ms: int | None) -> None:
        """Start once, then feed."""
        self._watchdog.feed(timeout_ms)

    def rtc(self, payload: bytes) -> bytes:
        """machine.RTC().datetime()."""
        if not payload:
            return self._rtc.read()
        self._rtc.write(payload)
        return b""

    def rtc_memory(self, data: bytes | None) -> bytes:
        """machine.RTC().memory()."""
        kept = self._rtc.memory(data)
        return kept if data is None else b""

    def set_lightsleep(self, asleep: bool) -> None:
        """lightsleep begins or ends."""
        self._sleep.go("light" if asleep else None)
        self._notify()

    def start_timer(self, number: int, periodic: bool, period_us: int) -> None:
        """machine.Timer."""
        self._interrupts.start_timer(number, periodic, period_us)

    def interrupt(self, kind: Event, number: int, at_us: int | None) -> None:
        """An edge on a pin with a handler."""
        self._interrupts.raise_event(kind, number, at_us)

    def take_events(self) -> bytes:
        """What pends."""
        return self._interrupts.take()

    def fault(self, text: str) -> None:
        """Loud: a board in this condition would be sent back."""
        log.error("fault: %s", text)
        self._faults.append(text)

    # Inside.

    @property
    def hardware(self) -> Hardware:
        """The simulated chip; BoardStateError before start()."""
        if self._hardware is None:
            raise BoardStateError("the board was not started")
        return self._hardware

    @property
    def _open_flash(self) -> NorFlash:
        if self._flash is None:
            raise BoardStateError("the board is not running: start() it first")
        return self._flash

    def _boot(self, cause: ResetCause) -> None:
        self._stop_interpreter()
        self.hardware.hard_reset(asleep=cause is ResetCause.DEEPSLEEP_RESET)
        self._repl = ReplTracker()
        self._watchdog.timeout_ms = None
        self._counts["boots"] += 1
        self._run(cause)

    def _soft_reset(self) -> None:
        self._stop_interpreter(keep_watchdog=True)
        self.hardware.soft_reset()
        self._counts["soft_resets"] += 1
        self._repl = ReplTracker(raw=self._repl.raw)
        self.console.write(b"MPY: soft reboot\r\n")
        self._run(ResetCause.SOFT_RESET)

    def _run(self, cause: ResetCause) -> None:
        self._cause, self._phase = cause, Phase.BOOT
        self._sleep.go(None)
        self._causes.append(cause.name)
        calls = (self._request, self._output, self._exited)
        self._interpreter = Interpreter(self._heap_bytes + stepped.heap_bytes(), self.image, *calls)
        self._keyboard.interpreter_started()
        self._notify()

    def _stop_interpreter(self, keep_watchdog: bool = False) -> None:
        if self._interpreter is not None:
            self._interpreter.kill()
            self._interpreter = None
        self._interrupts.clear()
        for name in [name for name in self._timers if not (keep_watchdog and name == "watchdog")]:
            self._timers.pop(name).cancel()

    def _power_off(self) -> None:
        self._stop_interpreter()
        self._watchdog.timeout_ms = None
        self._keyboard.clear()
        if self._hardware is not None:
            self._hardware.hard_reset()
            if self._powered:
                self._hardware.power(False)
            self._sleep.go("off")
        self._powered = False

    def _power_fails(self) -> None:
        if self._powered:
            self._counts["power_cuts"] += 1
            self._power_off()
            self._notify()

    def _deepsleep(self, sleep_ms: int) -> None:
        self._stop_interpreter()
        self._watchdog.timeout_ms = None
        self._sleep.go("deep")
        self.hardware.pins.wake_by_level(lambda: self._after("wake", 0, self._wake))
        self.hardware.hard_reset(asleep=True)
        if sleep_ms and "wake" not in self._timers:
            self._after("wake", sleep_ms / 1000, self._wake)
        self._notify()

    def _wake(self) -> None:
        self._boot(ResetCause.DEEPSLEEP_RESET)

    def _program(self) -> int | None:
        return None if self._interpreter is None else self._interpreter.pid

    def _bite(self) -> None:
        log.warning("watchdog bite after %d ms", self._watchdog.timeout_ms)
        self._counts["watchdog_bites"] += 1
        self._boot(ResetCause.WDT_RESET)

    def _after(self, name: str, delay_s: float, what: Callable[[], object]) -> None:
        old = self._timers.pop(name, None)
        if old is not None:
            old.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(delay_s, what)

    def _request(self, op: int, unit: int, payload: bytes) -> bytes:
        answer = self.hardware.handle(op, unit, payload)
        self._notify()
        return answer

    def _raise_line(self) -> None:
        if self._interpreter is not None:
            self._interpreter.interrupt_line()

    def _drain(self) -> None:
        if self._interpreter is not None:
            self._interpreter.drain_output()

    def _output(self, data: bytes) -> None:
        self.console.write(self._repl.output(data))
        self._wait_while_full()

    def _wait_while_full(self) -> None:
        if self._interpreter is not None:
            self._interpreter.pause_output(self.console.full)
            if self.console.full:
                self._after("output", 0.01, self._wait_while_full)

    def _exited(self, code: int) -> None:
        self._interpreter = None
        if code >= 0:  # Ctrl-D at a prompt, or SystemExit there
            self._soft_reset()
            return
        self._counts["crashes"] += 1
        self.fault(f"MicroPython was ended by signal {-code}; a reset follows")
        self._after("crash", CRASH_REST_S, lambda: self._boot(ResetCause.HARD_RESET))

    def _on_input(self, data: bytes) -> None:
        if self._powered:
            self._keyboard.receive(data)

    def _notify(self) -> None:
        if self._flash is not None:
            self._waiting.changed()
