# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""OmniPreSense OPS243-A Doppler radar on a UART: one line of ASCII for each speed, signed, some ten a second.

AN-010, the API of OPS24x: UK sets km/h, F1 one decimal, R| both directions, OJ/Oj the form of a line (here plain), ?V
asks for the version. A target that comes nearer is positive. Answers to settings are lines in braces.
"""

USE = "speed"

_SET_UP = (b"Oj", b"UK", b"F1", b"R|")
_ASK = b"?V"
_LONGEST = 64
_BUFFER_BYTES = 1024
_FASTEST = 3000  # tenths of km/h


class Ops243:
    """*uart* is a machine.UART at 19200 baud, the chip's rate after a start."""

    def __init__(self, uart) -> None:
        self._uart = uart
        self._line = b""
        self._lines = 0
        self._found = []  # type: list[int]
        self.damaged = 0
        for command in _SET_UP:
            uart.write(command)

    def speeds(self) -> list:
        """Return what came since the last time, in tenths of km/h; towards the sensor is positive."""
        self._take_in()
        if not self._found:
            return _NOTHING
        found, self._found = self._found, []
        return found

    def _take_in(self) -> None:
        waiting = self._uart.any()
        if not waiting:
            return
        self._line += self._uart.read(waiting) or b""
        end = self._line.find(b"\n")
        while end >= 0:
            line = self._line[:end].strip()
            self._line = self._line[end + 1 :]
            self._lines += 1
            if line and line[0] not in b'{"':
                speed = parse(line)
                if speed is None:
                    self.damaged += 1
                else:
                    self._found.append(speed)
            end = self._line.find(b"\n")
        if len(self._line) > _LONGEST:  # no line is that long: noise without an end
            self._line = b""
            self.damaged += 1

    def ask(self) -> None:
        """Ask for a sign of life; ``heard`` tells whether it, or anything, came."""
        self._lines = 0
        self._uart.write(_ASK)

    def heard(self) -> bool:
        """Tell whether a line came since ``ask``."""
        self._take_in()
        return self._lines > 0


_NOTHING = []  # type: list[int]


def parse(line: bytes) -> int | None:
    """Return the tenths of km/h of a line such as -12.3, or None for what is no speed."""
    sign = -1 if line[:1] == b"-" else 1
    whole, _, part = (line[1:] if line[:1] in (b"-", b"+") else line).partition(b".")
    if not whole.isdigit() or len(whole) > 3 or (part and not part.isdigit()):
        return None
    tenths = int(whole) * 10 + (part[0] - 48 if part else 0)
    return sign * tenths if tenths <= _FASTEST else None


def open_sensor(entry: dict, i2c) -> Ops243:
    """Return the radar on its UART. Raises ConfigError."""
    from firmware.node.sensors._opening import open_uart  # borrowed

    return Ops243(open_uart(entry, 19200, _BUFFER_BYTES))
