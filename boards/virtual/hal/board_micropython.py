# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# The micropython module of the board: the console's hardware must know which character interrupts.
import hal
from micropython import *  # noqa: F403
from micropython import kbd_intr as _kbd_intr


def no_interrupt():
    # Between programs, as pyexec does; the console stays a text console.
    _kbd_intr(-1)


def kbd_intr(char):
    if char < 0:
        hal.call(hal.CONSOLE, 1)
        _kbd_intr(char)
    else:
        _kbd_intr(char)
        hal.call(hal.CONSOLE, 0)
