# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Acknowledgements of four bytes to one address, handed to the kernel as one piece that it cuts up (Linux 4.18).

``UDP_SEGMENT`` (udp(7)) takes one way through the network stack for up to 64 datagrams: an acknowledgement costs 0.4 us
instead of 2.4 (``benchmarks/bench_steps.py`` says it for this machine). What arrives is the same; the tests say so.
A kernel or a network card that does not know it refuses, and whoever asks sends them in the ordinary way.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Ordinarily = Callable[[bytes, list[bytes]], int]
    """Sends some to one address; returns how many could not be sent."""

ACK_BYTES = 4
_MOST_BYTES = 64 * ACK_BYTES
"""UDP_MAX_SEGMENTS of Linux before 6.9."""
_UDP_SEGMENT = 103  # <linux/udp.h>; Python has no name for it
_NAME_BYTES = 28
_HEADER = struct.Struct("@PIPNPNi0PI0P")
"""struct mmsghdr, as in ``bulk``."""
_IOVEC = struct.Struct("@PN")
_CONTROL = struct.pack("@Nii", socket.CMSG_LEN(2), socket.IPPROTO_UDP, _UDP_SEGMENT) + struct.pack("@H", ACK_BYTES)
_PASSING = (errno.EAGAIN, errno.EINTR, errno.ENOBUFS, errno.ENOMEM)


class Segments:
    """What one socket sends so. *libc* has ``sendmmsg``."""

    def __init__(self, opened: socket.socket, libc: ctypes.PyDLL) -> None:
        self.usable = True
        """Until it turns out that this machine sends one by one what it does not send so."""
        self._socket, self._libc = opened, libc
        self._names, names_at = _memory(_NAME_BYTES)
        self._data, data_at = _memory(_MOST_BYTES)
        self._iovec, iovec_at = _memory(_IOVEC.size)
        self._control, control_at = _memory(socket.CMSG_SPACE(2))
        self._control[: len(_CONTROL)] = _CONTROL
        self._header, self._header_at = _memory(_HEADER.size)
        self._places = names_at, data_at, iovec_at, control_at

    def send(self, pairs: Sequence[tuple[bytes, bytes]], ordinarily: Ordinarily) -> int:
        """Send each of four bytes to its name, a struct sockaddr; return how many could not be sent.

        To one name in the order given; *ordinarily* sends what the kernel does not take so.
        """
        of_name: dict[bytes, list[bytes]] = {}
        for name, data in pairs:
            of_name.setdefault(name, []).append(data)
        return sum([self.send_to(name, b"".join(some), ordinarily) for name, some in of_name.items()])

    def send_to(self, name: bytes, some: bytes, ordinarily: Ordinarily) -> int:
        """As ``send``, all to one name, one behind the other."""
        for first in range(0, len(some), _MOST_BYTES):
            if not self.usable or not self._at_once(name, some[first : first + _MOST_BYTES]):
                passes = ctypes.get_errno() in _PASSING
                failed = ordinarily(name, split(some[first:]))
                self.usable &= passes or failed > 0
                return failed
        return 0

    def _at_once(self, name: bytes, text: bytes) -> bool:
        names_at, data_at, iovec_at, control_at = self._places
        self._names[: len(name)] = name
        self._data[: len(text)] = text
        _IOVEC.pack_into(self._iovec, 0, data_at, len(text))
        size = socket.CMSG_SPACE(2)
        _HEADER.pack_into(self._header, 0, names_at, len(name), iovec_at, 1, control_at, size, 0, 0)
        sent: int = self._libc.sendmmsg(self._socket.fileno(), self._header_at, 1, socket.MSG_DONTWAIT)
        return sent == 1


def split(acks: bytes) -> list[bytes]:
    """Return each of those that stand one behind the other."""
    return [acks[at : at + ACK_BYTES] for at in range(0, len(acks), ACK_BYTES)]


def _memory(size: int) -> tuple[bytearray, int]:
    made = bytearray(size)
    return made, ctypes.addressof(ctypes.c_char.from_buffer(made))
