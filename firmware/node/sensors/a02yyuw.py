# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""DFRobot/DYP A02YYUW waterproof ultrasonic range finder, UART version: measures by itself ten times a second.

Data sheet A02 V2.0: 30 to 4500 mm, blind below 30 mm, 9600 baud, 100 ms from one value to the next (300 ms when RX is
left high, which asks for filtered values), 8 mA while it works.
"""

from firmware.node.sensors._uart_range import UartRange

USE = "range"

_SETTLE_MS = 300
_TIMEOUT_MS = 400


def open_sensor(entry: dict, i2c) -> UartRange:
    """Return the range finder on its UART. Raises ConfigError."""
    from firmware.node.sensors._opening import open_switch, open_uart  # borrowed

    return UartRange(open_uart(entry, 9600), open_switch(entry), b"", (30, 4500), (_SETTLE_MS, _TIMEOUT_MS))
