# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Street light: a relay, a dimmer and what they draw. Whatever is in doubt, the lamp is on."""

from machine import ADC, I2C, PWM, UART, Pin

from firmware.node.config import board_int
from firmware.node.log import log_error
from firmware.node.roles.energy import EnergyTotal
from firmware.node.roles.twilight import Twilight
from firmware.node.sensors.bl0942 import PULSES_PER_WH, PULSES_WRAP, Bl0942
from firmware.node.sensors.lm75 import Lm75
from firmware.node.sensors.photocell import Photocell

_DIM_HZ = 1000
_FULL = 65535


class Lamp:
    """Relay and dimmer. *pwm* is None on a lamp that cannot be dimmed."""

    def __init__(self, relay, pwm) -> None:
        self._relay = relay
        self._pwm = pwm
        self.on = True
        self.dim_pct = 100
        self.switch(True)

    def switch(self, on: bool) -> None:
        """Switch the relay."""
        self._relay.value(1 if on else 0)
        self.on = on

    def dim(self, pct: int) -> None:
        """Set the dimming level, 0 to 100 percent of full light."""
        self.dim_pct = min(100, max(0, pct)) if self._pwm is not None else 100
        if self._pwm is not None:
            self._pwm.duty_u16(self.dim_pct * _FULL // 100)


class StreetLight:
    """The role. Sensors that are None are not on this board; ``failures`` counts by sensor what did not answer."""

    def __init__(self, lamp: Lamp, photocell, thermometer, meter, energy) -> None:
        self._lamp = lamp
        self._photocell = photocell
        self._thermometer = thermometer
        self._meter = meter
        self._energy = energy
        self._twilight = Twilight()
        self._lux = None  # type: float | None
        self.failures = {}  # type: dict[str, int]

    def control(self) -> None:
        """Look at the ambient light and switch."""
        self._lux = self._illuminance()
        need_light = self._twilight.look(self._lux)
        if need_light != self._lamp.on:
            self._lamp.switch(need_light)

    def dim(self, pct: int) -> None:
        """Set the dimming level, 0 to 100 percent."""
        self._lamp.dim(pct)

    async def measure(self) -> dict[str, float]:
        """Return what the sensors tell now."""
        values = {}  # type: dict[str, float]
        values["lamp_on"] = self._lamp.on
        values["dim_pct"] = self._lamp.dim_pct if self._lamp.on else 0
        self._lux = self._illuminance()
        if self._lux is not None:
            values["illuminance_lx"] = self._lux
        try:
            if self._thermometer is not None:
                values["temperature_c"] = self._thermometer.temperature_c()
        except OSError as error:
            self._failed("temperature", error)
        try:
            if self._meter is not None:
                measured = await self._meter.read()
                values["power_w"] = measured.power_w
                values["voltage_v"] = measured.voltage_v
                values["current_a"] = measured.current_a
                values["energy_wh"] = self._energy.update(measured.pulses)
        except OSError as error:
            self._failed("meter", error)
        return values

    def fail_safe(self) -> None:
        """Full light."""
        self._lamp.switch(True)
        self._lamp.dim(100)

    def _illuminance(self) -> float | None:
        try:
            return None if self._photocell is None else self._photocell.illuminance_lx()
        except OSError as error:
            self._failed("photocell", error)
            return None

    def _failed(self, sensor: str, error: OSError) -> None:
        count = self.failures.get(sensor, 0) + 1
        self.failures[sensor] = count
        if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th... time
            log_error("%s failed %d times" % (sensor, count), error)


def open_role(board: dict, files) -> StreetLight:
    """Return the role on the pins of *board*; the lamp is on before anything else is tried. Raises ConfigError."""
    lamp = open_lamp(board)
    photocell = Photocell(ADC(Pin(board_int(board, "photocell_adc")))) if "photocell_adc" in board else None
    thermometer = meter = energy = None
    if "i2c" in board:
        bus = board["i2c"]
        i2c = I2C(
            board_int(bus, "id"),
            scl=Pin(board_int(bus, "scl")),
            sda=Pin(board_int(bus, "sda")),
            freq=board_int(bus, "hz", 100000),
        )
        thermometer = Lm75(i2c, board_int(board, "temperature_addr", 0x48))
    if "meter_uart" in board:
        port = board["meter_uart"]
        uart = UART(
            board_int(port, "id"),
            baudrate=board_int(port, "baud", 4800),
            tx=Pin(board_int(port, "tx")),
            rx=Pin(board_int(port, "rx")),
        )
        meter = Bl0942(uart)
        energy = EnergyTotal(files, "energy", PULSES_PER_WH, PULSES_WRAP)
    return StreetLight(lamp, photocell, thermometer, meter, energy)


def open_lamp(board: dict) -> Lamp:
    """Return the lamp on the pins of *board*, switched on."""
    relay = Pin(board_int(board, "lamp_pin"), Pin.OUT, value=1)
    pwm = None
    if "dim_pin" in board:
        pwm = PWM(Pin(board_int(board, "dim_pin")), freq=board_int(board, "dim_hz", _DIM_HZ), duty_u16=_FULL)
    return Lamp(relay, pwm)
