# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Commands at a gateway of two workers: each hears every one, exactly one obeys, and one says what is wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consumer import results
from consumer.certificates import TrustStore
from consumer.commands import Command, new_id, sign
from gateway.commands.part import Part
from gateway.errors import CommandRefused
from gateway.network.share import Share, of_device
from tests.commands_rig import URN, add_commander
from tests.conftest import Mosquitto
from tests.gateway_rig import GATEWAY_EUI, START_S, City, Device, until
from tests.lora_rig import Air
from tests.mqtt_rig import Listener
from tests.workers_rig import device_of, gateway, joined, on_air, receipted

pytestmark = [pytest.mark.timeout(600), pytest.mark.apart]
TOPIC = f"lykta/v1/{GATEWAY_EUI.hex()}"


class Room:
    """A control room, and all that it hears."""

    def __init__(self, city: City, port: int) -> None:
        self.listener = Listener(port)
        self.key = add_commander(city.registry)
        self.trust = TrustStore([city.ca])
        self.trust.add(city.certificate_pem)

    def order(self, *devices: Device | bytes, key: Ed25519PrivateKey | None = None) -> bytes:
        """Give a command; return its id."""
        euis = tuple(each if isinstance(each, bytes) else each.dev_eui for each in devices)
        now_s = int(time.time())
        command = Command("room", URN, euis, "dim", {"percent": 40}, now_s, now_s + 600, new_id())
        topic = f"{TOPIC}/commands/room/{command.command_id.hex()}"
        self.listener.publish(topic, sign(command, key or self.key), retain=True)
        return command.command_id

    def said(self, command_id: bytes) -> list[results.Result]:
        """What was said of a command as a whole, the earliest first; a message that came again counts once."""
        came = dict.fromkeys(each.payload for each in self.listener.under("/results/"))
        found = [results.read(each, self.trust) for each in came]
        return [each for each in found if each.device is None and each.command_id == command_id]

    async def hears(self, command_id: bytes, *states: str) -> list[results.Result]:
        """Wait for as many answers; return them."""
        await asyncio.to_thread(until, lambda: len(self.said(command_id)) >= len(states), f"{states}", START_S)
        found = self.said(command_id)
        assert [each.state for each in found] == list(states)
        return found

    async def cleared(self, command_id: bytes) -> None:
        """Wait until the broker keeps a command no longer."""

        def gone() -> bool:
            came = [each.payload for each in self.listener.under(f"/commands/room/{command_id.hex()}")]
            return bool(came) and came[-1] == b""

        await asyncio.to_thread(until, gone, "the command to be cleared", START_S)


async def obeys(air: Air, *devices: Device) -> None:
    """Wait until each device was told something on the port of commands; the rest is for others, or comes again."""
    left = {device.live.dev_addr: device for device in devices}
    while left:
        asked = await air.next()
        device = left.get(int.from_bytes(asked.phy[1:5], "little"))
        if device is not None and device.take(asked.phy).fport == 3:
            del left[device.live.dev_addr]


def _listed(config: Path, *options: str) -> dict[str, list[str]]:
    """The devices of each command, as `lykta-gateway commands` lists them."""
    done = gateway(config, "commands", "--json", *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len({each["id"] for each in found}) == len(found), "one command twice"
    return {each["id"]: [device["dev_eui"] for device in each["devices"]] for each in found}


def test_each_device_obeys_once_and_nobody_answers_for_another(tmp_path: Path, mosquitto: Mosquitto) -> None:
    asyncio.run(_scenario(City(tmp_path), mosquitto.port))


async def _scenario(city: City, port: int) -> None:
    room = Room(city, port)
    first, second = device_of(city, 1), device_of(city, 2)
    stranger = bytes.fromhex("70b3d57ed0ffffff")
    async with on_air(city, port, "commands = true") as (air, running):
        for device in (first, second):
            await joined(air, device)
            await receipted(air, device, 1)
        given = Counter({room.order(first): 1})
        await obeys(air, first)
        given[room.order(second)] = 1
        await obeys(air, second)
        nobody, forged = room.order(stranger), room.order(first, key=Ed25519PrivateKey.generate())
        (refused,) = await room.hears(nobody, "refused")
        assert refused.left_out[stranger.hex()].startswith("unknown_device")
        assert "not_authentic" in (await room.hears(forged, "refused"))[0].why
        given |= Counter({nobody: 1, forged: 1})
        for command_id in given:
            await room.cleared(command_id)
        running.workers[2].kill()
        both = room.order(first, second, stranger)
        await room.hears(both, "queued")
        await obeys(air, first)
        assert room.listener.under(f"/commands/room/{both.hex()}")[-1].payload, "a worker that is away needs it still"
        running.start_worker(2)
        await obeys(air, second)
        parts = await room.hears(both, "queued", "queued")
        assert [list(each.left_out) for each in sorted(parts, key=lambda each: len(each.left_out))] == [
            [], [stranger.hex()],
        ]  # fmt: skip
        listed = await asyncio.to_thread(_listed, running.config)
        assert set(listed) >= {both.hex(), *(each.hex() for each in given if each not in (nobody, forged))}
        assert set(listed[both.hex()]) == {first.dev_eui.hex(), second.dev_eui.hex()}
        of_one = await asyncio.to_thread(_listed, running.config, "--worker", "1")
        assert of_one[both.hex()] == [first.dev_eui.hex()]
        for command_id, count in given.items():  # whoever had more to say said it before that
            assert len(room.said(command_id)) == count, room.said(command_id)
        await room.cleared(both)


def test_what_is_wrong_with_a_whole_command_is_said_once_and_what_is_one_workers_by_each() -> None:
    count = 3
    every = [number.to_bytes(8, "big") for number in range(20)]
    expired, none = CommandRefused("expired", "it ended"), CommandRefused("no_device", "none", left_out={"a": "b"})
    said = []
    for index in range(count):
        part = Part(Share(count, index), None)
        ours = [each for each in every if of_device(each, count) == index]
        said.append(part.refusal(every, ours, expired))
        assert part.refusal(every, ours, none) == {"a": "b"}
        assert set(part.refusal(every, ours, CommandRefused("busy", "full")) or ()) == {each.hex() for each in ours}
        assert part.refusal(ours, ours, none) is None
    assert said.count(None) == 1
    assert said.count({}) == count - 1
    for message in every:
        assert sum(Part(Share(count, index), None).speaks(message * 4) for index in range(count)) == 1
