# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An unmodulated carrier of an SX127x: FSK without a deviation, in continuous mode. Loaded for that, and given back.

DS = the data sheet that ``sx127x`` names: 4.2 for FSK, 2.1.3 for its continuous mode, table 41 for the registers.
"""

from firmware.node.radio.sx127x import frequency

_OP_MODE = 0x01
_FDEV = 0x04  # 2 bytes
_FRF = 0x06  # 3 bytes
_PACKET_CONFIG_2 = 0x31  # of FSK mode; bit 6: 0 is continuous mode

_LORA_SLEEP = b"\x80"
_FSK_SLEEP = b"\x00"
_FSK_STANDBY = b"\x01"
_FSK_TX = b"\x03"


def start(radio, freq_hz: int, power_dbm: int) -> None:
    """Send until ``end``."""
    radio._bus.switch(True, False)
    radio._write(_OP_MODE, _LORA_SLEEP)  # the two modes change places in sleep only
    radio._write(_OP_MODE, _FSK_SLEEP)
    radio._write(_OP_MODE, _FSK_STANDBY)
    radio._write(_FDEV, b"\0\0")
    radio._write(_FRF, frequency(freq_hz))
    radio._power(power_dbm)
    radio._write(_PACKET_CONFIG_2, b"\0")
    radio._write(_OP_MODE, _FSK_TX)


def end(radio) -> None:
    """Stop sending; the settings for LoRa are gone: ``radio.init()`` has to follow."""
    radio._write(_OP_MODE, _FSK_SLEEP)
