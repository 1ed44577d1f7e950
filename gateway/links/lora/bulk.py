# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Many datagrams for one system call, on Linux; elsewhere one by one.

Python gives up its lock around each ``recvmsg`` and ``sendto``, and has to wait for it while the thread of the
databases computes; meanwhile the kernel drops what its buffer cannot hold. ``recvmmsg`` and ``sendmmsg`` never wait
here, so they are called with the lock held: 48 us for a datagram and its answer, on the clock beside such a thread,
become 14 (benchmarks/bench_steps.py says it for this machine). ``OneByOne`` says what is right; the tests compare them.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
from functools import partial
from typing import Any, NamedTuple, Protocol

from gateway.links.lora.segments import ACK_BYTES, Segments, split

# Linux: with this option every datagram tells how many were dropped before it because the buffer was full.
# <asm-generic/socket.h>; Python has no name for it.
SO_RXQ_OVFL = 40
_COUNT = struct.Struct("@I")
HEADER = struct.Struct("@PIPNPNi0PI0P")
"""struct mmsghdr (recvmmsg(2)): name, its length, iovec, their number, control, its length, flags; bytes received."""
IOVEC = struct.Struct("@PN")
_CMSG = struct.Struct("@Nii")
_WORD, _SIZE_T = struct.calcsize("@I"), struct.calcsize("@L")
_WORDS = HEADER.size // _WORD
_CONTROL_SIZE_AT = struct.calcsize("@PIPNPN") // _SIZE_T - 1
_FLAGS_AT = struct.calcsize("@PIPNPNi") // _WORD - 1
_SIZE_AT = struct.calcsize("@PIPNPNi0PI") // _WORD - 1
"""Where a HEADER has what the kernel writes into it."""
NAME_BYTES = 28  # struct sockaddr_in6, the longest that can come
_NAME = struct.Struct(f"{NAME_BYTES}s")
_CONTROL_BYTES = socket.CMSG_SPACE(_COUNT.size)
_MAX_NAMES = 1024
_TRUNCATED = int(socket.MSG_TRUNC)  # an int: to ask an enum costs more than the rest of a datagram
_AGAIN = (errno.EAGAIN, errno.EINTR)


class Datagram(NamedTuple):
    """One that came."""

    data: bytes
    truncated: bool
    """It was longer."""
    sender: Any
    """Its address, as Python writes it."""
    slot: int
    """Where an answer goes, until more is received."""


class Datagrams(Protocol):
    """A bound UDP socket that does not block."""

    @property
    def dropped(self) -> int:
        """How many the kernel dropped, 32 bits, where it says so."""

    def receive(self) -> list[Datagram]:
        """Return what is there, up to a limit; nothing when there is nothing. Raises OSError."""

    def answer(self, answers: list[tuple[int, bytes]]) -> int:
        """Send to slots of the last ``receive``; return how many could not be sent."""

    def answer_all(self, answers: bytes) -> int:
        """As ``answer``, to each slot in turn ACK_BYTES of *answers*, which stand one behind the other."""


