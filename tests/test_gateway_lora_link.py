# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The LoRa link on real sockets: acknowledgements, who is believed, and what a flood costs."""

import asyncio
import random
import socket
import tracemalloc
from ipaddress import ip_address
from typing import Any

import pytest
from pydantic import ValidationError

from gateway import links, plugins
from gateway.errors import LinkError
from gateway.links.lora import Settings, build, bundle
from gateway.links.lora.addresses import host, parse_bind, source
from gateway.links.lora.rate import RateLimit
from gateway.radio import TxOutcome
from tests import packet_forwarder as other
from tests.lora_link_rig import (  # noqa: F401  nothing_unforeseen watches every test here
    PHY,
    RX1,
    STRANGER,
    A,
    B,
    FakeClock,
    WatchedCounters,
    downlink,
    nothing_unforeseen,
    run,
    running,
    settings,
)
from tests.packet_forwarder import push_body, receive, rxpk, waiting


def test_a_packet_becomes_an_uplink() -> None:
    async def body() -> None:
        async with running() as rig:
            forwarder = rig.forwarder()
            token = forwarder.push(push_body(rxpk(b"\x40abc", freq=868.3, lsnr=-7.5), rxpk(stat=-1), rxpk(modu="FSK")))
            assert await receive(forwarder.up) == bytes([2, *token.to_bytes(2, "big"), other.PUSH_ACK])
            await forwarder.pull()
            (uplink,) = rig.uplinks
            assert (uplink.link, uplink.address, uplink.phy) == ("air", A.hex(), b"\x40abc")
            assert uplink.received_at == rig.clock.wall_s()
            heard = uplink.radio
            assert heard is not None
            assert (heard.gateway_eui, heard.tmst_us, heard.freq_hz) == (A, 3512348611, 868_300_000)
            assert (heard.sf, heard.bw_hz, heard.rssi_dbm, heard.snr_db) == (7, 125_000, -35, -7.5)
            assert [rig.count(name) for name in ("uplink", "crc_failed", "unsupported_modulation")] == [1, 1, 1]
            assert not waiting(forwarder.up)

    run(body())


def test_push_ack_is_sent_before_processing() -> None:
    async def body() -> None:
        async with running() as rig:
            forwarder = rig.forwarder()
            acknowledged: list[list[bytes]] = []
            rig.sink = lambda _: acknowledged.append(waiting(forwarder.up))
            token = forwarder.push(push_body(rxpk()))
            await forwarder.pull()
            assert acknowledged == [[bytes([2, *token.to_bytes(2, "big"), other.PUSH_ACK])]]
            forwarder.push(b'{"rxpk":[')  # not JSON, but it did arrive
            assert (await receive(forwarder.up))[3] == other.PUSH_ACK
            assert rig.count("not_strict_json") == 1

    run(body())


def test_forwarders_that_vanish_before_their_answer_do_not_close_the_socket() -> None:
    """Each answer to nobody comes back as an ICMP error, and other servers stopped to read after one."""

    async def body() -> None:
        async with running() as rig:
            for _ in range(100):
                one = rig.forwarder()
                one.push(push_body(rxpk()))
                one.close()
            await rig.until_counted("uplink", 100)
            other_one = rig.forwarder(B)
            await other_one.pull()
            token = other_one.push(push_body(rxpk()))
            assert (await receive(other_one.up))[:4] == bytes([2, *token.to_bytes(2, "big"), other.PUSH_ACK])
            await rig.until_counted("uplink", 101)

    run(body())


def test_what_a_gateway_says_of_itself_is_kept() -> None:
    async def body() -> None:
        async with running() as rig:
            forwarder = rig.forwarder()
            forwarder.push(push_body(stat={"time": "2014-01-12 08:59:28 GMT", "rxnb": 5, "ackr": 97.5}))
            await forwarder.pull()
            state = rig.link.forwarders[A]
            assert state.stat is not None
            assert (state.stat.received, state.stat.acknowledged_pct) == (5, 97.5)
            assert state.stat_at == rig.clock.wall_s()
            assert rig.link.forwarders[B].stat is None

    run(body())


# ---- downlinks


def test_the_table_of_sources_is_bounded() -> None:
    limit = RateLimit(per_s=1, burst=2, max_sources=100)
    assert [limit.allow("first", 0) for _ in range(3)] == [True, True, False]
    for number in range(10_000):
        assert limit.allow(number, 0)
        assert len(limit) <= 100
        assert not limit.allow("first", 0), "a source that keeps sending is not forgotten"


def test_addresses() -> None:
    assert parse_bind("[::]:1700") == (ip_address("::"), 1700)
    assert parse_bind("0.0.0.0:0") == (ip_address("0.0.0.0"), 0)  # noqa: S104 - never bound
    assert host("::ffff:192.0.2.1") == ip_address("192.0.2.1")
    assert host("fe80::1%eth0") == ip_address("fe80::1")
    assert source("2001:db8::1") == source("2001:db8::ffff") != source("2001:db8:0:1::1")
    assert source("192.0.2.1") == source("::ffff:192.0.2.1") != source("192.0.2.2")


# ---- floods, losses, failures

_PER_DATAGRAM = (
    "rate_limited", "wrong_length", "unknown_version", "unknown_identifier", "not_strict_json", "wrong_content",
    "unknown_gateway", "address_pinned", "push_data", "pull_data", "tx_ack", "tx_ack_unmatched",
)  # fmt: skip


