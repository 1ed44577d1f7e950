# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped node on a virtual board, updated over its own link: a good build stays, bad ones are undone."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from boards.virtual.image import list_files, read_file
from firmware.wire.readings import FPORT_UPDATE
from provisioning.bench.package import Package, Purpose, package_for
from provisioning.updates import release
from provisioning.updates.sender import ASK, DONE, FAILED, TRIAL, Sender
from tests import node_rig
from tests.node_rig import Rig, identity, identity_files
from tests.update_rig import KEY, board_image

pytestmark = [pytest.mark.apart, pytest.mark.timeout(600)]
ROOM = 222


def node() -> Package:
    return package_for("virtual", Purpose("street_light", frozenset({"serial"})))


def newer() -> Package:
    return replace(node(), files={**node().files, "firmware/newer.mpy": node().files["firmware/__init__.mpy"]})


async def answered(rig: Rig, told: int) -> None:
    await rig.until(lambda: len(rig.server.answers) > told, "an answer")


async def deliver(rig: Rig, one: release.Release, sender: Sender) -> None:
    """What a gateway does, until the release is settled or on trial."""
    told = len(rig.server.answers)
    waiting = [ASK]
    while sender.state not in (DONE, FAILED, TRIAL):
        for payload in waiting:
            rig.type(b"\0" + node_rig.cobs.frame(rig.server.ask(FPORT_UPDATE, payload)))
        await answered(rig, told)
        waiting = sender.next(rig.server.answers[told][1], ROOM)
        told += 1


async def settled(rig: Rig, sender: Sender) -> None:
    """Ask until the trial has ended."""
    while sender.state == TRIAL:
        told = len(rig.server.answers)
        rig.type(b"\0" + node_rig.cobs.frame(rig.server.ask(FPORT_UPDATE, ASK)))
        try:
            async with asyncio.timeout(5):  # while it restarts nobody hears
                await answered(rig, told)
        except TimeoutError:
            continue
        sender.next(rig.server.answers[told][1], ROOM)


async def ready(rig: Rig) -> None:
    await rig.until(lambda: rig.server.session is not None and len(rig.server.readings) > 1, "a session")


@pytest.mark.slow  # make updates-test; tests/test_end_to_end_rollout.py tells the same of a gateway
def test_a_good_build_is_confirmed_by_the_network_and_a_bad_one_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_rig, "TIMEOUT_S", 120)
    image = board_image(tmp_path, node(), identity_files(identity(queue_bytes=8192)))
    good = release.make(newer(), 1, KEY, base=release.Base.of(node()), health_s=300)
    bad = release.make(
        replace(newer(), main=b"import nothing_like_this\n"), 2, KEY, base=release.Base.of(newer()), health_s=300
    )

    async def run() -> None:
        async with Rig(image) as rig:
            await ready(rig)
            sender = Sender(good.signed, good.bundle)
            await deliver(rig, good, sender)
            assert sender.state == TRIAL
            await rig.until_says(b"is on trial")
            await settled(rig, sender)
            assert (sender.state, sender.problem) == (DONE, ""), rig.text.decode()
            before = len(rig.server.readings)
            await rig.until(lambda: len(rig.server.readings) > before + 4, "readings of the new build")
            sender = Sender(bad.signed, bad.bundle)
            await deliver(rig, bad, sender)
            assert (sender.state, sender.problem) == (TRIAL, ""), rig.text.decode()
            await rig.until_says(b"was rolled back")
            await settled(rig, sender)
            assert (sender.state, sender.problem) == (FAILED, "unhealthy")
            again = Sender(good.signed, good.bundle)
            await deliver(rig, good, again)
            assert again.state == DONE, "it runs already"
            assert not rig.server.conflicts
            assert rig.board.state()["misuses"] == 0

    asyncio.run(run())
    head = read_file(image, "/main.py").split(b"\n")[0].decode()
    assert head == f"# Lykta: slot a on trial, else b, build {bad.name}", "without its token it runs b"
    assert {"/trial", "/data/offer", "/data/bundle"}.isdisjoint(list_files(image))
