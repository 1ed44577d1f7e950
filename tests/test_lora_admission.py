# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Who may speak as a packet forwarder, on real sockets: to a link of one process, and to the front of several."""

import pytest

from tests import packet_forwarder as other
from tests.lora_link_rig import (  # noqa: F401  fixtures; nothing_unforeseen watches every test here
    STRANGER,
    A,
    B,
    Standing,
    downlink,
    link_or_front,
    nothing_unforeseen,
    run,
)
from tests.packet_forwarder import push_body, receive, rxpk, waiting

_PIN_S = 3.0
"""Short, so that a clock that steps over it leaves a worker that was asked the time to answer (trunk.AWAY_S)."""


def test_a_gateway_that_is_not_registered_gets_nothing(standing: Standing) -> None:
    async def body() -> None:
        async with standing() as rig:
            stranger, known = rig.forwarder(STRANGER), rig.forwarder(A)
            stranger.push(push_body(rxpk()))
            stranger.send_pull()
            stranger.tx_ack(1)
            await known.pull()
            assert rig.count("unknown_gateway") == 3
            assert not rig.uplinks
            assert not waiting(stranger.up) + waiting(stranger.down)

    run(body())


def test_a_flood_of_new_names_is_one_line_in_the_log(standing: Standing, caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        async with standing() as rig:
            forwarder = rig.forwarder()
            for number in range(2000):
                forwarder.down.sendto(other.datagram(other.PULL_DATA, 1, number.to_bytes(8, "big")), rig.server)
                if number % 100 == 0:
                    await forwarder.pull()
            await forwarder.pull()
            assert rig.count("unknown_gateway") == 2000
            assert len([record for record in caplog.records if record.message == "unknown_gateway"]) == 1

    run(body())


def test_a_gateway_is_held_to_its_address_until_that_is_silent(standing: Standing) -> None:
    async def body() -> None:
        async with standing(pin_s=_PIN_S) as rig:
            real, moved = rig.forwarder(A, "127.0.0.1"), rig.forwarder(A, "127.0.0.2")
            await real.pull()
            await rig.counters.until("pull_data")  # behind a front a moment later: before it there is no way down
            moved.push(push_body(rxpk()))
            moved.send_pull()
            await rig.until_counted("address_pinned", 2)
            assert not rig.uplinks
            assert not waiting(moved.up) + waiting(moved.down)
            sending = await downlink(rig)
            token, _ = await real.pull_resp()  # the attempt did not turn the downlinks
            real.tx_ack(token)
            assert (await sending).sent

            rig.clock.now_s += _PIN_S - 0.1
            moved.send_pull()
            await rig.until_counted("address_pinned", 3)
            rig.clock.now_s += 0.2  # refused attempts do not count as signs of life
            moved.push(push_body(rxpk()))
            await receive(moved.up)
            assert len(rig.uplinks) == 1
            assert rig.judge.forwarders[A].pull_address is None, "the old address is not good any more either"
            await moved.pull()
            real.send_pull()
            await rig.until_counted("address_pinned", 4)
            sending = await downlink(rig)
            token, _ = await moved.pull_resp()
            moved.tx_ack(token)
            assert (await sending).sent
            assert not waiting(real.down)

    run(body())


def test_a_gateway_with_a_list_is_believed_from_there_only(standing: Standing) -> None:
    async def body() -> None:
        gateways = [{"eui": A.hex(), "allow": ["127.0.1.0/24", "127.0.0.9"]}, {"eui": B.hex()}]
        async with standing(gateways=gateways, pin_s=_PIN_S) as rig:
            for address in ("127.0.0.1", "127.0.0.8", "127.0.2.1"):
                rig.forwarder(A, address).send_pull()
            await rig.forwarder(B).pull()
            assert rig.count("address_not_allowed") == 3
            await rig.forwarder(A, "127.0.1.77").pull()
            rig.clock.now_s += _PIN_S + 0.1
            await rig.forwarder(A, "127.0.0.9").pull()

    run(body())


def test_one_source_cannot_take_the_time_of_the_others(standing: Standing) -> None:
    async def body() -> None:
        async with standing(rate_per_s=10.0, rate_burst=20) as rig:
            greedy, modest = rig.forwarder(A, "127.0.0.3"), rig.forwarder(B, "127.0.0.4")
            await greedy.pull()  # from here on it is known at its address
            for _ in range(50):
                greedy.send_pull()
            await rig.until_counted("rate_limited", 30)
            await modest.pull()
            assert (rig.count("rate_limited"), len(waiting(greedy.down))) == (30, 20)
            rig.clock.now_s += 0.5
            for _ in range(10):
                greedy.send_pull()
            await rig.until_counted("rate_limited", 35)
            await modest.pull()
            assert (rig.count("rate_limited"), len(waiting(greedy.down))) == (35, 5)

    run(body())


def test_gateways_behind_one_address_each_have_a_rate_of_their_own(standing: Standing) -> None:
    async def body() -> None:
        async with standing(rate_per_s=10.0, rate_burst=20) as rig:
            greedy, modest, stranger = (rig.forwarder(eui, "127.0.0.5") for eui in (A, B, bytes(8)))
            await greedy.pull()
            await modest.pull()
            for _ in range(40):
                greedy.send_pull()
            await rig.until_counted("rate_limited", 20)
            for _ in range(15):
                await modest.pull()
            for _ in range(40):  # what is not known there shares what the two have left of the address's
                stranger.send_pull()
            await rig.until_counted("rate_limited", 42)
            await modest.pull()
            assert (rig.count("rate_limited"), rig.count("unknown_gateway")) == (42, 18)

    run(body())


def test_a_datagram_over_the_limit_is_refused_whole(standing: Standing) -> None:
    async def body() -> None:
        async with standing() as rig:
            forwarder = rig.forwarder()
            forwarder.push(push_body(rxpk()).ljust(40_000))
            await forwarder.pull()
            assert (rig.count("wrong_length"), rig.uplinks) == (1, [])

    run(body())
