# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The network server as its devices meet it: the daemon as a process, forwarders on real UDP, a class A device."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from firmware.wire import frame, maccommands, macdevice, readings
from firmware.wire.region import BANDS
from firmware.wire.session import Session
from gateway.network.aes import ecb
from gateway.network.downlinks import Item
from gateway.network.duty import Priority, limit_us
from tests.gateway_rig import ROOT, City, encoded
from tests.lora_rig import EUIS, QUIET, SECOND_US, U32, in_process, on_air

pytestmark = pytest.mark.apart

SLOW_RX1 = f"{QUIET}\nrx1_delay_s = 4"
"""Where a test is about RX1 itself, a busy computer must not make it RX2."""


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario

    asyncio.run(bounded())


def test_a_device_joins_in_rx1_or_by_the_fallback_in_rx2(city: City) -> None:
    async def scenario() -> None:
        async with on_air(city) as air:
            device = city.device()
            air.push(device.join_request())
            asked = await air.refuse("TOO_LATE")
            assert (air.window(asked), asked.txpk["freq"], asked.txpk["datr"]) == (5.0, 868.1, "SF7BW125")
            again = await air.next()
            assert (air.window(again), again.txpk["freq"], again.txpk["datr"]) == (6.0, 869.525, "SF12BW125")
            assert again.phy == asked.phy, "both windows carry the same frame"
            assert (asked.txpk["ipol"], asked.txpk["modu"], asked.txpk["powe"]) == (True, "LORA", 14)
            accept = device.take_accept(again.phy)
            assert (len(again.phy), accept.rx_delay) == (33, 1)
            air.push(device.join_request(), tmst=U32 - 2 * SECOND_US)
            asked = await air.next()
            assert (air.window(asked), asked.txpk["tmst"]) == (5.0, 3 * SECOND_US), "the counter wraps"
            device.take_accept(asked.phy)
            air.push(device.readings(1, oldest=1))
            assert device.take((await air.next()).phy).fport == 4
            assert device.held == {1}

    run(scenario())


def test_a_confirmed_reading_is_on_disk_when_it_is_acknowledged_and_in_time(city: City) -> None:
    async def scenario() -> None:
        latencies_s = []
        async with on_air(city) as air:
            device = city.device()
            await air.join(device)
            windows = []
            for seq in range(1, 21):
                air.push(device.readings(seq, confirmed=True))
                asked = await air.next()
                assert air.daemon.stats().durable == seq, "acknowledged before it was durable"
                received = device.take(asked.phy)
                assert (received.ack, received.payload) == (True, b"")
                windows.append(air.window(asked))
                latencies_s.append(asked.after_s)
            assert set(windows) <= {1.0, 2.0}
        latencies_s.sort()
        print(
            f"from uplink to PULL_RESP: median {latencies_s[10] * 1000:.0f} ms, worst {latencies_s[-1] * 1000:.0f} ms"
        )
        print(f"RX1 {windows.count(1.0)}, RX2 {windows.count(2.0)}")

    run(scenario())


def test_three_forwarders_hear_one_reading_and_the_best_one_answers(city: City) -> None:
    async def scenario() -> None:
        async with on_air(city, SLOW_RX1) as air:
            device = city.device()
            await air.join(device)
            for seq, (snrs, best) in enumerate([((-3.0, 9.5, 2.0), 1), ((4.0, 1.0, 8.0), 2)], 1):
                link_check = maccommands.link_check_req()
                phy = device.live.seal_uplink(1, _reading(device, seq), confirmed=True, fopts=link_check)
                air.push(phy, *snrs)
                asked = await air.next()
                assert (asked.gateway, air.window(asked)) == (best, 4.0)
                received = device.take(asked.phy)
                margin_db = int(max(snrs) + 7.5)
                assert maccommands.parse(received.fopts, uplink=False) == [(2, bytes([margin_db, 3]))]
                assert air.daemon.stats().durable == seq
                assert await air.silent(), "one answer, however many heard it"
            air.push(device.readings(3, confirmed=True), 1.0, 7.0, 3.0)
            ways = [(await air.refuse()).gateway for _ in range(3)]
            assert ways == [1, 2, 0], "the next best gateway, in the same window"
            asked = await air.next()
            assert (asked.gateway, air.window(asked)) == (1, 5.0)

    run(scenario())


