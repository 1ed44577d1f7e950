# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Pins, PWM and ADC of the board: who drives which pin, and who may not."""

from collections.abc import Callable
from dataclasses import dataclass, field

from boards.virtual.protocol import Misuse, UnknownPart
from boards.virtual.pulses import Pulses

IN, OUT, OPEN_DRAIN = 0, 1, 2
_MODE_NAMES = {IN: "IN", OUT: "OUT", OPEN_DRAIN: "OPEN_DRAIN"}
PULL_UP, PULL_DOWN = 1, 2
RISING, FALLING = 1, 2


@dataclass
class Pin:
    """One pin. mode None: not initialised since the last hard reset."""

    number: int
    mode: int | None = None
    pull: int = 0
    latch: int = 0
    external: int | None = None
    pwm: tuple[int, int] | None = None
    adc: bool = False
    irq: int = 0
    held: bool = False
    wake: int | None = None
    """The level that ends a deep sleep."""
    driven_outside: bool = False
    watchers: list[Callable[[], None]] = field(default_factory=list)

    @property
    def level(self) -> int:
        """0 or 1 as seen on the wire; a floating pin reads 0."""
        if self.mode == OUT or (self.mode == OPEN_DRAIN and self.latch == 0):
            return self.latch
        if self.external is not None:
            return self.external
        return 1 if self.pull == PULL_UP else 0


