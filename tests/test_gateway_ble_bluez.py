# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The Bluetooth link on bleak's own BlueZ backend, against a look-alike of BlueZ on a private D-Bus, with errors."""

import asyncio
import random
import select
import subprocess
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from firmware.wire import segment
from gateway.errors import LinkError
from gateway.links import Uplink
from tests.ble_rig import Board, Gateway, board
from tests.bluez_lookalike import BluezError, LookAlike

pytestmark = pytest.mark.timeout(600)

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default">
<allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/>
</policy>
</busconfig>"""


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A D-Bus of our own, as another process."""
    folder = tmp_path_factory.mktemp("dbus")
    config = folder / "bus.conf"
    config.write_text(_CONFIG.format(path=folder / "bus"))
    with subprocess.Popen(
        ["dbus-daemon", "--nofork", "--nopidfile", "--print-address", f"--config-file={config}"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            assert select.select([process.stdout], [], [], 30)[0], "dbus-daemon does not start"
            assert process.stdout.readline().startswith(b"unix:path=")
            yield f"unix:path={folder / 'bus'}"
        finally:
            process.terminate()


@pytest.fixture(autouse=True)
def system_bus(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def frames(rng: random.Random, count: int) -> list[bytes]:
    return [rng.randbytes(rng.randrange(12, 256)) for _ in range(count)]


def test_frames_pass_both_ways_and_none_of_a_burst_is_lost(rng: random.Random) -> None:
    up, down = frames(rng, 100), frames(rng, 10)

    async def scenario() -> None:
        one = board(1, mtu=rng.choice([23, 100, 247]))
        gateway = Gateway()
        async with LookAlike([one]) as bluez, gateway.running():
            await gateway.until(lambda: one.ready, "the board is told that the gateway listens")
            for phy in down:
                await gateway.link.send(one.address, phy)
            await gateway.until(lambda: len(one.frames) == len(down), "all downlinks")
            for phy in up:
                one.send(phy)
            await gateway.until(lambda: len(gateway.heard) == len(up), "all uplinks")
            assert one.frames == down
            assert gateway.phys(one.address) == up
            assert "StartNotify" not in bluez.calls, "as signals, values that come fast are merged"

    run(scenario())


async def passes(gateway: Gateway, one: Board, rng: random.Random) -> None:
    """A frame up and one down, on whatever connection there is now."""
    up, down = frames(rng, 2)
    one.greeting, one.answers = [up], lambda _frame: []

    def answer(uplink: Uplink) -> None:
        if uplink.phy == up:
            asyncio.get_running_loop().create_task(gateway.link.send(uplink.address, down))

    gateway.on_frame = answer
    if one.listened_to:
        one.greet()
    await gateway.until(lambda: up in gateway.phys() and down in one.frames, "a frame up and its answer")


def test_an_adapter_that_is_not_there_is_waited_for(rng: random.Random) -> None:
    async def scenario() -> None:
        one = board(1)
        gateway = Gateway()
        async with LookAlike([one]) as bluez:
            bluez.unplug()
            async with gateway.running():
                await gateway.until(lambda: gateway.counted("radio_absent"), "the absence is noticed")
                assert gateway.link.status()["state"] == "absent"
                bluez.plug()
                await passes(gateway, one, rng)
                assert gateway.link.status()["open"] is True

    run(scenario())


def test_an_adapter_that_is_pulled_ends_connections_and_comes_back(rng: random.Random) -> None:
    async def scenario() -> None:
        one = board(1)
        gateway = Gateway()
        async with LookAlike([one]) as bluez, gateway.running():
            await passes(gateway, one, rng)
            bluez.unplug()
            await gateway.until(lambda: gateway.link.status()["connected"] == 0, "the connection is over")
            with pytest.raises(LinkError, match="not connected"):
                await gateway.link.send(one.address, b"x" * 20)
            await gateway.until(lambda: gateway.link.status()["state"] == "absent", "the absence is noticed")
            bluez.plug()
            await passes(gateway, one, rng)

    run(scenario())


def test_a_search_that_bluez_does_not_end_is_named_and_tried_again(rng: random.Random) -> None:
    async def scenario() -> None:
        one = board(1)
        gateway = Gateway()
        async with LookAlike([one]) as bluez:
            bluez.fail["StartDiscovery"] = BluezError("InProgress", "Operation already in progress")
            async with gateway.running():
                await gateway.until(lambda: bluez.calls.get("StartDiscovery", 0) >= 3, "three tries")
                assert gateway.link.status()["state"] == "stuck"
                assert gateway.counted("radio_stuck") == 1, "said once, not at every try"
                del bluez.fail["StartDiscovery"]
                await passes(gateway, one, rng)

    run(scenario())


def test_a_search_that_hears_nothing_is_begun_anew(rng: random.Random) -> None:
    async def scenario() -> None:
        one = board(1)
        gateway = Gateway(scan_s=0.1)
        async with LookAlike([one]) as bluez, gateway.running():
            bluez.deaf = True
            begun = bluez.calls.get("StartDiscovery", 0)
            await gateway.until(lambda: bluez.calls.get("StartDiscovery", 0) >= begun + 3, "new searches")
            bluez.deaf = False
            await passes(gateway, one, rng)

    run(scenario())


@pytest.mark.parametrize(
    ("member", "error"),
    [
        ("Connect", BluezError("Failed", "le-connection-abort-by-remote")),
        ("Connect", BluezError("InProgress")),
        ("AcquireNotify", BluezError("NotPermitted", "Notify acquired")),
        ("WriteValue", BluezError("Failed", "Operation failed with ATT error: 0x0e")),
        ("Disconnect", BluezError("Failed")),
        ("StopDiscovery", BluezError("Failed", "No discovery started")),
    ],
)
def test_a_call_that_fails_costs_a_try(member: str, error: BluezError, rng: random.Random) -> None:
    async def scenario() -> None:
        one = board(1)
        gateway = Gateway()
        async with LookAlike([one]) as bluez:
            bluez.fail[member] = error
            async with gateway.running():
                if member == "Disconnect":
                    await passes(gateway, one, rng)
                    one.disconnect()
                else:
                    await gateway.until(lambda: bluez.calls.get(member, 0) >= 2, "two tries")
                del bluez.fail[member]
                await passes(gateway, one, rng)

    run(scenario())


def test_a_connection_that_breaks_in_a_frame_costs_that_frame_only(rng: random.Random) -> None:
    async def scenario() -> None:
        one = board(1, mtu=23)
        gateway = Gateway()
        async with LookAlike([one]) as bluez, gateway.running():
            await passes(gateway, one, rng)
            long = rng.randbytes(200)
            one.greeting = []
            for piece in list(segment.Segmenter().split(long, 20))[:5]:
                one.say(piece)
            one.disconnect()
            await gateway.until(lambda: gateway.counted("ended_gone"), "the end is noticed")
            await passes(gateway, one, rng)
            assert long not in gateway.phys()
            assert bluez.calls["Connect"] == 2

    run(scenario())


def test_a_bluetoothd_that_is_killed_and_started_again_serves_on(rng: random.Random) -> None:
    async def scenario() -> None:
        one = board(1)
        gateway = Gateway(scan_s=0.2, alive_s=0.2)
        async with LookAlike([one]) as bluez, gateway.running():
            await passes(gateway, one, rng)
            for _ in range(2):
                await bluez.kill()
                await bluez.start()
                await passes(gateway, one, rng)

    run(scenario())
