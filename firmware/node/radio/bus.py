# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The wires to a radio chip: SPI, chip select, reset and a BUSY line. machine.SPI and machine.SoftSPI both do."""

import time

import machine
from micropython import const

_RESET_US = const(1000)  # more than the 100 us that both families ask for


def _pin(settings, name: str, mode, **more):
    return machine.Pin(settings[name], mode, **more) if name in settings else None


class SpiBus:
    """Chip select held low from ``select`` to ``release``; the pins are those of a radio table."""

    def __init__(self, settings) -> None:
        pin = machine.Pin
        self._cs = _pin(settings, "cs", pin.OUT, value=1)
        self._reset = _pin(settings, "reset", pin.OUT, value=1)
        self._busy = _pin(settings, "busy", pin.IN)
        self.busy_name = "pin %s" % settings.get("busy")
        self._dio0 = _pin(settings, "dio0", pin.IN)
        self._dio1 = _pin(settings, "dio1", pin.IN)
        # antenna switches that the chip does not drive itself
        self._tx_pin = _pin(settings, "tx_enable", pin.OUT, value=0)
        self._rx_pin = _pin(settings, "rx_enable", pin.OUT, value=0)
        self._spi = self.open_spi(settings)

    def open_spi(self, settings):
        """Return the SPI bus of a radio table: mode 0, MSB first, pins given or the port's own."""
        spi = settings["spi"]
        if "sck" not in spi:
            return machine.SPI(spi["id"], baudrate=spi["hz"], polarity=0, phase=0)
        sck, mosi, miso = machine.Pin(spi["sck"]), machine.Pin(spi["mosi"]), machine.Pin(spi["miso"])
        return machine.SPI(spi["id"], baudrate=spi["hz"], polarity=0, phase=0, sck=sck, mosi=mosi, miso=miso)

    def watch(self, radio) -> None:
        """Let the radio note the edges of its interrupt lines."""
        for pin in (self._dio0, self._dio1):
            if pin:
                radio.watch(pin)

    def reset(self) -> None:
        """Pulse the reset line, if it is wired."""
        if self._reset:
            self._reset.value(0)
            time.sleep_us(_RESET_US)
            self._reset.value(1)

    def busy(self) -> bool:
        """Return whether the chip does not take commands now."""
        return bool(self._busy.value())

    def select(self, low: bool) -> None:
        """Chip select: True begins a transfer, False ends it."""
        self._cs.value(0 if low else 1)

    def exchange(self, out, into) -> None:
        """Write *out* and read as many bytes *into*."""
        self._spi.write_readinto(out, into)

    def write(self, data) -> None:
        """Write more of a transfer."""
        self._spi.write(data)

    def read(self, into) -> None:
        """Read more of a transfer."""
        self._spi.readinto(into)

    def switch(self, tx: bool, rx: bool) -> None:
        """Set the antenna switch, where the processor drives it."""
        if self._tx_pin:
            self._tx_pin.value(tx)
        if self._rx_pin:
            self._rx_pin.value(rx)
