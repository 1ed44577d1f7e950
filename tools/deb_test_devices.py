# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Inside of the Debian of tools/deb_test.sh: registers a device for each worker, which joins by radio and reports.

    /usr/lib/lykta/bin/python3 deb_test_devices.py CITY WORKERS

One packet forwarder at UDP 127.0.0.1:1700. Ends with 0 when every device has a receipt for its reading.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import sys
import time
from pathlib import Path

from firmware.wire import joining, kinds, readings
from firmware.wire.crypto import derive_session_keys
from firmware.wire.session import Session
from gateway.network.aes import ecb
from gateway.network.share import of_device
from provisioning.registry import Registry
from provisioning.secret_refs import load_secret

SERVER = ("127.0.0.1", 1700)
FORWARDER = bytes.fromhex("0200000000000a01")
JOIN_EUI = bytes.fromhex("70b3d57ed1000001")
PATIENCE_S = 90
PUSH_DATA, PULL_DATA, PULL_RESP, TX_ACK = 0, 2, 3, 5
KIND = kinds.load("street_light")


class Forwarder:
    """A packet forwarder with two sockets, as the real one has."""

    def __init__(self) -> None:
        self.up, self.down = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for each in (self.up, self.down):
            each.bind(("127.0.0.1", 0))
        self.tmst_us = 0

    def say(self, opened: socket.socket, identifier: int, body: bytes = b"", token: bytes = b"\x12\x34") -> None:
        opened.sendto(bytes((2,)) + token + bytes((identifier,)) + FORWARDER + body, SERVER)

    def heard(self, phy: bytes) -> None:
        self.tmst_us = (self.tmst_us + 20_000_000) & 0xFFFFFFFF
        data = base64.b64encode(phy).decode()
        packet = {
            "tmst": self.tmst_us, "freq": 868.1, "chan": 0, "rfch": 1, "stat": 1, "modu": "LORA", "datr": "SF7BW125",
            "codr": "4/5", "rssi": -35, "lsnr": 5.1, "size": len(phy), "data": data,
        }  # fmt: skip
        self.say(self.down, PULL_DATA)
        self.say(self.up, PUSH_DATA, json.dumps({"rxpk": [packet]}, separators=(",", ":")).encode())

    def asked(self, wait_s: float) -> list[bytes]:
        """Return the frames that were to be sent within some seconds; say that they were."""
        end, found = time.monotonic() + wait_s, []
        while (left := end - time.monotonic()) > 0 and not found:
            if not select.select([self.down], [], [], left)[0]:
                break
            data = self.down.recv(65536)
            if data[3] == PULL_RESP:
                self.say(self.down, TX_ACK, token=data[1:3])
                found.append(base64.b64decode(json.loads(data[4:])["txpk"]["data"]))
        return found


def joined(forwarder: Forwarder, dev_eui: bytes, app_key: bytes) -> Session:
    """Join, again until somebody answers."""
    encrypt, end, nonce = ecb(app_key), time.monotonic() + PATIENCE_S, 0
    while time.monotonic() < end:
        nonce += 1
        forwarder.heard(joining.encode_join_request(encrypt, JOIN_EUI, dev_eui, nonce))
        for phy in forwarder.asked(3):
            accept = joining.decode_join_accept(encrypt, phy)
            keys = derive_session_keys(encrypt, accept.join_nonce, accept.net_id, nonce)
            return Session(ecb, accept.dev_addr, *keys)
    sys.exit(f"nobody answered the Join-Request of {dev_eui.hex()}")


def receipted(forwarder: Forwarder, session: Session) -> None:
    """Send a reading until there is a receipt for it."""
    measured = {"lamp_on": True, "power_w": 41.5, "temperature_c": -3.5}
    reading, end = readings.encode_reading(KIND, 1, measured, time_s=int(time.time())), time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        forwarder.heard(session.seal_uplink(readings.FPORT_READINGS, readings.pack([reading], 1)))
        for phy in forwarder.asked(3):
            got = session.open_downlink(phy)
            if got.fport == readings.FPORT_RECEIPTS and readings.decode_receipt(got.payload)[0] >= 1:
                return
    sys.exit("no receipt came")


def main() -> None:
    """One device for each worker."""
    city, workers = Path(sys.argv[1]), int(sys.argv[2])
    forwarder = Forwarder()
    with Registry.open(f"sqlite:///{city}/register.db", load_secret(f"file:{city}/kek", city)) as registry:
        for worker in range(workers):
            while of_device(dev_eui := bytes.fromhex("70b3d57ed000") + os.urandom(2), workers) != worker:
                pass
            app_key = os.urandom(16)
            registry.register_device("street_light", dev_eui=dev_eui, join_eui=JOIN_EUI, app_key=app_key)
            receipted(forwarder, joined(forwarder, dev_eui, app_key))
            print(f"worker {worker + 1} took a reading of {dev_eui.hex()}")


main()
