# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whose frames a PUSH_DATA carries. Pure.

``split`` reads all of it, and says what is right. ``quick`` looks at the one form that nearly all of them have, one
packet and no account of the forwarder, and finds the first bytes of the frame without reading the JSON, which is most
of its cost. Where the JSON is sound both say the same; where it is not, the worker refuses it.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from typing import TYPE_CHECKING

from firmware.wire import frame
from gateway.links.lora import strict_json
from gateway.links.lora.errors import WrongContent
from gateway.links.lora.radio_json import decode_base64
from gateway.links.lora.semtech import MAX_PACKETS
from gateway.network.share import of_address, of_device

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY_AT = 12
_START, _DATA, _END = b'{"rxpk":[{', b'"data":"', b"}]}"
_HEAD_CHARS, _JOIN_CHARS = 8, 24
"""Of Base64: MHDR and DevAddr are in 6 bytes; MHDR, JoinEUI and DevEUI in 18 (TS001-1.0.4 sections 4.1 and 6.2.5)."""
_ADDRESS, _DEV_EUI = slice(1, 5), slice(9, 17)
_NOBODYS = 0
"""What says nothing of whose it is goes to the first worker, which refuses and counts it."""


class Router:
    """Finds the worker of a frame; *moved*: the workers of addresses that lead elsewhere."""

    def __init__(self, count: int, moved: Mapping[int, int]) -> None:
        self._count = count
        self._moved = moved

    def quick(self, datagram: bytes) -> int | None:
        """Return whose a PUSH_DATA of the usual form is, or None: ``split`` has to read it.

        One packet is all of it: an object that begins at the start and ends at the end, no brace more, nothing escaped.
        """
        if (
            not datagram.startswith(_START, BODY_AT)
            or not datagram.endswith(_END)
            or datagram.count(b"{", BODY_AT) != 2
            or datagram.find(b"\\", BODY_AT) >= 0
        ):
            return None
        at = datagram.find(_DATA, BODY_AT) + len(_DATA)
        if at < BODY_AT or datagram.find(_DATA, at) >= 0:
            return None
        try:
            head = a2b_base64(datagram[at : at + _HEAD_CHARS], strict_mode=True)
        except ValueError:
            return None
        if len(head) < _ADDRESS.stop or head[0] >> 5 not in (frame.UNCONFIRMED_UP, frame.CONFIRMED_UP):
            return None
        dev_addr = int.from_bytes(head[_ADDRESS], "little")
        if dev_addr in self._moved:
            return self._moved[dev_addr]
        return dev_addr % self._count

    def split(self, body: bytes) -> dict[int, bytes]:
        """Return what each worker gets of the body of a PUSH_DATA. Raises NotStrictJson, WrongContent.

        All get the forwarder's account of itself, which says where it is.
        """
        root = strict_json.loads(body)
        if "rxpk" not in root and "stat" not in root:
            raise WrongContent("PUSH_DATA with neither rxpk nor stat")
        items = root.pop("rxpk", [])
        if not isinstance(items, list) or len(items) > MAX_PACKETS:
            raise WrongContent(f"rxpk is not an array of at most {MAX_PACKETS} packets")
        shares: dict[int, list[object]] = {worker: [] for worker in range(self._count)} if "stat" in root else {}
        for item in items:
            shares.setdefault(self.owner(item), []).append(item)
        if len(shares) == 1:
            return {worker: body for worker in shares}
        return {worker: _body(root, items) for worker, items in shares.items()}

    def owner(self, item: object) -> int:
        """Return the worker of one element of ``rxpk``."""
        text = item.get("data") if isinstance(item, dict) else None
        if not isinstance(text, str):
            return _NOBODYS
        head = decode_base64(text[:_HEAD_CHARS])
        if head is None or len(head) < _ADDRESS.stop:
            return _NOBODYS
        kind = head[0] >> 5
        if kind in (frame.UNCONFIRMED_UP, frame.CONFIRMED_UP):
            dev_addr = int.from_bytes(head[_ADDRESS], "little")
            return self._moved.get(dev_addr, of_address(dev_addr, self._count))
        whole = decode_base64(text[:_JOIN_CHARS]) if kind == frame.JOIN_REQUEST else None
        if whole is None or len(whole) < _DEV_EUI.stop:
            return _NOBODYS
        return of_device(whole[_DEV_EUI][::-1], self._count)


def _body(root: dict[str, object], items: list[object]) -> bytes:
    return json.dumps({**({"rxpk": items} if items else {}), **root}, separators=(",", ":")).encode()