class PinBank:
    """All pins of the board."""

    def __init__(self, gpio: set[int], adc: set[int]) -> None:
        self.pins = {number: Pin(number) for number in sorted(gpio)}
        self._adc_pins = adc
        self._adc_sources: dict[int, Callable[[], int]] = {}
        self.pulses = Pulses(self)
        self.on_edge: Callable[[int, int | None], None] = lambda number, at_us: None
        self._wakers: dict[int, int] = {}
        self._on_wake: Callable[[], object] = lambda: None

    def pin(self, number: int) -> Pin:
        """The pin of that number; UnknownPart if the board has none."""
        try:
            return self.pins[number]
        except KeyError:
            raise UnknownPart(f"no pin {number} on this board; it has {_ranges(self.pins)}") from None

    def hold(self, number: int, on: bool) -> None:
        """Pin(hold=True): it keeps mode and level through deep sleep and the start behind it, until it is let go."""
        self.pin(number).held = on

    def hard_reset(self, asleep: bool = False) -> None:
        """All pins become floating inputs, as after a reset of the chip; not those held while it is *asleep*."""
        if not asleep:
            self._wakers = {}
        for pin in self.pins.values():
            pin.wake = None
            if asleep and pin.held:
                continue
            pin.held = False
            pin.mode, pin.pull, pin.latch, pin.pwm, pin.adc, pin.irq = None, 0, 0, None, False, 0
        for pin in self.pins.values():
            self._changed(pin)

    def soft_reset(self) -> None:
        """PWM and interrupts stop; levels stay."""
        for pin in self.pins.values():
            pin.pwm, pin.irq = None, 0
            self._changed(pin)

    def wake_by_level(self, on_wake: Callable[[], object]) -> None:
        """A deep sleep begins: call *on_wake* once when a pin with a wake level has it, or at once."""
        self._wakers = {number: pin.wake for number, pin in self.pins.items() if pin.wake is not None}
        self._on_wake = on_wake
        self._look_for_wake()

    def _look_for_wake(self) -> None:
        if any(self.pins[number].level == level for number, level in self._wakers.items()):
            self._wakers = {}
            self._on_wake()

    def watch(self, number: int, watcher: Callable[[], None]) -> None:
        """Call watcher whenever the pin's level or PWM changes."""
        self.pin(number).watchers.append(watcher)

    def attach_adc(self, number: int, source: Callable[[], int]) -> None:
        """A model feeds an ADC pin with 0..65535 and therefore drives it."""
        self._adc_sources[number] = source
        self.pin(number).driven_outside = True

    def init(self, number: int, mode: int, pull: int, level: int) -> None:
        """machine.Pin(): mode and pull -1 leave them, level -1 leaves the latch."""
        pin = self.pin(number)
        if mode not in (-1, IN, OUT, OPEN_DRAIN):
            raise UnknownPart(f"Pin({number}): no mode {mode}")
        if pull not in (-1, 0, PULL_UP, PULL_DOWN):
            raise UnknownPart(f"Pin({number}): no pull {pull}")
        if mode == OUT and pin.driven_outside:
            raise Misuse(f"Pin({number}, OUT): something on the board drives this pin; two outputs would fight")
        before = pin.level
        if level >= 0:
            pin.latch = level
        if mode >= 0:
            pin.mode, pin.pwm, pin.adc = mode, None, False
        if pull >= 0:
            pin.pull = pull
        self._changed(pin, before)

    def write(self, number: int, level: int) -> None:
        """Pin.value(level); Misuse unless the pin is an output."""
        pin = self.pin(number)
        if pin.mode not in (OUT, OPEN_DRAIN):
            raise Misuse(f"Pin({number}).value({level}): the pin is {_describe(pin)}, not an output")
        if pin.pwm is not None:
            raise Misuse(f"Pin({number}).value({level}): the pin belongs to PWM until deinit()")
        before = pin.level
        pin.latch = level
        self._changed(pin, before)

    def read(self, number: int) -> int:
        """Pin.value(); Misuse if the pin was never initialised."""
        pin = self.pin(number)
        if pin.mode is None:
            raise Misuse(f"Pin({number}).value(): the pin has no mode yet, so its level means nothing")
        return pin.level

    def drive(self, number: int, level: int | None, at_us: int | None = None) -> None:
        """From outside: hold the pin at a level, or let go (None). at_us: the edge was then, on the monotonic clock."""
        pin = self.pin(number)
        before = pin.level
        pin.external = level
        self._changed(pin, before, at_us)

    def adc_init(self, number: int) -> None:
        """machine.ADC(); UnknownPart unless the pin has a channel."""
        if number not in self._adc_pins:
            raise UnknownPart(f"pin {number} has no ADC; pins with one: {_ranges(self._adc_pins)}")
        pin = self.pin(number)
        if pin.mode in (OUT, OPEN_DRAIN):
            raise Misuse(f"ADC({number}): the pin is {_describe(pin)}")
        pin.adc = True

    def adc_read(self, number: int) -> int:
        """0..65535; an ADC pin with nothing on it reads 0."""
        pin = self.pin(number)
        if not pin.adc:
            raise Misuse(f"ADC({number}).read_u16(): the pin was taken for something else since ADC() was made")
        source = self._adc_sources.get(number)
        return max(0, min(65535, source())) if source else 0

    def pwm_set(self, number: int, freq_hz: int, duty_u16: int) -> None:
        """PWM on; a board's pin that was explicitly made an input is misuse."""
        pin = self.pin(number)
        if pin.mode == IN or pin.adc or pin.driven_outside:
            raise Misuse(f"PWM({number}): the pin is {_describe(pin)}, not an output")
        if not 1 <= freq_hz <= 40_000_000:
            raise UnknownPart(f"PWM({number}): frequency {freq_hz} Hz is not between 1 and 40000000")
        if not 0 <= duty_u16 <= 65535:
            raise UnknownPart(f"PWM({number}): duty_u16 {duty_u16} is not between 0 and 65535")
        pin.mode, pin.pwm = OUT, (freq_hz, duty_u16)
        self._changed(pin)

    def pwm_off(self, number: int) -> None:
        """PWM.deinit(): the pin stays an output at its latch."""
        pin = self.pin(number)
        pin.pwm = None
        self._changed(pin)

    def duty(self, number: int) -> float:
        """Share of the time the pin is high, 0..1, with or without PWM."""
        pin = self.pin(number)
        return pin.pwm[1] / 65535 if pin.pwm else float(pin.level)

    def _changed(self, pin: Pin, before: int | None = None, at_us: int | None = None) -> None:
        if before is not None and pin.level != before and pin.irq & (RISING if pin.level else FALLING):
            self.on_edge(pin.number, at_us)
        if pin.number in self._wakers:
            self._look_for_wake()
        for watcher in pin.watchers:
            watcher()


def _describe(pin: Pin) -> str:
    if pin.adc:
        return "an ADC input"
    if pin.driven_outside:
        return "driven by something on the board"
    return "not initialised" if pin.mode is None else f"Pin.{_MODE_NAMES[pin.mode]}"


def _ranges(numbers: "dict[int, Pin] | set[int]") -> str:
    return ", ".join(str(n) for n in sorted(numbers)) or "none"