def _reading(device: Any, seq: int) -> bytes:
    """The payload that ``device.readings`` would seal."""
    return readings.pack([encoded(seq)])


def test_a_repetition_is_answered_again_and_a_replay_refused(city: City) -> None:
    async def scenario() -> None:
        async with on_air(city) as air:
            device = city.device()
            await air.join(device)
            first = device.readings(1, confirmed=True)
            air.push(first)
            assert device.take((await air.next()).phy).ack
            await asyncio.sleep(2)  # its RX1 and RX2 went by
            air.push(first)
            assert device.take((await air.next()).phy).ack
            air.push(device.readings(2, confirmed=True))
            assert device.take((await air.next()).phy).ack
            await asyncio.sleep(2)
            air.push(first)
            await air.until(lambda: air.daemon.refused().get("replayed") == 1, "the replay's refusal")
            assert await air.silent()
            assert air.daemon.stats().durable == 2
            assert air.daemon.counters("readings") == {"new": 2}

    run(scenario())


def test_a_good_signal_raises_the_data_rate_and_the_device_is_asked_for_its_battery(city: City) -> None:
    async def scenario() -> None:
        async with on_air(city, "") as air:
            device = city.device()
            await air.join(device, datr="SF12BW125")
            air.push(device.live.seal_uplink(None, b"", adr=True), 6.0, datr="SF12BW125")
            received = device.take((await air.next()).phy)
            requests = dict(maccommands.parse(received.fopts, uplink=False))
            assert macdevice.link_adr(requests[maccommands.LINK_ADR])[0] == 4
            fopts = macdevice.answer(maccommands.LINK_ADR, 7) + macdevice.dev_status_ans(254, 3)
            air.push(device.live.seal_uplink(None, b"", adr=True, fopts=fopts), 6.0, datr="SF8BW125")
            air.push(device.readings(1, oldest=1), 6.0, datr="SF8BW125")
            received = device.take((await air.next()).phy)
            assert (received.fport, received.fopts) == (4, b""), "nothing more to ask"
            assert requests.keys() == {maccommands.LINK_ADR, maccommands.DEV_STATUS}

    run(scenario())


def test_a_lamp_that_missed_both_windows_hears_its_receipt_all_the_same(city: City) -> None:
    async def scenario() -> None:
        async with on_air(city, SLOW_RX1) as air:
            device = city.device()
            await air.join(device)
            air.push(device.readings(1, oldest=1))
            windows = [air.window(await air.refuse()), air.window(await air.refuse("COLLISION_PACKET"))]
            asked = await air.next()
            assert [*windows, air.window(asked)] == [4.0, 5.0, None]
            assert (asked.txpk["freq"], asked.txpk["datr"]) == (869.525, "SF9BW125")
            assert device.take(asked.phy).fport == 4
            air.push(device.readings(2, confirmed=True))
            for _ in range(2):
                await air.refuse()
            assert await air.silent(), "an acknowledgement belongs to RX1 or RX2"
            await air.until(lambda: air.daemon.counters("downlinks").get("missed_reply") == 1, "the miss to be counted")

    run(scenario())


def test_strangers_are_kept_in_quarantine_and_nothing_of_theirs_goes_further(city: City) -> None:
    async def scenario() -> None:
        async with on_air(city) as air:
            device, wrong_key = city.device(1), city.device(2)
            stranger = type(device)(bytes(7) + b"\x09", device.join_eui, bytes(16))
            await air.join(device)
            air.push(device.readings(1))
            await air.until(lambda: air.daemon.stats().durable == 1, "the reading")
            wrong_key.app_key = bytes(16)
            forged = Session(ecb, device.live.dev_addr, bytes(16), bytes(16), 7)
            nobody = Session(ecb, 0x02ABCDEF, bytes(16), bytes(16))
            neighbour = Session(ecb, 0x26ABCDEF, bytes(16), bytes(16))
            for phy in (stranger.join_request(), wrong_key.join_request(), forged.seal_uplink(1, b"x")):
                air.push(phy)
            for session in (nobody, neighbour):
                air.push(session.seal_uplink(1, b"x"))
            expected = {"unknown_device": 1, "not_authentic": 2, "unknown_address": 2}
            await air.until(lambda: air.daemon.refused() == expected, "the refusals")
            assert await air.silent()
            assert air.daemon.stats().durable == 1
            assert await asyncio.to_thread(_kept, air.daemon.config) == {
                (stranger.dev_eui.hex(), "unknown_device"),
                (wrong_key.dev_eui.hex(), "not_authentic"),
                (device.dev_eui.hex(), "not_authentic"),
                ("02abcdef", "unknown_address"),
            }, "a neighbour's network is counted, not kept"

    run(scenario())


