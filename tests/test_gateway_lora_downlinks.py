# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The LoRa link on real sockets: where downlinks go, and what a gateway says about them."""

import asyncio
import random
from typing import Any

import pytest

from gateway.errors import LinkBusy, LinkError
from gateway.links.lora.forwarders import MAX_PENDING
from gateway.radio import TxOutcome
from tests import packet_forwarder as other
from tests.lora_link_rig import (  # noqa: F401  fixtures; nothing_unforeseen watches every test here
    PHY,
    RX1,
    STRANGER,
    A,
    B,
    Standing,
    downlink,
    link_or_front,
    nothing_unforeseen,
    run,
    running,
)
from tests.packet_forwarder import push_body, receive, rxpk, waiting


def test_a_downlink_goes_to_the_last_pull_data_only() -> None:
    async def body() -> None:
        async with running() as rig:
            old, new, neighbour = rig.forwarder(), rig.forwarder(), rig.forwarder(B)
            await old.pull()
            await neighbour.pull()
            await new.pull()
            old.push(push_body(rxpk()))  # an uplink from elsewhere changes nothing
            assert (await receive(old.up))[3] == other.PUSH_ACK
            sending = await downlink(rig)
            token, txpk = await new.pull_resp()
            assert (txpk["tmst"], txpk["freq"], txpk["datr"], txpk["powe"]) == (RX1.tmst_us, 868.1, "SF7BW125", 14)
            assert (txpk["imme"], txpk["ipol"], txpk["ncrc"], txpk["size"]) == (False, True, True, len(PHY))
            new.tx_ack(token)
            assert await sending == TxOutcome("sent")
            assert not waiting(old.up) + waiting(old.down) + waiting(new.up) + waiting(neighbour.down)
            assert rig.count("pull_address_changed") == 3

    run(body())


def test_a_gateway_with_a_better_antenna_is_asked_for_less_power() -> None:
    """The limits of ERC/REC 70-03 are radiated power; ``powe`` is what goes into the antenna."""

    async def body() -> None:
        gateways = [{"eui": A.hex(), "antenna_dbi": 8.0}, {"eui": B.hex(), "antenna_dbi": -1.0}]
        async with running(gateways=gateways) as rig:
            for eui, power_dbm in ((A, 8), (B, 14)):
                forwarder = rig.forwarder(eui)
                await forwarder.pull()
                sending = await downlink(rig, eui)
                token, txpk = await forwarder.pull_resp()
                assert txpk["powe"] == power_dbm
                forwarder.tx_ack(token)
                assert (await sending).sent

    run(body())


@pytest.mark.parametrize(
    ("report", "outcome"),
    [
        ({}, TxOutcome("sent")),
        ({"error": "NONE"}, TxOutcome("sent")),
        ({"warn": "TX_POWER", "value": 12}, TxOutcome("sent", warning="TX_POWER", value=12)),
        ({"error": "TOO_LATE"}, TxOutcome("refused", error="TOO_LATE")),
        ({"error": "TX_POWER"}, TxOutcome("refused", error="TX_POWER")),
        ({"error": "QUEUE_FULL"}, TxOutcome("refused", error="QUEUE_FULL")),
    ],
    ids=str,
)
def test_the_outcome_is_what_the_gateway_says(standing: Standing, report: dict[str, Any], outcome: TxOutcome) -> None:
    async def body() -> None:
        async with standing() as rig:
            forwarder = rig.forwarder()
            await forwarder.pull()
            await rig.counters.until("pull_data")  # behind a front a moment later
            sending = await downlink(rig)
            token, _ = await forwarder.pull_resp()
            forwarder.tx_ack(token, **report)
            assert await sending == outcome
            assert outcome.sent is (outcome.result == "sent")
            names = {"": None, "QUEUE_FULL": "tx_error_other"}
            counted = names.get(outcome.error, f"tx_error_{outcome.error.lower()}")
            assert counted is None or rig.counters.link(counted) == 1

    run(body())


