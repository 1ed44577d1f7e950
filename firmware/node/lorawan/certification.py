# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The test port of certification laboratories (TS009): a package on FPort 224 that turns the board into a test object.

Only loaded when provisioning allows it, and until DutFPort224DisableReq closes it for good.
"""

import struct

from firmware.node.store import Slots
from firmware.wire import maccommands, region

FPORT = 224
CLASS_A = 0
CLASS_C = 2

_PACKAGE_VERSION = 0x00
_DUT_RESET = 0x01
_DUT_JOIN = 0x02
_SWITCH_CLASS = 0x03
_ADR_BIT_CHANGE = 0x04
_REGIONAL_DUTY_CYCLE_CTRL = 0x05
_TX_PERIODICITY_CHANGE = 0x06
_TX_FRAMES_CTRL = 0x07
_ECHO_PAYLOAD = 0x08
_RX_APP_CNT = 0x09
_RX_APP_CNT_RESET = 0x0A
_LINK_CHECK = 0x20
_DEVICE_TIME = 0x21
_TX_CW = 0x7D
_DISABLE = 0x7E
_DUT_VERSIONS = 0x7F

_PACKAGE = bytes([_PACKAGE_VERSION, 6, 1])  # identifier and version of this package
_FIRMWARE_VERSION = bytes([0, 1, 0, 0])
_LORAWAN_VERSION = bytes([1, 0, 4, 0])
_REGIONAL_VERSION = bytes([2, 1, 0, 4])  # RP002-1.0.4
_NEVER_MS = 1 << 29
_PERIODS_S = (0, 5, 10, 20, 30, 40, 50, 60, 120, 240, 480)  # 0: as the application wants


def open_port(layer, mac, now_ms) -> "Certification | None":
    """Return the test package of a board, or None when a laboratory has closed it."""
    dut = _Dut(layer, mac)
    return Certification(dut, _FIRMWARE_VERSION, now_ms) if dut.port.payload is None else None


class _Dut:
    """The board under test."""

    def __init__(self, layer, mac) -> None:
        self._layer = layer
        self._mac = mac
        self.port = Slots(mac.files, "port224")

    def reset(self) -> None:
        import machine

        machine.reset()

    def rejoin(self) -> None:
        self._mac.leave()

    def switch_class(self, device_class: int) -> None:
        self._layer.device_class = device_class

    def adr(self, on: bool) -> None:
        self._layer.engine.adr_on = on

    def duty_cycle(self, on: bool) -> None:
        self._layer.duty.enforced = on

    def close_port(self) -> None:
        self.port.write(b"closed")
        self.reset()


class Certification:
    """*dut* does what is asked: reset(), rejoin(), switch_class(n), adr(on), duty_cycle(on), close_port().

    ``requests`` are MAC commands for the next uplink, ``answers`` payloads for FPort 224; ``period_s`` is 0 or how
    often to send, ``confirmed`` None or what frames are to be, ``carrier`` None or (Hz, dBm, ms) of an unmodulated one
    that goes before the next uplink.
    """

    def __init__(self, dut, firmware_version: bytes, now_ms) -> None:
        self._dut = dut
        self._now_ms = now_ms
        self._sent_ms = now_ms()
        self._firmware_version = firmware_version
        self._open = True
        self.answers = []  # type: list[bytes]
        self.requests = b""
        self.period_s = 0
        self.confirmed = None  # type: bool | None
        self.received = 0
        self.carrier = None  # type: tuple[int, int, int] | None

    def on_downlink(self, fport: int | None, payload: bytes, ack: bool, room: int) -> bool:
        """Take in a downlink; return whether it was for this port. *room*: application bytes of the next uplink."""
        if not self._open:
            return False
        if fport or ack:  # TS009: frames of the network itself, on port 0, do not count
            self.received = (self.received + 1) & 0xFFFF
        if fport != FPORT:
            return False
        if payload:
            self._obey(payload[0], payload[1:], room)
        return True

    def next_frame(self) -> tuple[int, bytes] | None:
        """Return (FPort, payload) of what is to be sent now, or None."""
        if self.answers:
            return FPORT, self.answers[0]
        return (FPORT, b"") if self.period_s and self.due_ms() == 0 else None

    def due_ms(self) -> int:
        """Return after how long an uplink is wanted; 0 is now."""
        if self.answers or self.requests or self.carrier:
            return 0
        if not self.period_s:
            return _NEVER_MS
        return max(0, self._sent_ms + 1000 * self.period_s - self._now_ms())

    def sent(self, fport: int | None, with_requests: bool) -> None:
        """An uplink was made: with the first answer if it went to this port."""
        self._sent_ms = self._now_ms()
        if fport == FPORT and self.answers:
            self.answers.pop(0)
        if with_requests:
            self.requests = b""

    def _obey(self, cid: int, argument: bytes, room: int) -> None:
        if cid in (_SWITCH_CLASS, _ADR_BIT_CHANGE, _REGIONAL_DUTY_CYCLE_CTRL, _TX_PERIODICITY_CHANGE, _TX_FRAMES_CTRL):
            if argument:
                self._set(cid, argument[0])
        elif cid == _ECHO_PAYLOAD:
            echo = bytes([_ECHO_PAYLOAD]) + bytes([(byte + 1) & 0xFF for byte in argument])
            self.answers.append(echo[:room])
        elif cid == _PACKAGE_VERSION:
            self.answers.append(_PACKAGE)
        elif cid == _DUT_VERSIONS:
            self.answers.append(bytes([_DUT_VERSIONS]) + self._firmware_version + _LORAWAN_VERSION + _REGIONAL_VERSION)
        elif cid == _RX_APP_CNT:
            self.answers.append(struct.pack("<BH", _RX_APP_CNT, self.received))
        elif cid == _RX_APP_CNT_RESET:
            self.received = 0
        elif cid == _TX_CW:
            self._carry(argument)
        else:
            self._act(cid)

    def _act(self, cid: int) -> None:
        if cid == _DUT_RESET:
            self._dut.reset()
        elif cid == _DUT_JOIN:
            self._dut.rejoin()
        elif cid == _LINK_CHECK:
            self.requests += maccommands.link_check_req()
        elif cid == _DEVICE_TIME:
            self.requests += maccommands.device_time_req()
        elif cid == _DISABLE:
            self._open = False
            self._dut.close_port()

    def _carry(self, argument: bytes) -> None:
        """TxCwReq: seconds (2), frequency in 100 Hz (3), dBm (1). Not outside the bands in which a device may send."""
        if len(argument) != 6:
            return
        seconds, low, high, dbm = struct.unpack("<HHBb", argument)
        freq_hz = 100 * (high << 16 | low)
        if seconds and region.band_of(freq_hz) is not None:
            self.carrier = freq_hz, dbm, 1000 * seconds

    def _set(self, cid: int, value: int) -> None:
        if cid == _SWITCH_CLASS and value in (CLASS_A, CLASS_C):  # there is no class B here
            self._dut.switch_class(value)
        elif cid == _ADR_BIT_CHANGE and value <= 1:
            self._dut.adr(value == 1)
        elif cid == _REGIONAL_DUTY_CYCLE_CTRL and value <= 1:
            self._dut.duty_cycle(value == 1)
        elif cid == _TX_PERIODICITY_CHANGE and value < len(_PERIODS_S):
            self.period_s = _PERIODS_S[value]
        elif cid == _TX_FRAMES_CTRL and value <= 2:
            self.confirmed = (None, False, True)[value] if value else self.confirmed
