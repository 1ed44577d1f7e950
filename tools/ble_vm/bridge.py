# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""In the machine: makes a Bluetooth adapter for the kernel out of a controller at the other end of a port.

bridge.py PORT. HCI packets with their type byte in front (H4, Core Specification volume 4, part A) go from PORT to
/dev/vhci and back; the kernel takes and gives one packet at a time. The adapter is there as long as this runs.
"""

import os
import select
import sys
import time

_HEADER_BYTES = {1: 3, 2: 4, 3: 3, 4: 2, 5: 4}  # command, ACL, SCO, event, ISO
_CREATE_PRIMARY = b"\xff\x00"


def packet_bytes(data: bytes) -> int:
    """Return how long the packet is that begins here; 0 when that cannot be told yet."""
    kind, header = data[0], 1 + _HEADER_BYTES[data[0]]
    if len(data) < header:
        return 0
    if kind == 2:
        return header + int.from_bytes(data[3:5], "little")
    if kind == 5:
        return header + (int.from_bytes(data[3:5], "little") & 0x3FFF)
    return header + data[header - 1]


def wait_for_other_end(port: int) -> None:
    """Return when somebody is there; until then the port says that it was hung up."""
    poll = select.poll()
    poll.register(port, select.POLLIN)
    while any(events & select.POLLHUP for _, events in poll.poll(0)):
        time.sleep(0.2)


def main(port: str) -> None:
    """Carry packets until an end closes."""
    outside = os.open(port, os.O_RDWR)
    wait_for_other_end(outside)
    kernel = os.open("/dev/vhci", os.O_RDWR)
    os.write(kernel, _CREATE_PRIMARY)
    waiting = b""
    while True:
        ready = select.select([outside, kernel], [], [])[0]
        if kernel in ready:
            packet = os.read(kernel, 4096)
            while packet and packet[0] != 0xFF:  # 0xFF: which adapter it has become
                packet = packet[os.write(outside, packet) :]
        if outside in ready:
            data = os.read(outside, 65536)
            if not data:
                sys.exit("the controller is gone")
            waiting += data
            while waiting and 0 < (size := packet_bytes(waiting)) <= len(waiting):
                os.write(kernel, waiting[:size])
                waiting = waiting[size:]


if __name__ == "__main__":
    main(sys.argv[1])
