# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The board's end of LoRaWAN: joining, the session and its counters, each on flash before it is used.

TS001 = LoRaWAN L2 Specification 1.0.4.
"""

import struct

from firmware.node.counters import ReservedCounter
from firmware.node.errors import NonceExhausted, NotJoined
from firmware.node.lazy import borrowed
from firmware.node.store import Slots, decode
from firmware.wire import cbor
from firmware.wire.errors import Malformed
from firmware.wire.session import Received, Session

_NONCES = 0x10000
_FCNT_BLOCK = 64  # uplinks between two writes of the session; a boot skips what is left of a block


class Mac:
    """*config* gives EUIs and key, *ecb* is AES as ``wire.crypto`` wants it.

    ``session`` is None until a join, and again after a session record was found damaged: new keys are safer than a
    counter that might be old.
    """

    def __init__(self, files, config, ecb, used: bool) -> None:
        """*used*: this board has run before, so that a missing nonce is a lost one. Raises StoreCorrupt."""
        self.files = files
        self._config = config
        self._ecb = ecb
        self._app = ecb(config.app_key)
        self._join_nonce = Slots(files, "join_nonce")
        self._record = Slots(files, "session")
        used = used or not (self._record.fresh and self._join_nonce.fresh)
        self._nonce = ReservedCounter(files, "nonce", 1, used=used)
        self.session = None  # type: Session | None
        self.ack_due = False
        self.extra = b""  # what a link's own LoRaWAN layer keeps together with the session
        self._keys = (b"", b"")
        self._reserved = 0  # uplinks below this number need no write
        self._asked = None  # type: int | None  # DevNonce of the Join-Request in the air
        self._restore()

    def join_request(self) -> bytes:
        """Return a Join-Request whose DevNonce is on flash as used (TS001 section 6.2.5). Raises NonceExhausted."""
        if self._nonce.value >= _NONCES:
            raise NonceExhausted("all 65536 DevNonces of this JoinEUI are used; register the board anew")
        self._asked = self._nonce.take()
        with borrowed("joining", "wire.joining") as joining:
            return joining.request(self._app, self._config, self._asked)

    def accept(self, phy: bytes, extra_for=None) -> None:
        """Start the session of a Join-Accept; *extra_for* makes of it what ``extra`` is to be from now on.

        Raises Malformed, NotAuthentic, JoinRefused; then nothing has changed.
        """
        with borrowed("joining", "wire.joining") as joining:
            answer, keys = joining.accept(self._app, phy, self._asked, self._join_nonce.payload)
        session = Session(self._ecb, answer.dev_addr, keys[0], keys[1])
        self._asked = None
        self._join_nonce.write(struct.pack("<I", answer.join_nonce))
        self.extra = b"" if extra_for is None else extra_for(answer)
        self._keep(session, keys, _FCNT_BLOCK)
        self.session = session
        self._keys = keys
        self.ack_due = False

    def seal(
        self,
        fport: int | None,
        payload: bytes,
        fopts: bytes = b"",
        confirmed: bool = False,
        adr: bool = False,
        adr_ack_req: bool = False,
    ) -> bytes:
        """Return the next uplink; its counter is on flash as used. Acknowledges a confirmed downlink if one waits."""
        session = self._joined()
        if session.fcnt_up >= self._reserved:
            self._keep(session, self._keys, session.fcnt_up + _FCNT_BLOCK)
        phy = session.seal_uplink(fport, payload, confirmed, self.ack_due, adr, fopts, adr_ack_req)
        self.ack_due = False
        return phy

    def open(self, phy: bytes) -> Received:
        """Return a downlink in clear, its counter on flash before anybody acts on it. Raises WireError, NotJoined."""
        session = self._joined()
        received = session.open_downlink(phy)
        self._keep(session, self._keys, self._reserved)
        if received.confirmed:
            self.ack_due = True
        return received

    def keep_extra(self, extra: bytes) -> None:
        """Have *extra* on flash with the session. Raises NotJoined."""
        session = self._joined()
        self.extra = extra
        self._keep(session, self._keys, self._reserved)

    def leave(self) -> None:
        """Drop the session; only a join gives a new one."""
        self.session = None
        self._record.clear()

    def _joined(self) -> Session:
        if self.session is None:
            raise NotJoined("no session; a join comes first")
        return self.session

    def _keep(self, session: Session, keys: tuple[bytes, bytes], reserved: int) -> None:
        fields = [session.dev_addr, keys[0], keys[1], reserved, session.fcnt_down, self.extra]
        self._record.write(cbor.dumps(fields))
        self._reserved = reserved

    def _restore(self) -> None:
        if not self._record.payload:
            return
        if self._record.damaged:  # the newest may be the damaged one; the other may have a used counter
            self._record.clear()
            return
        try:
            fields = decode(self._record.payload)
            dev_addr, nwk_skey, app_skey, fcnt_up, fcnt_down = fields[:5]
            self.extra = fields[5] if len(fields) > 5 else b""  # records of the first release have five fields
        except (Malformed, ValueError, TypeError):
            self._record.clear()
            return
        self._keys = (nwk_skey, app_skey)
        self._reserved = fcnt_up
        self.session = Session(self._ecb, dev_addr, nwk_skey, app_skey, fcnt_up, fcnt_down)
