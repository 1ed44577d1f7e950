# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One LoRaWAN session: two keys, one address, two 32-bit counters, seen from either end.

TS001 = LoRaWAN L2 Specification 1.0.4. A session does not store itself: who owns it makes sure, before a frame leaves,
that its counter is never used again (the node's and the gateway's stores reserve ahead).
"""

from firmware.wire.crypto import DOWNLINK, UPLINK, crypt_payload, data_mic, same
from firmware.wire.errors import CounterExhausted, Malformed, NotAuthentic, Replayed
from firmware.wire.frame import (
    CONFIRMED_DOWN,
    CONFIRMED_UP,
    UNCONFIRMED_DOWN,
    UNCONFIRMED_UP,
    DataFrame,
    encode_data_header,
)

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from firmware.wire.crypto import Ecb

FCNT_END = 0x100000000  # TS001 section 4.3.1.5: a counter that reaches its maximum needs a new join


class Received:
    """A data frame whose MIC was right: the header's flags, and the payload in clear."""

    def __init__(self, header: DataFrame, fcnt: int, payload: bytes) -> None:
        self.fcnt = fcnt
        self.fport = header.fport
        self.payload = payload
        self.fopts = header.fopts
        self.confirmed = header.confirmed
        self.ack = header.ack
        self.adr = header.adr
        self.adr_ack_req = header.adr_ack_req
        self.f_pending = header.f_pending


def full_fcnt(next_fcnt: int, fcnt16: int) -> int:
    """Return the 32-bit counter that *fcnt16* stands for when *next_fcnt* is expected (TS001 section 4.3.1.5).

    The last frame once more gives ``next_fcnt - 1``; everything else counts forward.
    """
    if next_fcnt > 0 and (next_fcnt - 1) & 0xFFFF == fcnt16:
        return next_fcnt - 1
    return next_fcnt + ((fcnt16 - next_fcnt) & 0xFFFF)


class Session:
    """Seals and opens data frames. ``fcnt_up`` and ``fcnt_down`` are the next to send, or the next expected.

    *ecb* makes an AES-ECB encryptor from a 16-byte key. Frames that are refused leave the counters as they were.
    """

    def __init__(
        self, ecb: "Ecb", dev_addr: int, nwk_skey: bytes, app_skey: bytes, fcnt_up: int = 0, fcnt_down: int = 0
    ) -> None:
        self.dev_addr = dev_addr
        self.fcnt_up = fcnt_up
        self.fcnt_down = fcnt_down
        self._nwk = ecb(nwk_skey)
        self._app = ecb(app_skey)

    def seal_uplink(
        self,
        fport: "int | None",
        payload: bytes,
        confirmed: bool = False,
        ack: bool = False,
        adr: bool = False,
        fopts: bytes = b"",
        adr_ack_req: bool = False,
    ) -> bytes:
        """Return the PHYPayload of the device's next frame. Raises CounterExhausted, ValueError."""
        kind = CONFIRMED_UP if confirmed else UNCONFIRMED_UP
        fcnt = _usable(self.fcnt_up)
        header = encode_data_header(kind, self.dev_addr, fcnt, fopts, adr=adr, adr_ack_req=adr_ack_req, ack=ack)
        phy = self._seal(header, fport, payload, fcnt, UPLINK)
        self.fcnt_up = fcnt + 1
        return phy

    def seal_downlink(
        self,
        fport: "int | None",
        payload: bytes,
        confirmed: bool = False,
        ack: bool = False,
        fopts: bytes = b"",
        f_pending: bool = False,
    ) -> bytes:
        """Return the PHYPayload of the network's next frame. Raises CounterExhausted, ValueError."""
        kind = CONFIRMED_DOWN if confirmed else UNCONFIRMED_DOWN
        fcnt = _usable(self.fcnt_down)
        header = encode_data_header(kind, self.dev_addr, fcnt, fopts, ack=ack, f_pending=f_pending)
        phy = self._seal(header, fport, payload, fcnt, DOWNLINK)
        self.fcnt_down = fcnt + 1
        return phy

    def open_uplink(self, phy: bytes) -> Received:
        """Return what a device sent and move ``fcnt_up``. Raises Malformed, NotAuthentic, Replayed."""
        received = self._open(phy, self.fcnt_up, UPLINK)
        self.fcnt_up = received.fcnt + 1
        return received

    def open_downlink(self, phy: bytes) -> Received:
        """Return what the network sent and move ``fcnt_down``. Raises Malformed, NotAuthentic, Replayed."""
        received = self._open(phy, self.fcnt_down, DOWNLINK)
        self.fcnt_down = received.fcnt + 1
        return received

    def _seal(self, header: bytes, fport: "int | None", payload: bytes, fcnt: int, direction: int) -> bytes:
        if fport is None:
            if payload:
                raise ValueError("LoRaWAN: a payload of %d bytes needs an FPort" % len(payload))
            message = header
        else:
            if fport == 0 and len(header) > 8:
                raise ValueError("LoRaWAN: FOpts together with FPort 0")
            key = self._app if fport else self._nwk  # TS001 section 4.3.3: port 0 is the network's own
            message = header + bytes([fport]) + crypt_payload(key, self.dev_addr, fcnt, direction, payload)
        if len(message) + 4 > 255:
            raise ValueError("LoRaWAN: frame of %d bytes; at most 255 fit" % (len(message) + 4))
        return message + data_mic(self._nwk, self.dev_addr, fcnt, direction, message)

    def _open(self, phy: bytes, next_fcnt: int, direction: int) -> Received:
        header = DataFrame(phy)
        if header.uplink != (direction == UPLINK):
            raise Malformed("LoRaWAN: message type %d runs in the other direction" % header.mtype)
        if header.dev_addr != self.dev_addr:
            raise NotAuthentic("LoRaWAN: device address %08x is not this session's" % header.dev_addr)
        fcnt = full_fcnt(next_fcnt, header.fcnt16)
        if fcnt >= next_fcnt and fcnt < FCNT_END and self._authentic(phy, header, fcnt, direction):
            key = self._app if header.fport else self._nwk
            return Received(header, fcnt, crypt_payload(key, self.dev_addr, fcnt, direction, header.payload))
        self._tell_replay(phy, header, fcnt, next_fcnt, direction)
        raise NotAuthentic("LoRaWAN: MIC of frame %d from %08x does not match" % (header.fcnt16, self.dev_addr))

    def _tell_replay(self, phy: bytes, header: DataFrame, fcnt: int, next_fcnt: int, direction: int) -> None:
        """Raise Replayed when the frame is one of the last 65536 that were accepted, or could have been."""
        old = fcnt if fcnt < next_fcnt else fcnt - 0x10000
        if old >= 0 and self._authentic(phy, header, old, direction):
            raise Replayed("LoRaWAN: frame %d from %08x came before; %d is next" % (old, self.dev_addr, next_fcnt))

    def _authentic(self, phy: bytes, header: DataFrame, fcnt: int, direction: int) -> bool:
        return same(data_mic(self._nwk, self.dev_addr, fcnt, direction, phy[:-4]), header.mic)


def _usable(fcnt: int) -> int:
    if fcnt >= FCNT_END:
        raise CounterExhausted("LoRaWAN: the frame counter is used up; join again for new keys")
    return fcnt
