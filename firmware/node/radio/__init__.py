# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRa radios, one module per chip family, found by the name in the board map. Made for LoRaWAN and nothing else.

A module ``<chip>.py`` has ``open_radio(settings)``, which returns a ``base.LoraRadio``. *settings* is the table
``radio`` of the board map. All moments are microseconds of ``time.ticks_us()``, which wraps: compare them with
``time.ticks_diff``. Preamble 8 symbols, sync word 0x34, coding rate 4/5, explicit header; uplinks carry a CRC and
standard I/Q, downlinks no CRC and inverted I/Q (RP002-1.0.4 section 2.4, TS001-1.0.4 section 3.1).
"""

from firmware.node.errors import ConfigError, NodeError


class RadioError(NodeError):
    """The radio does not do what its data sheet says. The text says which step, what was seen, what to look at."""


class Reception:
    """A frame: *data* bytes, *rssi_dbm*, *snr_db* (float), *at_us* its end, *crc_ok* False if its CRC was wrong."""

    def __init__(self, data: bytes, rssi_dbm: int, snr_db: float, at_us, crc_ok: bool) -> None:
        self.data = data
        self.rssi_dbm = rssi_dbm
        self.snr_db = snr_db
        self.at_us = at_us
        self.crc_ok = crc_ok


def open_radio(board: dict[str, object]):
    """Return the radio of a board map; its chip is not touched before ``init``. Raises ConfigError."""
    settings = board.get("radio")
    if not isinstance(settings, dict):
        raise ConfigError("identity: board.radio is %r; this board has no radio" % (settings,))
    chip = settings.get("chip")
    try:
        module = __import__("firmware.node.radio.%s" % chip, None, None, ["open_radio"])
        return module.open_radio(settings)
    except ImportError:
        raise ConfigError("identity: board.radio.chip is %r; this firmware has no radio/%s" % (chip, chip))
    except KeyError as error:
        raise ConfigError("identity: board.radio.%s is missing" % error)
