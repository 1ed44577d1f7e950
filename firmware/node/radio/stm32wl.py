# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The sub-GHz radio inside the STM32WL: an SX126x on an internal SPI bus (reference manual RM0453, chapter 5).

Settings as for ``sx126x``; antenna switches of the module stand in tx_enable and rx_enable. The interrupt comes
through ``stm.subghz_irq``, chip select and BUSY through ``stm`` too (MicroPython, ports/stm32/subghz.c).
"""

import machine

from firmware.node.radio.bus import SpiBus
from firmware.node.radio.sx126x import SX126x

stm = __import__("stm")  # of this port only


def open_radio(settings):
    """Return the radio inside the processor."""
    return Stm32Wl(SubghzBus(settings), settings)


class Stm32Wl(SX126x):
    """An SX126x whose interrupt is a level: the port switches it off when it comes, until it is asked for again."""

    def _start_transmit(self, timeout_us: int) -> None:
        super()._start_transmit(timeout_us)
        stm.subghz_irq(self.on_edge)  # what came while nobody asked for its flags has switched it off

    def _warm_up(self) -> None:
        super()._warm_up()
        stm.subghz_irq(self.on_edge)

    def _take_flags(self) -> int:
        flags = super()._take_flags()
        stm.subghz_irq(self.on_edge)
        return flags


class SubghzBus(SpiBus):
    """The lines that end inside the chip."""

    busy_name = "inside the processor"

    def open_spi(self, settings):
        """Return the internal bus; its pins are no pins."""
        return machine.SPI("SUBGHZ", baudrate=8000000)  # type: ignore[call-overload]  # stubs know numbers only

    def watch(self, radio) -> None:
        """Let the radio note the interrupt."""
        stm.subghz_irq(radio.on_edge)

    def busy(self) -> bool:
        """Return whether the radio does not take commands now."""
        return bool(stm.subghz_is_busy())

    def select(self, low: bool) -> None:
        """Chip select: True begins a transfer, False ends it."""
        stm.subghz_cs(0 if low else 1)
