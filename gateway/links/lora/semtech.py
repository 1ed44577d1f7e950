# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Semtech UDP datagrams between a packet forwarder and this server, protocol version 2. Pure: no I/O.

P = PROTOCOL.TXT v1.4 and PROTOCOL.md v1.6 (see ``radio_json``). A datagram is read in two steps, because a PUSH_DATA is
acknowledged before it is processed (P section 3.1): first ``read_header``, then ``parse_body``.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from gateway.links.lora import quick_rxpk, strict_json
from gateway.links.lora.errors import PacketRefused, UnknownIdentifier, UnknownVersion, WrongContent, WrongLength
from gateway.links.lora.radio_json import Packet, Stat, build_txpk, parse_rxpk, parse_stat
from gateway.quick_record import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.radio import RadioDownlink

VERSION = 2
MAX_DATAGRAM_BYTES = 32768
"""P sets no limit. A forwarder sends what one look at its concentrator found, some kilobytes at most."""
MAX_PACKETS = 128
"""Elements of one ``rxpk``."""

_HEADER_BYTES = 12
_NAME = re.compile(r"[A-Z0-9_]{1,32}")
_VALUE = re.compile(r"[ -~]{0,32}")
_NOTHING: Mapping[str, int] = MappingProxyType({})
_BLANK = b"\0 \t\r\n"


class Identifier(IntEnum):
    """Byte 3. PULL_RESP and PULL_ACK are in this order."""

    PUSH_DATA = 0
    PUSH_ACK = 1
    PULL_DATA = 2
    PULL_RESP = 3
    PULL_ACK = 4
    TX_ACK = 5


_UPSTREAM = {int(each): each for each in (Identifier.PUSH_DATA, Identifier.PULL_DATA, Identifier.TX_ACK)}


@record
class Header:
    """The first twelve bytes of what a forwarder sends, and the rest unread."""

    token: int
    identifier: Identifier
    gateway_eui: bytes
    body: bytes


@record
class PushData:
    """Packets heard, and the forwarder's account of itself."""

    token: int
    gateway_eui: bytes
    packets: tuple[Packet, ...]
    refused: Mapping[str, int]
    """How many packets are not used, by reason."""
    stat: Stat | None


@dataclass(frozen=True, slots=True)
class PullData:
    """The keep-alive that opens the way for downlinks."""

    token: int
    gateway_eui: bytes


@dataclass(frozen=True, slots=True)
class TxAck:
    """What became of the PULL_RESP with the same token. No error means that it is, or will be, sent."""

    token: int
    gateway_eui: bytes
    error: str = ""
    warning: str = ""
    """TX_POWER since P v1.5: sent all the same, with the power in ``value``."""
    value: float | str | None = None


Pdu = PushData | PullData | TxAck


def parse(datagram: bytes) -> Pdu:
    """Read a whole datagram from a forwarder. Raises a subclass of MalformedDatagram, and nothing else."""
    return parse_body(read_header(datagram))


def read_header(datagram: bytes) -> Header:
    """Read the part that costs nothing. Raises WrongLength, UnknownVersion, UnknownIdentifier."""
    if not _HEADER_BYTES <= len(datagram) <= MAX_DATAGRAM_BYTES:
        raise WrongLength(f"{len(datagram)} bytes; {_HEADER_BYTES} to {MAX_DATAGRAM_BYTES} are possible")
    if datagram[0] != VERSION:
        raise UnknownVersion(f"protocol version {datagram[0]}; only {VERSION} is spoken here")
    identifier = _UPSTREAM.get(datagram[3])
    if identifier is None:
        raise UnknownIdentifier(f"identifier {datagram[3]} is not one that a forwarder sends")
    body = datagram[_HEADER_BYTES:]
    if identifier is Identifier.PUSH_DATA and not body:
        raise WrongLength("PUSH_DATA without its JSON object")
    if identifier is Identifier.PULL_DATA and body:
        raise WrongLength(f"PULL_DATA has {_HEADER_BYTES} bytes, this one {len(datagram)}")
    return Header(int.from_bytes(datagram[1:3], "big"), identifier, datagram[4:_HEADER_BYTES], body)


def parse_body(header: Header) -> Pdu:
    """Read the rest. Raises NotStrictJson, WrongContent."""
    if header.identifier is Identifier.PULL_DATA:
        return PullData(header.token, header.gateway_eui)
    if header.identifier is Identifier.TX_ACK:
        return _tx_ack(header)
    return _push_data(header)


def _push_data(header: Header) -> PushData:
    usual = quick_rxpk.packets(header.body, header.gateway_eui)
    if usual is not None:
        return PushData(header.token, header.gateway_eui, usual, _NOTHING, None)
    return plain_push_data(header)


def plain_push_data(header: Header) -> PushData:
    """Read any PUSH_DATA: what ``quick_rxpk`` does not take, and what it is compared with."""
    root = strict_json.loads(header.body)
    if "rxpk" not in root and "stat" not in root:
        raise WrongContent("PUSH_DATA with neither rxpk nor stat")
    items = root.get("rxpk", [])
    if not isinstance(items, list) or len(items) > MAX_PACKETS:
        raise WrongContent(f"rxpk is not an array of at most {MAX_PACKETS} packets")
    stat = root.get("stat")
    if stat is not None and not isinstance(stat, dict):
        raise WrongContent("stat is not an object")
    packets = []
    refused: Counter[str] = Counter()
    for item in items:
        try:
            packets.append(parse_rxpk(item, header.gateway_eui))
        except PacketRefused as refusal:
            refused[refusal.why] += 1
    account = None if stat is None else parse_stat(stat)
    return PushData(header.token, header.gateway_eui, tuple(packets), refused, account)


def _tx_ack(header: Header) -> TxAck:
    if not header.body.strip(_BLANK):  # empty means no error; some senders count the zero that ends a C string
        return TxAck(header.token, header.gateway_eui)
    root = strict_json.loads(header.body.rstrip(_BLANK))
    report = root.get("txpk_ack")
    if not isinstance(report, dict):
        raise WrongContent("TX_ACK without a txpk_ack object")
    error = _name(report, "error")
    return TxAck(
        header.token,
        header.gateway_eui,
        "" if error == "NONE" else error,
        _name(report, "warn"),
        _value(report.get("value")),
    )


def _name(report: dict[str, object], key: str) -> str:
    name = report.get(key)
    if name is None or name == "":
        return ""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise WrongContent(f"{key} of a TX_ACK is not a name in capitals")
    return name


def _value(value: object) -> float | str | None:
    if value is None or (isinstance(value, str) and _VALUE.fullmatch(value)):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise WrongContent("value of a TX_ACK is neither a number nor a short text")


def build_push_ack(token: int) -> bytes:
    """Acknowledge a PUSH_DATA (P section 3.3)."""
    return _start(token, Identifier.PUSH_ACK)


def build_pull_ack(token: int) -> bytes:
    """Acknowledge a PULL_DATA (P section 5.3)."""
    return _start(token, Identifier.PULL_ACK)


def build_pull_resp(token: int, phy: bytes, when: RadioDownlink) -> bytes:
    """Ask a forwarder to send *phy* (P section 5.4). Raises ValueError when it fits no LoRa frame."""
    return _start(token, Identifier.PULL_RESP) + build_txpk(phy, when)


def _start(token: int, identifier: Identifier) -> bytes:
    return bytes((VERSION, *token.to_bytes(2, "big"), identifier))