class OneByOne:
    """With the calls that Python has."""

    def __init__(self, opened: socket.socket, most: int, max_bytes: int) -> None:
        self.dropped = 0
        self._socket = opened
        self._most = most
        self._buffer = bytearray(max_bytes)
        self._senders: list[Any] = []

    def receive(self) -> list[Datagram]:
        """See Datagrams."""
        found: list[Datagram] = []
        self._senders.clear()
        while len(found) < self._most:
            try:
                size, extra, flags, sender = self._socket.recvmsg_into([self._buffer], _CONTROL_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            for level, kind, data in extra:
                if level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL and len(data) == _COUNT.size:
                    self.dropped = _COUNT.unpack(data)[0]
            data = bytes(memoryview(self._buffer)[:size])
            found.append(Datagram(data, bool(flags & _TRUNCATED), sender, len(found)))
            self._senders.append(sender)
        return found

    def answer(self, answers: list[tuple[int, bytes]]) -> int:
        """See Datagrams."""
        failed = 0
        for slot, data in answers:
            try:
                self._socket.sendto(data, self._senders[slot])
            except OSError:
                failed += 1
        return failed

    def answer_all(self, answers: bytes) -> int:
        """See Datagrams."""
        return self.answer(list(enumerate(split(answers))))


class AtOnce:
    """With recvmmsg and sendmmsg."""

    def __init__(self, opened: socket.socket, most: int, max_bytes: int) -> None:
        self.dropped = 0
        self._socket = opened
        self._most, self._max_bytes = most, max_bytes
        self._data, data_at = untouched(most * max_bytes)
        self._starts = range(0, most * max_bytes, max_bytes)
        self._names, names_at = memory(most * NAME_BYTES)
        self._control, control_at = memory(most * _CONTROL_BYTES)
        iovecs, iovecs_at = memory(most * IOVEC.size)
        self._headers, self._headers_at = memory(most * HEADER.size)
        self._out, self._out_at = memory(most * HEADER.size)
        self._out_iovecs, self._out_iovecs_at = memory(most * IOVEC.size)
        self._kept = iovecs  # the kernel reads it
        self._senders: dict[bytes, Any] = {}
        self._came_from: list[bytes] = []
        """By slot, the name of whoever sent what came last."""
        for slot in range(most):
            IOVEC.pack_into(iovecs, slot * IOVEC.size, data_at + slot * max_bytes, max_bytes)
            HEADER.pack_into(
                self._headers, slot * HEADER.size,
                names_at + slot * NAME_BYTES, NAME_BYTES, iovecs_at + slot * IOVEC.size, 1,
                control_at + slot * _CONTROL_BYTES, _CONTROL_BYTES, 0, 0,
            )  # fmt: skip
        self._fresh = bytes(self._headers)
        words = memoryview(self._headers).cast("I")
        self._sizes, self._flags = words[_SIZE_AT::_WORDS], words[_FLAGS_AT::_WORDS]
        self._control_sizes = memoryview(self._headers).cast("L")[_CONTROL_SIZE_AT :: HEADER.size // _SIZE_T]
        self._segments = Segments(opened, LIBC)

    def receive(self) -> list[Datagram]:
        """See Datagrams."""
        self._headers[:] = self._fresh  # the kernel wrote lengths into it
        count = LIBC.recvmmsg(self._socket.fileno(), self._headers_at, self._most, socket.MSG_DONTWAIT, None)
        if count < 0:
            code = ctypes.get_errno()
            if code in _AGAIN:
                return []
            raise OSError(code, os.strerror(code))
        if count and self._control_sizes[count - 1]:
            self._note_drops(count - 1)  # the last one's number is the highest
        # Field by field, each in one go, and not header by header: 0.8 us besides the kernel's 0.5 become 0.45.
        sizes, flags = self._sizes[:count].tolist(), self._flags[:count].tolist()
        names = [name for (name,) in _NAME.iter_unpack(memoryview(self._names)[: count * NAME_BYTES])]
        self._came_from = names
        senders = list(map(self._senders.get, names))
        if None in senders:
            senders = [self._senders.get(name) or self._sender(name) for name in names]
        data = self._data
        came = [data[start : start + size] for start, size in zip(self._starts, sizes)]  # noqa: B905 - of many starts
        cut = [each & _TRUNCATED != 0 for each in flags] if any(flags) else [False] * count
        new = partial(tuple.__new__, Datagram)  # as Datagram(...), in a third of the time
        return list(map(new, zip(came, cut, senders, range(count), strict=True)))

    def answer(self, answers: list[tuple[int, bytes]]) -> int:
        """See Datagrams."""
        came_from = self._came_from
        named = [(came_from[slot], data) for slot, data in answers]
        if self._segments.usable and all([len(data) == ACK_BYTES for _, data in answers]):
            return self._segments.send(named, self._ordinarily)
        return self._each(named)

    def answer_all(self, answers: bytes) -> int:
        """See Datagrams."""
        names = self._came_from
        if not self._segments.usable:
            return self._each(list(zip(names, split(answers), strict=True)))
        if names.count(names[0]) == len(names):
            return self._segments.send_to(names[0], answers, self._ordinarily)
        return self._segments.send(zip(names, split(answers), strict=True), self._ordinarily)

    def _ordinarily(self, name: bytes, some: list[bytes]) -> int:
        return self._each([(name, data) for data in some])

    def _each(self, named: list[tuple[bytes, bytes]]) -> int:
        """Send to names; return how many could not be sent."""
        bodies, body_at = memory(sum(len(data) for _, data in named))
        names, names_at = memory(len(named) * NAME_BYTES)
        at = 0
        for index, (name, data) in enumerate(named):
            bodies[at : at + len(data)] = data
            names[index * NAME_BYTES : index * NAME_BYTES + len(name)] = name
            IOVEC.pack_into(self._out_iovecs, index * IOVEC.size, body_at + at, len(data))
            at += len(data)
            HEADER.pack_into(
                self._out, index * HEADER.size,
                names_at + index * NAME_BYTES, len(name), self._out_iovecs_at + index * IOVEC.size, 1, 0, 0, 0, 0,
            )  # fmt: skip
        return self._send(self._out_at, len(named))

    def _send(self, headers_at: int, count: int) -> int:
        done = failed = 0
        while done < count:
            left, out_at = count - done, headers_at + done * HEADER.size
            sent = LIBC.sendmmsg(self._socket.fileno(), out_at, left, socket.MSG_DONTWAIT)
            failed += sent <= 0
            done += max(1, sent)  # the first that is refused ends a call: go on behind it
        return failed

    def _note_drops(self, slot: int) -> None:
        at = slot * _CONTROL_BYTES
        _, level, kind = _CMSG.unpack_from(self._control, at)
        if level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL:
            self.dropped = _COUNT.unpack_from(self._control, at + socket.CMSG_LEN(0))[0]

    def _sender(self, name: bytes) -> Any:
        sender = self._senders.get(name)
        if sender is None:
            if len(self._senders) >= _MAX_NAMES:
                self._senders.clear()
            sender = self._senders[name] = _address(name)
        return sender


def memory(size: int) -> tuple[bytearray, int]:
    """Return memory, never empty, and where it is."""
    made = bytearray(size or 1)
    return made, ctypes.addressof(ctypes.c_char.from_buffer(made))


def untouched(size: int) -> tuple[mmap.mmap, int]:
    """Return memory of which only what is written takes a place: of 2 MB for what may come a few pages are used."""
    made = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return made, ctypes.addressof(ctypes.c_char.from_buffer(made))


def _address(name: bytes) -> Any:
    """Return what Python calls a struct sockaddr_in or sockaddr_in6 (ip(7), ipv6(7))."""
    port = int.from_bytes(name[2:4], "big")
    if int.from_bytes(name[:2], sys.byteorder) == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port
    scope = int.from_bytes(name[24:28], sys.byteorder)
    return socket.inet_ntop(socket.AF_INET6, name[8:24]), port, int.from_bytes(name[4:8], "big"), scope


def _libc() -> Any:
    """Return the C library, its calls made with Python's lock held; None where it has not both."""
    if not sys.platform.startswith("linux"):
        return None
    found = ctypes.PyDLL(None, use_errno=True)
    if not hasattr(found, "recvmmsg") or not hasattr(found, "sendmmsg"):
        return None
    found.recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
    found.sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
    return found


LIBC = _libc()


def datagrams(opened: socket.socket, most: int, max_bytes: int) -> Datagrams:
    """Return the fastest that this machine has: at most *most* at a time, of at most *max_bytes* each."""
    return OneByOne(opened, most, max_bytes) if LIBC is None else AtOnce(opened, most, max_bytes)