def _kept(config: Path) -> set[tuple[str, str]]:
    shown = subprocess.run(
        [sys.executable, "-m", "gateway", "quarantine", "--json", "--config", str(config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return {(entry["device"], entry["reason"]) for entry in json.loads(shown.stdout)}


def test_what_the_gateway_sent_counts_after_a_kill(city: City) -> None:
    """Joins go on while receipts wait: the hour's budget is spent in a file that the next process reads."""

    async def scenario() -> None:
        async with on_air(city, SLOW_RX1) as air:
            device = city.device()
            await air.join(device)
            await air.until(lambda: (air.daemon.state_dir / "duty.json").exists(), "the budget on disk")
        spent = [[eui, band, 0, limit_us] for eui, band, limit_us in _reply_ceilings()]
        (city.folder / "state" / "duty.json").write_text(json.dumps({"at": time.time(), "spent": spent}))
        async with on_air(city, SLOW_RX1) as air:
            air.push(device.readings(1, oldest=1))
            await air.until(
                lambda: air.daemon.counters("downlinks").get("missed_reply") == 1, "the receipt to be held back"
            )
            assert air.daemon.stats().durable == 1, "the reading is taken all the same"
            assert await air.silent()
            await air.join(device)
            air.push(device.readings(2, oldest=1, fport=2))
            assert device.take((await air.next()).phy).fport == 4, "the answer to an alarm"

    run(scenario())


def _reply_ceilings() -> list[tuple[str, int, int]]:
    return [(eui.hex(), band, limit_us(band) * Priority.REPLY // 100) for eui in EUIS for band in range(len(BANDS))]


def test_class_c_gets_a_downlink_at_once_and_confirms_it(city: City) -> None:
    async def scenario() -> None:
        async with in_process(city) as (air, daemon):
            device = city.device()
            await air.join(device)
            air.push(device.readings(1))
            await asyncio.sleep(3.3)  # its RX1 and RX2 went by
            await daemon.queue_downlink(Item(device.dev_eui, 3, b"dim", confirmed=True))
            asked = await air.refuse("COLLISION_PACKET")
            assert air.window(asked) is None
            asked = await air.next()
            assert (air.window(asked), asked.txpk["freq"], asked.txpk["datr"]) == (None, 869.525, "SF9BW125")
            received = device.take(asked.phy)
            assert (received.fport, received.payload, received.confirmed) == (3, b"dim", True)
            air.push(device.live.seal_uplink(None, b"", ack=True))
            counters = daemon._counters
            await air.until(lambda: counters.snapshot()["downlinks"].get("queue_confirmed") == 1, "its fate")

    run(scenario())


def test_class_a_gets_its_queue_after_its_own_frames_and_a_confirmed_one_until_it_confirms(city: City) -> None:
    async def scenario() -> None:
        async with in_process(city, f"{SLOW_RX1}\nclass_c = []") as (air, daemon):
            device = city.device()
            await air.join(device)
            await daemon.queue_downlink(Item(device.dev_eui, 3, b"first", confirmed=True))
            await daemon.queue_downlink(Item(device.dev_eui, 3, b"second"))
            assert await air.silent(1.2)
            for ack, payload, pending in ((False, b"first", True), (False, b"first", True), (True, b"second", False)):
                air.push(device.live.seal_uplink(None, b"", ack=ack))
                asked = await air.next()
                received = device.take(asked.phy)
                assert (received.payload, air.window(asked)) == (payload, 4.0)
                assert frame.decode_data(asked.phy).f_pending is pending
            air.push(device.live.seal_uplink(None, b""))
            assert await air.silent()

    run(scenario())
