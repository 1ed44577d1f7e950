# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The front takes another configuration, its port open: forwarders come and go, what needs more is refused whole."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from gateway import config as config_file
from gateway.config import Loaded
from gateway.front import reload
from gateway.front.line import Line
from gateway.front.scan import Router
from gateway.operate.counters import Counters
from gateway.operate.logs import EventLog
from tests.gateway_rig import City
from tests.lora_link_rig import (
    STRANGER,
    A,
    B,
    downlink,
    fronted,
    run,
    settings,
)
from tests.outbox_rig import TestClock
from tests.packet_forwarder import push_body, receive, rxpk, waiting
from tests.workers_rig import workers_config

NEW = bytes.fromhex("aa555a00000001ff")


def test_forwarders_come_and_go_while_the_port_stays_open() -> None:
    async def body() -> None:
        async with fronted() as rig:
            assert rig.front is not None
            stays, goes, comes = rig.forwarder(A), rig.forwarder(B), rig.forwarder(STRANGER)
            for each in (stays, goes):
                await each.pull()
            await rig.counters.until("pull_data", 2)  # the link behind it knows both
            before = rig.server
            listed = [{"eui": A.hex()}, {"eui": STRANGER.hex(), "allow": ["127.0.0.0/8"]}]
            changed = settings(bind=f"127.0.0.1:{before[1]}", gateways=listed)
            assert not rig.front.fits(changed), "a port that was any is another one when it has a number"
            changed = settings(gateways=listed, away_s=90.0)
            assert rig.front.fits(changed)
            rig.front.adopt(changed)
            assert rig.link.adopt(settings(gateways=[{"eui": each.hex()} for each in (A, B, STRANGER)]).behind_front())
            assert rig.server == before
            goes.push(push_body(rxpk()))
            await rig.until_counted("unknown_gateway", 1)
            assert not waiting(goes.up)
            for each in (stays, comes):
                await each.pull()
                each.push(push_body(rxpk()))
                await receive(each.up)
            await rig.counters.until("pull_data", 4)
            for each in (stays, comes):
                sending = await downlink(rig, each.eui)
                token, _ = await each.pull_resp()
                each.tx_ack(token)
                assert (await sending).sent

    run(body())


class Rig:
    """A front's configuration, and its lines, which do not run."""

    def __init__(self, tmp_path: Path) -> None:
        self.city = City(tmp_path)
        self.path = workers_config(self.city, 1700)
        self.loaded: Loaded = config_file.load(self.path)
        self.counters = Counters()
        self.lines = [Line(link, [], Router(2, {}), TestClock(), self.counters) for link in self.loaded.links]  # type: ignore[arg-type]

    def change(self, old: str, new: str) -> None:
        text, changed = re.subn(old, lambda _: new, self.path.read_text(), count=1)
        assert changed == 1, text
        self.path.write_text(text)

    def reload(self) -> dict[str, Any]:
        self.loaded, outcome = asyncio.run(reload.reload(self.loaded, self.lines, self.counters, EventLog("front")))
        return outcome


@pytest.fixture
def front(tmp_path: Path) -> Any:
    made = Rig(tmp_path)
    yield made
    made.city.registry.close()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (r'bind = "127.0.0.1:1700"', 'bind = "127.0.0.1:1701"', "order, ports and buffers"),
        (r"\[\[platforms\]\]", '[[links]]\ntype = "lora"\nname = "far"\nbind = "127.0.0.1:1702"\n'
         'gateways = [{ eui = "aa555a0000000109" }]\n[[platforms]]', "order, ports and buffers"),
        (r"\[\[platforms\]\]", '[operate]\nlisten = "127.0.0.1:8470"\n[[platforms]]', "operate.listen"),
        (r"count = 2", "count = 3", r"workers.count (2 -> 3) cannot change"),
        (r"\[workers\]", "[laborers]", "laborers"),
        (r"\[workers\]", "[workers", "gateway.toml"),
    ],
    ids=["port", "link", "page", "count", "key", "toml"],
)  # fmt: skip
def test_what_takes_a_restart_or_is_wrong_is_refused_whole(front: Rig, old: str, new: str, why: str) -> None:
    before, listed = front.loaded, set(front.lines[0].forwarders)
    front.change(old, new)
    outcome = front.reload()
    assert not outcome["ok"]
    assert why in outcome["message"]
    assert front.loaded is before
    assert set(front.lines[0].forwarders) == listed
    assert front.counters.snapshot()["reloads"] == {"refused": 1}


def test_a_forwarder_that_is_listed_now_is_let_in(front: Rig) -> None:
    assert NEW not in front.lines[0].forwarders
    front.change(r"\[\[links\.gateways\]\]", f'[[links.gateways]]\neui = "{NEW.hex()}"\n[[links.gateways]]')
    assert front.reload()["ok"]
    assert NEW in front.lines[0].forwarders
    assert front.counters.snapshot()["reloads"] == {"taken": 1}
