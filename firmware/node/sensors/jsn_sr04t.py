# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""JSN-SR04T waterproof ultrasonic range finder, versions 2 and 3 in the mode of 120 kOhm at R27: measures when asked.

Data sheet JSN-SR04T-3.0: 0x55 asks, 210 to 6000 mm, 9600 baud, 30 mA while it works; nothing nearer than 210 mm.
"""

from firmware.node.sensors._uart_range import UartRange

USE = "range"

_SETTLE_MS = 200
_TIMEOUT_MS = 150


def open_sensor(entry: dict, i2c) -> UartRange:
    """Return the range finder on its UART. Raises ConfigError."""
    from firmware.node.sensors._opening import open_switch, open_uart  # borrowed

    return UartRange(open_uart(entry, 9600), open_switch(entry), b"\x55", (210, 6000), (_SETTLE_MS, _TIMEOUT_MS))
