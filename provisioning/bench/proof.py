# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The proof that a board is what it is to be: it joins over its serial line with its own key, and tests itself.

The bench is the network for these seconds. What it hears never goes anywhere; session and readings are wiped after it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from firmware.wire import cobs, cobs_stream, frame, joining, kinds, maccommands, requests
from firmware.wire.crypto import derive_session_keys
from firmware.wire.errors import WireError
from firmware.wire.kinds.common_controls import ABSENT, BROKEN, WAITS, WORKS
from firmware.wire.readings import FPORT_COMMANDS
from firmware.wire.session import Received, Session
from provisioning.bench.errors import ProofFailed
from provisioning.bench.line import Line
from provisioning.bench.symptoms import find

PROOF_S: Final = 90.0
_NET_ID: Final = 0
_SELF_TEST: Final = 2
_ASK_AGAIN_S: Final = 4.0
_MARGIN: Final = 20
_GATEWAYS: Final = 1
_VERDICTS: Final = {WORKS: "works", BROKEN: "broken", ABSENT: "absent", WAITS: "waits"}


@dataclass(frozen=True)
class Proof:
    """What a board has shown. `self_test`: works, broken, absent or waits (too early to say) by component."""

    dev_nonce: int
    uplinks: int
    self_test: dict[str, str]
    seconds: float

    def broken(self, without: frozenset[str] = frozenset()) -> list[str]:
        """The components that are broken, but for those that this bench does not have."""
        return sorted(name for name, verdict in self.self_test.items() if verdict == "broken" and name not in without)


@dataclass
class BenchNetwork:
    """The network's end of the line, for one device."""

    dev_eui: bytes
    app_key: bytes
    kind: str
    session: Session | None = None
    dev_nonce: int = -1
    uplinks: int = 0
    timed: bool = False
    results: dict[str, str] | None = None
    refused: str = ""
    tell: Callable[[Received], None] = field(default=lambda _received: None, repr=False)
    """Gets each frame that was authentic."""
    _joins: int = field(default=0, repr=False)
    _number: int = field(default_factory=lambda: secrets.randbelow(requests.MAX_ID), repr=False)

    def heard(self, phy: bytes, unix_ms: int) -> bytes | None:
        """Take a frame of the device; return the answer, if there is one."""
        try:
            if frame.mtype(phy) == frame.JOIN_REQUEST:
                return self._join(phy)
            if self.session is None:
                return None
            return self._answer(self.session, self.session.open_uplink(phy), unix_ms)
        except WireError as error:
            self.refused = str(error)
            return None

    def ask(self) -> bytes | None:
        """The command to test itself, once the session stands and the clock is set."""
        if self.session is None or not self.timed or self.results is not None:
            return None
        return self.session.seal_downlink(FPORT_COMMANDS, requests.command(self._number, _SELF_TEST, {}))

    def _join(self, phy: bytes) -> bytes | None:
        request = joining.decode_join_request(phy)
        if request.dev_eui != self.dev_eui:
            self.refused = f"it joins as {request.dev_eui.hex()}"
            return None
        joining.check_join_request(ecb(self.app_key), phy)
        self._joins += 1
        self.dev_nonce = request.dev_nonce
        address = secrets.randbits(25)
        keys = derive_session_keys(ecb(self.app_key), self._joins, _NET_ID, request.dev_nonce)
        self.session = Session(ecb, address, *keys)
        return joining.encode_join_accept(ecb(self.app_key), _decrypt(self.app_key), self._joins, _NET_ID, address)

    def _answer(self, session: Session, received: Received, unix_ms: int) -> bytes | None:
        self.uplinks += 1
        self.tell(received)
        fopts = b""
        for cid, _ in maccommands.parse(received.fopts, True):
            if cid == maccommands.DEVICE_TIME:
                fopts += maccommands.device_time_ans(unix_ms)
                self.timed = True
            elif cid == maccommands.LINK_CHECK:
                fopts += maccommands.link_check_ans(_MARGIN, _GATEWAYS)
        if received.fport == FPORT_COMMANDS:
            self._result(requests.decode(received.payload))
        if not fopts and not received.confirmed:
            return None
        return session.seal_downlink(None, b"", ack=received.confirmed, fopts=fopts)

    def _result(self, answer: dict[int, object]) -> None:
        found = answer.get(requests.RESULTS)
        if answer.get(requests.ID) != self._number or not isinstance(found, dict):
            return
        names = {key: name for module in kinds.controls(self.kind) for name, key in module.COMPONENTS}
        self.results = {names[key]: _VERDICTS.get(value, "broken") for key, value in found.items() if key in names}


def prove(
    line: Line, network: BenchNetwork, timeout_s: float = PROOF_S, unix_s: Callable[[], float] = time.time
) -> Proof:
    """Be the network until the board has joined, sent a frame that is authentic, and tested itself. ProofFailed."""
    begun_s = time.monotonic()
    deframer = cobs_stream.Deframer()
    said = bytearray()
    asked_s = 0.0
    while time.monotonic() - begun_s < timeout_s:
        data = line.read(0.2)
        said += data
        for phy in deframer.feed(data):
            answer = network.heard(phy, int(unix_s() * 1000))
            if answer is not None:
                line.write(cobs.frame(answer))
        if network.results is not None:
            return Proof(network.dev_nonce, network.uplinks, network.results, time.monotonic() - begun_s)
        if network.uplinks and time.monotonic() - asked_s > _ASK_AGAIN_S and (request := network.ask()) is not None:
            asked_s = time.monotonic()
            line.write(cobs.frame(request))
    raise _failed(network, bytes(said))


def _failed(network: BenchNetwork, said: bytes) -> ProofFailed:
    symptoms = [each for each in find(said) if each.name != "swallowed_break"]
    if symptoms:
        return ProofFailed(symptoms[0].state, reason=symptoms[0].reason, next_step=symptoms[0].next_step)
    if network.session is None:
        state = "The board did not join over its serial line."
    elif not network.uplinks:
        state = "The board joined and sent no frame that is authentic."
    else:
        state = "The board joined and did not answer the command to test itself."
    text = bytes(byte for byte in said if 9 <= byte < 127).decode()[-200:]
    return ProofFailed(
        state,
        value=network.refused or repr(text),
        reason="What does not work on the bench does not work on the pole.",
        next_step="lykta doctor PORT shows what the board says",
    )


def ecb(key: bytes) -> Callable[[bytes], bytes]:
    """AES-128-ECB under a key, as firmware.wire.crypto wants it."""
    return Cipher(algorithms.AES128(key), modes.ECB()).encryptor().update  # noqa: S305 - LoRaWAN builds on raw blocks


def _decrypt(key: bytes) -> Callable[[bytes], bytes]:
    return Cipher(algorithms.AES128(key), modes.ECB()).decryptor().update  # noqa: S305 - as above