def test_a_tx_ack_counts_only_from_its_gateway_with_its_token() -> None:
    async def body() -> None:
        async with running() as rig:
            a, b = rig.forwarder(A), rig.forwarder(B)
            await a.pull()
            await b.pull()
            sending = await downlink(rig)
            token, _ = await a.pull_resp()
            b.tx_ack(token, error="TOO_LATE")
            await b.pull()
            a.tx_ack(token ^ 1, error="TOO_LATE")
            await a.pull()
            assert rig.count("tx_ack_unmatched") == 2
            assert not sending.done()
            a.tx_ack(token)
            a.tx_ack(token, error="TOO_LATE")  # the second answer to one question is none
            assert await sending == TxOutcome("sent")
            await a.pull()
            assert (rig.count("tx_ack"), rig.count("tx_ack_unmatched")) == (1, 3)

    run(body())


def test_many_downlinks_wait_at_once_and_are_not_confused(rng: random.Random) -> None:
    async def body() -> None:
        async with running() as rig:
            forwarders = [rig.forwarder(A), rig.forwarder(B)]
            expected: list[tuple[asyncio.Task[TxOutcome], TxOutcome]] = []
            answers = []
            for forwarder in forwarders:
                await forwarder.pull()
                for number in range(MAX_PENDING):
                    sending = await downlink(rig, forwarder.eui)
                    token, _ = await forwarder.pull_resp()
                    error = f"E{number}" if number % 2 else ""
                    expected.append((sending, TxOutcome("refused" if error else "sent", error=error)))
                    answers.append((forwarder, token, {"error": error} if error else {}))
                with pytest.raises(LinkBusy):
                    await rig.link.send(forwarder.eui.hex(), PHY, RX1)
            rng.shuffle(answers)
            for forwarder, token, report in answers:
                forwarder.tx_ack(token, **report)
            for sending, outcome in expected:
                assert await sending == outcome

    run(body())


def test_no_answer_and_a_cancelled_wait_leave_nothing_behind() -> None:
    async def body() -> None:
        async with running(ack_wait_s=0.05) as rig:
            forwarder = rig.forwarder()
            await forwarder.pull()
            assert await rig.link.send(A.hex(), PHY, RX1) == TxOutcome("no_answer")
            late, _ = await forwarder.pull_resp()
            sending = await downlink(rig)
            await forwarder.pull_resp()
            assert rig.link.forwarders[A].pending == 1
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            assert rig.link.forwarders[A].pending == 0
            forwarder.tx_ack(late)
            await forwarder.pull()
            assert (rig.count("downlink_no_answer"), rig.count("tx_ack_unmatched")) == (1, 1)

    run(body())


def test_a_downlink_without_a_way_is_refused() -> None:
    async def body() -> None:
        async with running() as rig:
            forwarder = rig.forwarder()
            forwarder.push(push_body(rxpk()))
            await receive(forwarder.up)
            with pytest.raises(LinkError, match="no PULL_DATA yet"):
                await rig.link.send(A.hex(), PHY, RX1)
            await forwarder.pull()
            rig.clock.now_s += 181
            with pytest.raises(LinkError, match="no PULL_DATA for 181 s"):
                await rig.link.send(A.hex(), PHY, RX1)
            for address in (STRANGER.hex(), "", "not hex"):
                with pytest.raises(LinkError, match="no gateway"):
                    await rig.link.send(address, PHY, RX1)
            with pytest.raises(LinkError, match="frequency"):
                await rig.link.send(A.hex(), PHY)
            await forwarder.pull()
            with pytest.raises(LinkError, match="1 to 255 bytes"):
                await rig.link.send(A.hex(), b"", RX1)
            assert rig.link.forwarders[A].pending == 0
            assert not waiting(forwarder.down)

    run(body())


# ---- who is believed
