# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Commands and results on a real broker: kept for a gateway that is away, cleared when taken, nothing too long read."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.operate import health
from tests.conftest import Mosquitto
from tests.gateway_rig import GATEWAY_EUI
from tests.mqtt_rig import Listener, Wire
from tests.test_gateway_mqtt import Rig

TOPIC = f"lykta/v1/{GATEWAY_EUI.hex()}"
ID = bytes(range(16))


@dataclass
class Answer:
    """A result that waits."""

    row: int
    topic: str
    message: bytes


class Gate:
    """Stands for the office: notes what comes, refuses to judge it as often as asked."""

    def __init__(self, postpone: int = 0) -> None:
        self.came: list[tuple[str, bytes, bytes]] = []
        self.waiting: list[Answer] = []
        self.gone: list[int] = []
        self._postpone = postpone
        self._news = asyncio.Event()

    async def take(self, _platform: str, commander: str, command_id: bytes, message: bytes) -> bool:
        self._postpone -= 1
        if self._postpone >= 0:
            return False
        self.came.append((commander, command_id, message))
        return True

    def say(self, *answers: Answer) -> None:
        self.waiting += answers
        self._news.set()

    async def answers(self, _platform: str, after: int) -> Sequence[Answer]:
        while not (found := [answer for answer in self.waiting if answer.row > after]):
            self._news.clear()
            await self._news.wait()
        return found

    async def taken(self, rows: Sequence[int]) -> None:
        self.gone += rows
        self.waiting = [answer for answer in self.waiting if answer.row not in rows]


def command(listener: Listener, payload: bytes, name: str = f"room/{ID.hex()}") -> None:
    listener.publish(f"{TOPIC}/commands/{name}", payload, retain=True)


def test_a_command_waits_for_its_gateway_and_is_cleared_when_it_is_taken(tmp_path: Path, mosquitto: Mosquitto) -> None:
    listener = Listener(mosquitto.port)
    command(listener, b"while it was away")

    async def scenario() -> None:
        gate = Gate(postpone=1)
        async with Rig(tmp_path, mosquitto.port, gate=gate, commands=True) as rig:
            await rig.until(lambda: gate.came)
            assert gate.came == [("room", ID, b"while it was away")]
            await rig.until(lambda: [message.payload for message in listener.under("/commands/")][1:] == [b""])
            command(listener, bytes(100_000), f"room/{bytes(16).hex()}")
            command(listener, b"strange", "room/not-an-id")
            await rig.until(lambda: len(gate.came) == 3)
            assert (len(gate.came[1][2]), gate.came[2][:2]) == (65_537, ("", b""))
            await rig.until(lambda: [message.payload for message in listener.under("/commands/")].count(b"") == 3)

    asyncio.run(scenario())
    listener.stop()
    fresh = Listener(mosquitto.port, f"{TOPIC}/commands/#")
    fresh.publish(f"{TOPIC}/commands/end/end", b"end")
    asyncio.run(_until_heard(fresh))
    fresh.stop()
    assert [message.payload for message in fresh.heard] == [b"end"], "nothing is left on the broker"


async def _until_heard(listener: Listener) -> None:
    async with asyncio.timeout(30):
        while not listener.heard:  # noqa: ASYNC110 - another thread's list
            await asyncio.sleep(0.01)


def test_results_are_published_once_and_forgotten_when_the_broker_has_them(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    listener = Listener(mosquitto.port)

    async def scenario() -> None:
        gate = Gate()
        gate.say(*(Answer(row, f"room/{ID.hex()}", b"%d" % row) for row in range(1, 301)))
        async with Rig(tmp_path, mosquitto.port, gate=gate, commands=True) as rig:
            rig.accept(100)  # envelopes beside them
            await rig.until(lambda: sorted(gate.gone) == list(range(1, 301)))
            await rig.all_published()
            await rig.until(lambda: len(listener.under("/results/")) == 300)

    asyncio.run(scenario())
    listener.stop()
    results = listener.under("/results/")
    assert [int(message.payload) for message in results] == list(range(1, 301))
    assert {message.topic for message in results} == {f"{TOPIC}/results/room/{ID.hex()}"}
    assert all(0 < message.properties.MessageExpiryInterval <= 86400 for message in results)


def test_a_broker_that_forbids_commands_keeps_nothing_else_up(tmp_path: Path, mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    acl = tmp_path / "acl"
    acl.write_text("topic write lykta/v1/+/records\ntopic write lykta/v1/+/certificate\n")
    mosquitto.config.write_text(mosquitto.config.read_text() + f"acl_file {acl}\n")
    mosquitto.start()

    async def scenario() -> None:
        gate = Gate()
        gate.say(Answer(1, f"room/{ID.hex()}", b"1"))
        async with Rig(tmp_path, mosquitto.port, gate=gate, commands=True) as rig:
            rig.accept(50)
            await rig.all_published()
            await rig.until(lambda: gate.gone == [1])
            assert rig.counted("connected") == 1

    asyncio.run(scenario())


def test_a_subscription_that_is_refused_is_in_the_status_and_everything_else_goes_on(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    def forbid(data: bytes) -> bytes:
        """Every SUBACK says: not authorized."""
        return re.sub(rb"(\x90\x04..\x00)[\x00-\x02]", lambda found: found[1] + b"\x87", data, flags=re.DOTALL)

    async def scenario() -> None:
        wire = Wire(mosquitto.port, forbid)
        async with Rig(tmp_path, wire.port, gate=Gate(), commands=True) as rig:
            rig.accept(50)
            await rig.all_published()
            await rig.until(lambda: rig.platform.status()["refused_subscriptions"] == ["commands/+/+"])
            said = {"connected": True, "in_flight": 0, "waiting_envelopes": 0, "oldest_waiting_s": None}
            found = {"name": "city", **said, **rig.platform.status()}
            (problem,) = health.platform_problems([found])
            assert problem.severity == "error"
            assert "commands/+/+" in problem.why
            assert "reload" in problem.next_step
            assert rig.counted("connected") == 1
        wire.close()

    asyncio.run(scenario())
