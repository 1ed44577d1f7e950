# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Acknowledgements of four bytes, those to one address handed to the kernel as a piece that it cuts up (Linux 4.18).

``UDP_SEGMENT`` (udp(7)) takes one way through the network stack for up to 64 datagrams: an acknowledgement costs 0.4 us
instead of 2.4 (``benchmarks/bench_steps.py`` says it for this machine). The pieces for many addresses are one call: 2.0
us for each of 90 to 40 addresses, and not 3.1. What arrives is the same; the tests say so. A kernel or a network card
that does not know it refuses, and whoever asks sends them in the ordinary way.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Ordinarily = Callable[[bytes, list[bytes]], int]
    """Sends some to one address; returns how many could not be sent."""

ACK_BYTES = 4
_PIECE_BYTES = 64 * ACK_BYTES
"""UDP_MAX_SEGMENTS of Linux before 6.9."""
_PIECES = 128
"""For one call."""
_UDP_SEGMENT = 103  # <linux/udp.h>; Python has no name for it
_NAME_BYTES = 28
_HEADER = struct.Struct("@PIPNPNi0PI0P")
"""struct mmsghdr, as in ``bulk``."""
_IOVEC = struct.Struct("@PN")
_CONTROL = struct.pack("@Nii", socket.CMSG_LEN(2), socket.IPPROTO_UDP, _UDP_SEGMENT) + struct.pack("@H", ACK_BYTES)
_PASSING = (errno.EAGAIN, errno.EINTR, errno.ENOBUFS, errno.ENOMEM)


class Segments:
    """What one socket sends so. *libc* has ``sendmmsg``, which takes the pieces for many addresses at once."""

    def __init__(self, opened: socket.socket, libc: ctypes.PyDLL) -> None:
        self.usable = True
        """Until it turns out that this machine sends one by one what it does not send so."""
        self._socket, self._libc = opened, libc
        self._names, names_at = _memory(_PIECES * _NAME_BYTES)
        self._data, self._data_at = _memory(_PIECES * _PIECE_BYTES)
        self._iovecs, iovecs_at = _memory(_PIECES * _IOVEC.size)
        self._control, control_at = _memory(socket.CMSG_SPACE(2))
        self._control[: len(_CONTROL)] = _CONTROL
        self._headers, self._headers_at = _memory(_PIECES * _HEADER.size)
        for slot in range(_PIECES):  # they stay as they are: of a call, only names, iovecs and data are new
            _HEADER.pack_into(
                self._headers, slot * _HEADER.size,
                names_at + slot * _NAME_BYTES, _NAME_BYTES, iovecs_at + slot * _IOVEC.size, 1,
                control_at, len(self._control), 0, 0,
            )  # fmt: skip

    def send(self, pairs: Iterable[tuple[bytes, bytes]], ordinarily: Ordinarily) -> int:
        """Send each of four bytes to its name, a struct sockaddr; return how many could not be sent.

        To one name in the order given; *ordinarily* sends what the kernel does not take so.
        """
        of_name: defaultdict[bytes, bytearray] = defaultdict(bytearray)
        for name, data in pairs:
            of_name[name] += data
        return self._send([each for name, acks in of_name.items() for each in _pieces(name, bytes(acks))], ordinarily)

    def send_to(self, name: bytes, acks: bytes, ordinarily: Ordinarily) -> int:
        """As ``send``, all to one name, one behind the other."""
        return self._send(_pieces(name, acks), ordinarily)

    def _send(self, pieces: list[tuple[bytes, bytes]], ordinarily: Ordinarily) -> int:
        failed = done = 0
        while done < len(pieces):
            sent = self._at_once(pieces[done : done + _PIECES]) if self.usable else 0
            done += sent
            if sent:  # the first that is refused ends a call, and the next one says why
                continue
            passes = ctypes.get_errno() in _PASSING
            name = pieces[done][0]
            rest = b"".join([acks for to, acks in pieces[done:] if to == name])
            refused = ordinarily(name, split(rest))
            done += len(range(0, len(rest), _PIECE_BYTES))  # they stand together
            failed += refused
            self.usable &= passes or refused > 0
        return failed

    def _at_once(self, pieces: list[tuple[bytes, bytes]]) -> int:
        """Return how many the kernel took; where it took none, errno says why."""
        names, data, iovecs, at = b"", b"", b"", self._data_at
        for name, acks in pieces:
            names += name.ljust(_NAME_BYTES, b"\0")
            data += acks
            iovecs += _IOVEC.pack(at, len(acks))
            at += len(acks)
        self._names[: len(names)] = names
        self._data[: len(data)] = data
        self._iovecs[: len(iovecs)] = iovecs
        sent: int = self._libc.sendmmsg(self._socket.fileno(), self._headers_at, len(pieces), socket.MSG_DONTWAIT)
        return max(0, sent)


def split(acks: bytes) -> list[bytes]:
    """Return each of those that stand one behind the other."""
    return [acks[at : at + ACK_BYTES] for at in range(0, len(acks), ACK_BYTES)]


def _pieces(name: bytes, acks: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, acks[at : at + _PIECE_BYTES]) for at in range(0, len(acks), _PIECE_BYTES)]


def _memory(size: int) -> tuple[bytearray, int]:
    made = bytearray(size)
    return made, ctypes.addressof(ctypes.c_char.from_buffer(made))
