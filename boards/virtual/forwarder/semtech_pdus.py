# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Semtech UDP protocol v2, the gateway's side: datagrams to the server encoded, datagrams from it decoded. Pure.

Source: Lora-net/packet_forwarder PROTOCOL.TXT (v1.4) and Lora-net/sx1302_hal packet_forwarder/PROTOCOL.md (v1.6).
All datagrams: version 2, two bytes of token, identifier; those of a gateway carry its EUI next.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boards.errors import BoardsError
from boards.virtual.air.frames import Channel, Modulation

VERSION = 2
PUSH_DATA, PUSH_ACK, PULL_DATA, PULL_RESP, PULL_ACK, TX_ACK = range(
    6
)  # PULL_RESP is 3 and PULL_ACK is 4 in both sources

_DATR = re.compile(r"SF([0-9]{1,2})BW([0-9]{2,3})")
_CODR = {"4/5": 5, "4/6": 6, "4/7": 7, "4/8": 8}


class MalformedDatagram(BoardsError, ValueError):
    """A datagram from the server does not follow the protocol."""


@dataclass(frozen=True, slots=True)
class Ack:
    """PUSH_ACK or PULL_ACK."""

    identifier: int
    token: bytes


@dataclass(frozen=True, slots=True)
class PullResp:
    """A frame to send; txpk is its unparsed description."""

    token: bytes
    txpk: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Txpk:
    """A frame to send, LoRa only. Of imme, tmst and tmms the first one given counts; with none of them: imme."""

    imme: bool
    tmst: int | None
    tmms: int | None
    modulation: Modulation
    power_dbm: int | None
    data: bytes


def push_data(token: bytes, eui: bytes, rxpk: Sequence[Mapping[str, Any]], stat: Mapping[str, Any] | None) -> bytes:
    """Received frames, or the gateway's state, or both."""
    body: dict[str, Any] = {"rxpk": list(rxpk)} if rxpk else {}
    if stat is not None:
        body["stat"] = stat
    return bytes((VERSION, *token, PUSH_DATA)) + eui + json.dumps(body, separators=(",", ":")).encode()


def pull_data(token: bytes, eui: bytes) -> bytes:
    """Keep-alive: tells the server where to send frames for this gateway."""
    return bytes((VERSION, *token, PULL_DATA)) + eui


def tx_ack(token: bytes, eui: bytes, answer: Mapping[str, Any] | None) -> bytes:
    """What became of a PULL_RESP; without an answer: it will be sent as asked."""
    body = b"" if answer is None else json.dumps({"txpk_ack": answer}, separators=(",", ":")).encode()
    return bytes((VERSION, *token, TX_ACK)) + eui + body


def parse(datagram: bytes) -> Ack | PullResp:
    """A datagram from the server; raises MalformedDatagram."""
    if len(datagram) < 4 or datagram[0] != VERSION:
        raise MalformedDatagram(f"not a version 2 datagram: {datagram[:16].hex()}")
    token, identifier = datagram[1:3], datagram[3]
    if identifier in (PUSH_ACK, PULL_ACK):
        return Ack(identifier, token)
    if identifier != PULL_RESP:
        raise MalformedDatagram(f"identifier {identifier} is none that a server sends")
    try:
        body = json.loads(datagram[4:].rstrip(b"\0"))
    except ValueError as error:
        raise MalformedDatagram(f"PULL_RESP without readable JSON: {error}") from error
    txpk = body.get("txpk") if isinstance(body, dict) else None
    if not isinstance(txpk, dict):
        raise MalformedDatagram("PULL_RESP without an object txpk")
    return PullResp(token, txpk)


def parse_txpk(txpk: Mapping[str, Any], sync: int) -> Txpk:
    """The frame that a txpk asks for; raises MalformedDatagram. The sync word is the gateway's, not the server's."""
    if txpk.get("modu") != "LORA":
        raise MalformedDatagram(f"txpk.modu {txpk.get('modu')!r}: this gateway sends LORA only")
    datr = _DATR.fullmatch(_text(txpk, "datr"))
    if datr is None:
        raise MalformedDatagram(f"txpk.datr {txpk['datr']!r} is not like SF7BW125")
    codr = _CODR.get(txpk.get("codr", "4/5"))
    if codr is None:
        raise MalformedDatagram(f"txpk.codr {txpk['codr']!r} is none of {', '.join(_CODR)}")
    freq = txpk.get("freq")
    if not isinstance(freq, int | float) or isinstance(freq, bool) or not 0 < freq < 10_000:
        raise MalformedDatagram(f"txpk.freq {freq!r} is not a frequency in MHz")
    data = _from_base64(_text(txpk, "data"))
    if _whole(txpk, "size") != len(data):
        raise MalformedDatagram(f"txpk.size is {txpk.get('size')!r}, but data holds {len(data)} bytes")
    # round: 868.1 is no binary fraction, and cutting it off would miss the channel by one hertz
    channel = Channel(round(freq * 1e6), int(datr[1]), int(datr[2]) * 1000, _flag(txpk, "ipol"), sync)
    prea = _whole(txpk, "prea")
    modulation = Modulation(channel, codr, 8 if prea is None else prea, not _flag(txpk, "ncrc"))
    tmst, tmms = _whole(txpk, "tmst"), _whole(txpk, "tmms")
    if tmst is not None and not 0 <= tmst < 1 << 32:
        raise MalformedDatagram(f"txpk.tmst {tmst} is not an unsigned 32-bit number")
    imme = _flag(txpk, "imme") or (tmst is None and tmms is None)
    return Txpk(imme, tmst, tmms, modulation, _whole(txpk, "powe"), data)


def rxpk_data(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode()


def _text(txpk: Mapping[str, Any], key: str) -> str:
    value = txpk.get(key)
    if not isinstance(value, str):
        raise MalformedDatagram(f"txpk.{key} {value!r} is not a text")
    return value


def _whole(txpk: Mapping[str, Any], key: str) -> int | None:
    value = txpk.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise MalformedDatagram(f"txpk.{key} {value!r} is not a whole number")
    return value


def _flag(txpk: Mapping[str, Any], key: str) -> bool:
    value = txpk.get(key, False)
    if not isinstance(value, bool):
        raise MalformedDatagram(f"txpk.{key} {value!r} is neither true nor false")
    return value


def _from_base64(text: str) -> bytes:
    """Standard or URL-safe, with or without padding: the protocol's own examples have all of these."""
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error as error:
        raise MalformedDatagram(f"txpk.data is not base64: {error}") from error
