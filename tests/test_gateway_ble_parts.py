# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whose hint it is, whose turn it is, and what may be configured."""

import ast
import asyncio
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from firmware.wire import gatt
from gateway.errors import LinkError
from gateway.links import ble
from gateway.links.ble.adapter import Sighting
from gateway.links.ble.peers import Peers
from gateway.network.aes import ecb
from gateway.network.hints import Hints
from gateway.operate.counters import Counters
from tests.ble_rig import key_of
from tests.gateway_rig import ROOT
from tests.outbox_rig import TestClock


@dataclass
class Register:
    """Devices by number, and how often somebody asked."""

    states: dict[int, str]
    clock: TestClock = field(default_factory=TestClock)
    listed: int = 0
    keys: int = 0
    list_takes_s: float = 0.0
    broken: bool = False

    def devices(self) -> list[SimpleNamespace]:
        self.listed += 1
        self.clock.sleep(self.list_takes_s)
        if self.broken:
            raise RuntimeError("the database is away")
        return [
            SimpleNamespace(dev_eui=number.to_bytes(8, "big"), state=state) for number, state in self.states.items()
        ]

    def app_key(self, dev_eui: bytes) -> bytes:
        self.keys += 1
        number = int.from_bytes(dev_eui, "big")
        if number == 666:
            raise LookupError("no key")
        return key_of(number)


def hint(number: int, counter: int = 0, flags: int = 0) -> bytes:
    return gatt.hint(ecb(gatt.hint_key(ecb(key_of(number)))), counter, flags)


def name(number: int) -> str:
    return number.to_bytes(8, "big").hex()


def recogniser(register: Register) -> Callable[[bytes], str | None]:
    hints = Hints(register.clock)
    hints.open(register)  # type: ignore[arg-type]
    return lambda data: asyncio.run(hints.recognise(data))


def test_hints_of_registered_devices_are_recognised_however_they_rotate(rng: random.Random) -> None:
    register = Register(dict.fromkeys([*range(1, 40), 666], "registered") | {50: "retired"})
    ask = recogniser(register)
    for _ in range(60):
        number = rng.randrange(1, 40)
        assert ask(hint(number, rng.randrange(65536), rng.randrange(4))) == name(number)
    assert ask(hint(50)) is None
    assert ask(hint(99)) is None
    assert (register.listed, register.keys) == (1, 40)


@pytest.mark.parametrize("data", [b"", b"\x10", bytes(6), b"\x20" + bytes(5), bytes(7), bytes(31)])
def test_what_is_no_hint_asks_nobody(data: bytes) -> None:
    register = Register({0: "registered"})
    assert recogniser(register)(data) is None
    assert register.listed == 0


def test_before_the_register_is_open_nobody_is_known() -> None:
    assert asyncio.run(Hints(TestClock()).recognise(hint(1))) is None


def test_registration_and_retirement_are_heard_of() -> None:
    register = Register({1: "registered"})
    ask = recogniser(register)
    assert ask(hint(2)) is None
    register.states[2] = "registered"
    register.clock.sleep(61)
    assert ask(hint(2)) == name(2)
    register.states[1] = "retired"
    assert ask(hint(1, 5)) == name(1), "for a minute"
    register.clock.sleep(61)
    assert ask(hint(1, 5)) is None


def test_strangers_do_not_make_the_register_work(rng: random.Random) -> None:
    register = Register({1: "registered"}, list_takes_s=1.0)
    ask = recogniser(register)
    assert ask(hint(1)) == name(1)
    for counter in range(1000):
        register.clock.sleep(0.1)
        assert ask(b"\x10" + rng.randbytes(5)) is None
        assert ask(hint(1, counter)) == name(1), "who was heard lately is known all the same"
    assert register.listed <= 10, "100 s: at most a tenth of the time"


def test_a_register_that_is_away_costs_recognition_and_nothing_else() -> None:
    register = Register({1: "registered"}, broken=True)
    ask = recogniser(register)
    assert ask(hint(1)) is None
    register.broken = False
    register.clock.sleep(61)
    assert ask(hint(1)) == name(1)


def sighting(number: int, flags: int = gatt.WAITING) -> Sighting:
    return Sighting(f"C0:00:00:00:00:{number:02X}", hint(number, flags=flags), -60, None)  # type: ignore[arg-type]


def test_a_place_goes_to_who_waits_longest_and_failures_rest_longer_and_longer() -> None:
    peers = Peers()
    for number in (1, 2, 3):
        peers.add(sighting(number), f"d{number}", float(number))
    order = []
    for now_s in range(4, 10):
        peer = peers.next(now_s, ())
        assert peer is not None
        order.append(peer.who)
        peers.served(peer, now_s)
    assert order == ["d1", "d2", "d3", "d1", "d2", "d3"]
    first = peers.next(10.0, ("d2", "d3"))
    assert first is not None and first.who == "d1"
    rests = []
    for _ in range(12):
        peers.failed(first, 10.0)
        rests.append(first.rest_until_s - 10.0)
    assert rests[:4] == [1, 2, 4, 8]
    assert max(rests) == rests[-1] == 120
    assert peers.next(10.5, ("d2", "d3")) is None


def test_who_is_out_of_reach_or_has_nothing_to_say_is_left_alone() -> None:
    peers = Peers(most=2)
    peers.add(sighting(1, flags=0), "d1", 0.0)
    assert peers.next(0.0, ()) is None
    peers.add(sighting(1), "d1", 1.0)
    assert peers.next(1.0, ()) is not None
    assert peers.next(40.0, ()) is None
    for number in range(2, 9):
        peers.add(sighting(number), f"d{number}", 2.0)
    assert len(peers) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"adapter": "eth0"},
        {"backend": "os.system"},
        {"connections": 0},
        {"connections": 33},
        {"connections": 2.5},
        {"scan_s": 0},
        {"port": "/dev/ttyACM0"},
        {"key": "00"},
    ],
)
def test_settings_are_strict(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ble.Settings.model_validate({"type": "ble", "name": "ble", **wrong})


@pytest.mark.parametrize("reference", ["no_such_module:it", "gateway.links.ble:nothing", "gateway.links.ble:Settings"])
def test_a_backend_that_is_not_there_is_said(reference: str) -> None:
    settings = ble.Settings(type="ble", name="ble", backend=reference)
    with pytest.raises(LinkError, match=reference):
        ble.build(settings, TestClock(), Counters())


def test_bleak_is_imported_by_who_has_the_link_and_nobody_else() -> None:
    script = (
        "import gateway.daemon, gateway.cli, sys; print([name for name in sys.modules if name.startswith('bleak')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_nobody_reaches_behind_bleaks_public_interface() -> None:
    """What its documentation names: the package, its errors, and the types that callbacks are given."""
    public = {"bleak", "bleak.exc", "bleak.backends.device", "bleak.backends.scanner", "bleak.backends.characteristic"}
    found = set()
    for path in (*(ROOT / "gateway/links/ble").glob("*.py"), *(ROOT / "provisioning/bluetooth").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "bleak":
                found.add(str(node.module))
            elif isinstance(node, ast.Import):
                found |= {each.name for each in node.names if each.name.split(".")[0] == "bleak"}
    assert "bleak" in found
    assert found <= public
