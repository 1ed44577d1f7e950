# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Faults of a radio that a person can switch on (1) and off (None) as stimuli."""

from boards.virtual.environment import Environment
from boards.virtual.models._lora_modem import Heard

BUSY_STUCK = "radio_busy_stuck"  # BUSY stays high after the next command
TCXO_DEAD = "radio_tcxo_dead"  # the clock does not start
CRC_ERRORS = "radio_crc_errors"  # every frame is damaged
IRQ_LOST = "radio_irq_lost"  # the interrupt line stays low


class Faults:
    """Reads the switches."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        for name in (BUSY_STUCK, TCXO_DEAD, CRC_ERRORS, IRQ_LOST):
            environment.publish(name, lambda: 0.0)

    def on(self, name: str) -> bool:
        """Whether somebody holds that switch."""
        return self._environment.get(name) != 0

    def damage(self, heard: Heard) -> Heard:
        """The frame as the chip reports it."""
        if not self.on(CRC_ERRORS):
            return heard
        return Heard(bytes(byte ^ 0x55 for byte in heard.data), heard.rssi_dbm, heard.snr_db, False)
