# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Opens the sensors that a board's file lists. Loaded for that, and given back: no driver may import it at its top."""

from machine import I2C, UART, Pin

from firmware.node.config import board_int
from firmware.node.errors import ConfigError


def open_sensors(board: dict) -> list:
    """Return (chip, use, driver) for each entry of *board*'s ``sensors``. Raises ConfigError, never OSError."""
    buses = []

    def i2c():
        if not buses:
            bus = board.get("i2c")
            if not isinstance(bus, dict):
                raise ConfigError("identity: a sensor needs board.i2c, which is not there")
            pins = (Pin(board_int(bus, "scl")), Pin(board_int(bus, "sda")))
            buses.append(I2C(board_int(bus, "id"), scl=pins[0], sda=pins[1], freq=board_int(bus, "hz", 100000)))
        return buses[0]

    found = []
    for entry in board.get("sensors", []):
        chip = entry.get("chip", "")
        try:
            module = __import__("firmware.node.sensors." + chip, None, None, ["USE"])
            found.append((chip, module.USE, module.open_sensor(entry, i2c)))
        except (ImportError, AttributeError, ValueError):
            raise ConfigError("identity: sensor chip is %r; this firmware has no driver of that name" % chip)
    return found


def open_uart(entry: dict, baud: int, rxbuf: int = 256) -> UART:
    """Return the UART of a sensor's entry. Raises ConfigError."""
    port = entry.get("uart")
    if not isinstance(port, dict):
        raise ConfigError("identity: sensor %s needs a uart" % entry.get("chip"))
    return UART(
        board_int(port, "id"),
        baudrate=board_int(port, "baud", baud),
        tx=Pin(board_int(port, "tx")),
        rx=Pin(board_int(port, "rx")),
        rxbuf=rxbuf,
    )


def open_switch(entry: dict):
    """Return the pin that powers a sensor, off, or None when it is always on."""
    return Pin(board_int(entry, "power_pin"), Pin.OUT, value=0) if "power_pin" in entry else None
