# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How an SX126x is set up after a reset, and what its errors mean. Loaded for that, and given back.

DS = the data sheet that ``sx126x`` names.
"""

from firmware.node.errors import ConfigError
from firmware.node.radio import RadioError
from firmware.node.radio.sx126x import timer

# commands, DS chapter 13; what follows the opcode stands behind it
_SET_STANDBY = 0x80  # 0: RC oscillator, 1: crystal or TCXO
_GET_STATUS = 0xC0  # 0
_GET_ERRORS = 0x17  # 0, errors (2)
_SET_REGULATOR_MODE = 0x96  # 0: LDO, 1: DC-DC
_CALIBRATE = 0x89  # blocks
_CALIBRATE_IMAGE = 0x98  # from, to, in 4 MHz
_DIO2_RF_SWITCH = 0x9D  # 1: high while sending
_DIO3_TCXO = 0x97  # voltage, start-up time (3)
_SET_PACKET_TYPE = 0x8A  # 1: LoRa
_SET_DIO_IRQ = 0x08  # enabled (2), on DIO1 (2), DIO2 (2), DIO3 (2)
_SET_BUFFER_BASE = 0x8F  # TX, RX
_CLEAR_ERRORS = 0x07  # 0 (2)
_STOP_TIMER_ON_PREAMBLE = 0x9F  # 0: the timer stops at the header only

# registers, DS table 12-1
_REG_RETENTION = 0x029F  # count, then addresses: kept in warm sleep, DS 9.6
_REG_SYNC_WORD = 0x0740
_REG_RX_GAIN = 0x08AC
_REG_TX_CLAMP = 0x08D8  # DS 15.2

_IRQ_KEPT = b"\x02\x63"  # TxDone, RxDone, header error, CRC error, time-out
_IRQ_ON_DIO1 = b"\x02\x23"  # all but the CRC error, which comes with RxDone

_TCXO_MV = (1600, 1700, 1800, 2200, 2400, 2700, 3000, 3300)  # DS table 13-35
_EU868 = b"\xd7\xdb"  # image calibration for 863 to 870 MHz, DS table 9-2
_RX_BOOSTED = 0x96


def check(settings) -> None:
    """Raise ConfigError for a radio table that no SX126x can obey."""
    millivolts = settings.get("tcxo_mv", 0)
    if millivolts and millivolts not in _TCXO_MV:
        raise ConfigError("identity: board.radio.tcxo_mv is %r; 0 and %r are possible" % (millivolts, _TCXO_MV))


def set_up(settings, tcxo_us: int, command, get, write, change) -> None:
    """Set up a chip that was just reset, by the driver's own functions; it is in standby then. Raises RadioError."""
    command(_SET_STANDBY, b"\0")
    _check_alive(get)
    if settings.get("dio2_rf_switch"):
        command(_DIO2_RF_SWITCH, b"\1")
    command(_SET_REGULATOR_MODE, b"\0" if settings.get("ldo") else b"\1")
    if settings.get("tcxo_mv"):
        command(_DIO3_TCXO, bytes((_TCXO_MV.index(settings["tcxo_mv"]),)) + timer(tcxo_us))
    # A chip with a TCXO has failed to start its clock before it knew of it: forget that, and calibrate again.
    command(_CLEAR_ERRORS, b"\0\0")
    command(_CALIBRATE, b"\x7f")
    command(_CALIBRATE_IMAGE, _EU868)
    command(_SET_STANDBY, b"\1")
    errors = get(_GET_ERRORS, 2)
    if errors:
        raise RadioError("radio: after calibration: %s" % error_text(errors))
    command(_SET_STANDBY, b"\0")
    command(_SET_PACKET_TYPE, b"\1")
    write(_REG_SYNC_WORD, b"\x34\x44")  # 0x34 of LoRaWAN
    command(_SET_BUFFER_BASE, b"\0\0")
    command(_STOP_TIMER_ON_PREAMBLE, b"\0")
    command(_SET_DIO_IRQ, _IRQ_KEPT + _IRQ_ON_DIO1 + b"\0\0\0\0")
    if settings.get("pa") != "sx1261":  # better with a badly matched antenna, DS 15.2; until the next cold start
        change(_REG_TX_CLAMP, 0, 0x1E)
    if settings.get("rx_boost", True):
        write(_REG_RX_GAIN, bytes((_RX_BOOSTED,)))
    write(_REG_RETENTION, b"\x01\x08\xac")


def error_text(errors: int) -> str:
    """Return what the error flags say (DS table 13-85). One text, which waits on flash."""
    names = (
        "RC64K calibration|RC13M calibration|PLL calibration|ADC calibration|image calibration|"
        "start of the TCXO or crystal (check tcxo_mv and tcxo_start_us)|PLL lock||PA ramp"
    )
    found = [name + " failed" for i, name in enumerate(str(names).split("|")) if errors >> i & 1]
    return ", ".join(found) or "error flags 0x%04x" % errors


def _check_alive(get) -> None:
    status = get(_GET_STATUS, 0)
    if status >> 4 & 7 not in (2, 3):  # standby, DS table 13-76
        raise RadioError(
            "radio: no SX126x answers: status 0x%02x after reset. 0x00 or 0xff: check power, MISO and chip select "
            "(cs); else: check that board.radio.chip names the chip" % status
        )
