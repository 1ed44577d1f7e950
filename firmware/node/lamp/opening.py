# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Opens what a board's file says of a street light, the lamp first. Given back once that is done."""

from machine import ADC, I2C, PWM, UART, Pin

from firmware.node.config import board_int
from firmware.node.errors import ConfigError

_DIM_HZ = 1000
_FULL = 65535


def open_parts(board: dict, files) -> tuple:
    """Return (lamp, photocell, thermometer, meter, energy, extras); what is not there is None. ConfigError."""
    gear = None
    if "dali" in board:
        lamp = gear = _open_dali(board)
    else:
        lamp = _open_lamp(board)
    photocell = thermometer = None
    if "photocell_adc" in board:
        from firmware.node.sensors.photocell import Photocell

        photocell = Photocell(ADC(Pin(board_int(board, "photocell_adc"))))
    if "temperature_addr" in board or ("i2c" in board and "sensors" not in board):
        from firmware.node.sensors.lm75 import Lm75

        bus = board["i2c"]
        scl, sda = Pin(board_int(bus, "scl")), Pin(board_int(bus, "sda"))
        i2c = I2C(board_int(bus, "id"), scl=scl, sda=sda, freq=board_int(bus, "hz", 100000))
        thermometer = Lm75(i2c, board_int(board, "temperature_addr", 0x48))
    meter, energy = _open_meter(board, files)
    return lamp, photocell, thermometer, meter, energy, _open_extras(board, gear)


def _open_extras(board: dict, gear):
    if gear is None and "sensors" not in board:
        return None
    from firmware.node.lamp.extras import Extras
    from firmware.node.sensors._opening import open_sensors

    return Extras(gear, open_sensors(board))


def _open_lamp(board: dict):
    from firmware.node.lamp.output import Lamp

    relay = Pin(board_int(board, "lamp_pin"), Pin.OUT, value=1)
    pwm = None
    if "dim_pin" in board:
        pwm = PWM(Pin(board_int(board, "dim_pin")), freq=board_int(board, "dim_hz", _DIM_HZ), duty_u16=_FULL)
    return Lamp(relay, pwm)


def _open_dali(board: dict):
    relay = Pin(board_int(board, "lamp_pin"), Pin.OUT, value=1) if "lamp_pin" in board else None
    from firmware.node.lamp.dali_bus import DaliBus
    from firmware.node.lamp.dali_lamp import DaliLamp

    wires = board["dali"]
    idle = (board_int(wires, "tx_idle", 1), board_int(wires, "rx_idle", 1))
    bus = DaliBus(Pin(board_int(wires, "tx")), Pin(board_int(wires, "rx"), Pin.IN), *idle)
    address, group = [board_int(wires, name) if name in wires else None for name in ("address", "group")]
    lamp = DaliLamp(bus, address, relay, group)
    lamp.now(100)
    return lamp


def _open_meter(board: dict, files) -> tuple:
    if "meter_uart" in board:
        from firmware.node.sensors.bl0942 import Bl0942

        port = board["meter_uart"]
        tx, rx = Pin(board_int(port, "tx")), Pin(board_int(port, "rx"))
        meter = Bl0942(UART(board_int(port, "id"), baudrate=board_int(port, "baud", 4800), tx=tx, rx=rx))
    elif "meter_pulse" in board:
        chip = board["meter_pulse"].get("chip", "")
        try:
            module = __import__("firmware.node.sensors." + chip, None, None, ["open_meter"])
            meter = module.open_meter(board["meter_pulse"])
        except (ImportError, AttributeError, ValueError):
            raise ConfigError("identity: meter chip is %r; this firmware has no driver of that name" % chip)
    else:
        return None, None
    from firmware.node.roles.energy import EnergyTotal

    return meter, EnergyTotal(files, "energy", meter.pulses_per_wh, meter.pulses_wrap)
