# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The `bluetooth` module of a virtual board has the quirks of real boards, so that firmware meets them here first."""

import asyncio
from pathlib import Path

import pytest

from boards.virtual.ble.air import Conditions
from firmware.wire import gatt
from tests.ble_air_rig import WAIT_S, BleBoard, Central, ble_air
from tests.virtual_board_rig import flash

PROGRAM = f"""
import bluetooth, time
from bluetooth import UUID

def tried(what):
    try:
        what()
    except OSError as error:
        return error.args[0]
    return 0

ble = bluetooth.BLE()
assert ble is bluetooth.BLE()
print("inactive:", tried(lambda: ble.gap_advertise(100000, adv_data=b"")), tried(lambda: ble.config("mac")))
ble.active(True)
peers = []

def irq(event, data):
    if event == 1:
        peers.append(data[0])
    elif event == 3:
        print("written:", len(ble.gatts_read(data[1])))
        if len(ble.gatts_read(data[1])) == 20:
            ble.gatts_set_buffer(down, 200)
        else:
            ble.gatts_notify(data[0], up, b"nobody asked")
    print("event:", event)
    if event == 1:
        raise ValueError("a handler's fault is printed, and the stack goes on")

ble.irq(irq)
characteristics = (UUID("{gatt.UPLINK_UUID}"), 0x10), (UUID("{gatt.DOWNLINK_UUID}"), 0x0C)
((up, down),) = ble.gatts_register_services(((UUID("{gatt.SERVICE_UUID}"), characteristics),))
print("too long:", tried(lambda: ble.gap_advertise(100000, adv_data=bytes(32))))
print("central:", tried(lambda: ble.gap_scan(1000)), tried(lambda: ble.gap_connect(0, bytes(6))))
print("nobody:", tried(lambda: ble.gatts_notify(9, up, b"x")), ble.gap_disconnect(9))
assert hash(UUID("{gatt.UPLINK_UUID}")) == hash(UUID(bytes(UUID("{gatt.UPLINK_UUID}"))))
ble.gap_advertise(20000, adv_data={gatt.advertisement(bytes([0x10, 0, 0, 0, 0, 0]))!r}, resp_data=b"")
while not peers:
    time.sleep_ms(10)
print("ready")
time.sleep_ms(3000)
sent = 0
while not (error := tried(lambda: ble.gatts_notify(peers[0], up, bytes(20)))) and sent < 100000:
    sent += 1
print("full:", error, sent)
"""


@pytest.mark.timeout(180)
def test_what_real_boards_do(tmp_path: Path) -> None:
    async def live() -> None:
        image = flash(tmp_path / "b", main=PROGRAM)
        async with ble_air(tmp_path, Conditions(delay_s=0.02)) as (_, air), BleBoard(image, air) as board:
            async with Central(air) as central:
                peer = await central.connect()
                unasked: asyncio.Queue[bytes] = asyncio.Queue()
                heard = peer.uplink.client.notification_subscribers
                heard[peer.uplink.handle] = {unasked.put_nowait}  # listens, and has not written the CCCD
                await peer.write(bytes(50))
                await board.until_says(b"written: 20\r\n")  # cut off in silence
                await peer.write(bytes(50))
                await board.until_says(b"written: 50\r\n")
                async with asyncio.timeout(WAIT_S):
                    assert await unasked.get() == b"nobody asked"  # NimBLE's notify looks at no CCCD
                del heard[peer.uplink.handle]
                await peer.subscribe()
                await board.until_says(b"full: 12 ")  # ENOMEM
            await board.until_says(b"event: 2\r\n")
            for line in (b"inactive: 19 19\r\n", b"too long: 22\r\n", b"a handler's fault is printed", b"ready\r\n"):
                assert line in board.text, board.text
            assert b"central: 22 22\r\n" in board.text

    asyncio.run(live())
