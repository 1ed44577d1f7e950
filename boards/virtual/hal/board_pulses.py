# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# Pulses made and measured by hardware, on a board that has something to do with them: machine.time_pulse_us() and, as
# module esp32, the generator RMT with the arguments that the port documents.
import struct

import board_machine
import board_time
import hal
from hal import call

__name__ = "esp32"


def time_pulse_us(pin, level, timeout_us=1000000):
    width, took = struct.unpack("<iI", call(hal.PULSE_WIDTH, pin._number, struct.pack("<BI", level, timeout_us)))
    board_time.sleep_us(took)
    return width


class RMT:
    def __init__(self, channel=0, *, pin, clock_div=8, idle_level=False, tx_carrier=None):
        self._pin = pin
        self._us = clock_div / 80
        pin.init(board_machine.Pin.OUT, value=idle_level)

    def write_pulses(self, duration, data=True):
        spans = [int(each * self._us) for each in duration]
        call(hal.PULSES, self._pin._number, struct.pack("<B%dH" % len(spans), data, *spans))

    def deinit(self):
        pass


board_machine.time_pulse_us = time_pulse_us