def test_5000_mutations_through_the_socket_are_all_accounted_for(rng: random.Random) -> None:
    async def body() -> None:
        async with running() as rig:
            rig.sink = lambda _: None
            forwarder = rig.forwarder()
            seeds = other.originals(A)
            before = sent = pulls = 0
            tracemalloc.start()
            try:
                while sent < 5000:
                    for _ in range(50):
                        forwarder.up.sendto(other.mutate(rng, rng.choice(seeds))[:65000], rig.server)
                    sent += 50
                    await forwarder.pull()
                    pulls += 1
                    waiting(forwarder.up)
                    if sent == 2000:
                        before = tracemalloc.get_traced_memory()[0]
                grown = tracemalloc.get_traced_memory()[0] - before
            finally:
                tracemalloc.stop()
            counts = {name: rig.count(name) for name in _PER_DATAGRAM}
            assert sum(counts.values()) == sent + pulls, counts
            assert min(counts["push_data"], counts["not_strict_json"], counts["tx_ack_unmatched"]) > 100, counts
            assert grown < 131_072

    run(body())


def test_what_the_kernel_drops_of_a_front_is_counted_as_the_bundles_that_it_is() -> None:
    async def body() -> None:
        async with running(behind_front=True, receive_buffer_bytes=4096) as rig:
            forwarder = rig.forwarder()
            parts = [other.datagram(0, token, A, push_body(rxpk())) for token in range(4)]
            for token in range(300):
                forwarder.up.sendto(bundle.pack(token, parts), forwarder.server)
            await rig.until_counted("push_data", 4)
            await forwarder.pull()
            await forwarder.pull()
            assert rig.count("push_data") + 4 * rig.count("kernel_dropped_bundles") == 4 * 300
            assert (rig.count("kernel_dropped_bundles") > 0, rig.count("kernel_dropped")) == (True, 0)

    run(body())


def test_what_the_kernel_drops_is_counted() -> None:
    async def body() -> None:
        async with running(receive_buffer_bytes=4096) as rig:
            forwarder = rig.forwarder()
            body = push_body(rxpk(), stat={"time": "x" * 500})
            for overload in (1, 2):
                taken, dropped = rig.count("push_data"), rig.count("kernel_dropped")
                for _ in range(300):  # the loop does not run meanwhile: the buffer fills up
                    forwarder.push(body)
                await rig.until_counted("push_data", taken + 1)
                await forwarder.pull()
                await forwarder.pull()
                assert rig.count("kernel_dropped") > dropped
                assert rig.count("push_data") + rig.count("kernel_dropped") == overload * 300
                assert len(rig.uplinks) == rig.count("push_data")

    run(body())


def test_a_burst_is_read_in_turns() -> None:
    async def body() -> None:
        async with running() as rig:
            forwarder = rig.forwarder()
            turns = 0
            seen_at: list[int] = []
            rig.sink = lambda _: seen_at.append(turns)
            for _ in range(200):
                forwarder.push(push_body(rxpk()))
            while len(seen_at) < 200:
                await asyncio.sleep(0)
                turns += 1
            share = [seen_at.count(turn) for turn in set(seen_at)]
            assert max(share) == 128, "many per wake-up, but not all"

    run(body())


def test_the_link_waits_for_its_port_and_opens_it_when_it_is_free() -> None:
    async def body() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
            holder.bind(("127.0.0.1", 0))
            address = holder.getsockname()
            counters = WatchedCounters()
            link = build(settings(bind=f"127.0.0.1:{address[1]}"), FakeClock(), counters)
            task = asyncio.create_task(link.run(lambda _: None))
            await counters.until("lora_absent")
            with pytest.raises(LinkError):
                await link.send(A.hex(), PHY, RX1)
        await counters.until("lora_open")
        assert link.bound == address
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(body())


def test_stopping_ends_what_waits() -> None:
    async def body() -> None:
        async with running() as rig:
            forwarder = rig.forwarder()
            await forwarder.pull()
            sending = await downlink(rig)
            await forwarder.pull_resp()
        async with asyncio.timeout(other.WAIT_S):  # much less than ack_wait_s
            assert await sending == TxOutcome("no_answer")
        assert rig.link.bound is None
        with pytest.raises(LinkError):
            await rig.link.send(A.hex(), PHY, RX1)

    run(body())


# ---- settings


def test_the_link_is_found_by_its_name() -> None:
    assert plugins.load(links, "lora").Settings is Settings
    assert settings().bind == "127.0.0.1:0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bind": "localhost:1700"}, "ADDRESS:PORT"),
        ({"bind": "127.0.0.1"}, "ADDRESS:PORT"),
        ({"bind": "127.0.0.1:70000"}, "65535"),
        ({"bind": "127.0.0.300:1700"}, "127.0.0.300"),
        ({"gateways": []}, "at least 1"),
        ({"gateways": [{"eui": A.hex()}, {"eui": A.hex()}]}, "listed twice"),
        ({"gateways": [{"eui": A.hex().upper()}]}, "pattern"),
        ({"gateways": [{"eui": A.hex(), "allow": ["10.0.0.1/8"]}]}, "host bits"),
        ({"gateways": [{"eui": A.hex(), "address": "10.0.0.1"}]}, "Extra inputs"),
        ({"pin": 5}, "Extra inputs"),
        ({"ack_wait_s": 0.0}, "0.01"),
    ],
    ids=str,
)
def test_settings_that_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**change)
