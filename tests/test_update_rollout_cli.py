# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta update plan`, `start`, `status`, `abort`; and what a gateway reads of it and notes in the register."""

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firmware.wire.readings import FPORT_UPDATE
from gateway.clock import SystemClock
from gateway.gate import Beside
from gateway.operate.counters import Counters
from gateway.updates.gate import UpdateGate
from provisioning.city import City, create_city
from provisioning.cli import main
from provisioning.errors import RegisterError
from provisioning.register import log, rollouts
from provisioning.updates import keys, picture, release, rollout
from provisioning.updates.rollout import BoardState
from tests.terminal import ROOT, shown
from tests.update_rig import KEY, package


@pytest.fixture
def city(tmp_path: Path) -> City:
    made = create_city(tmp_path / "city", "Teststad")
    keys.create(made)
    with made.registry() as registry:
        for number in range(12):
            registry.register_device("street_light", name=f"lamp {number}")
    return made


@pytest.fixture
def file(city: City, tmp_path: Path) -> Path:
    path = tmp_path / "spring.lyktaup"
    path.write_bytes(release.make(package(2), 5, keys.signing(city)).write())
    return path


@pytest.fixture
def lykta(city: City, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    def run(*arguments: object, code: int = 0) -> str:
        capsys.readouterr()
        assert main(["-C", str(city.home), "update", *map(str, arguments)]) == code, capsys.readouterr()
        said = capsys.readouterr()
        return said.out if code == 0 else said.out + said.err

    return run


def noted(city: City, name: str, states: dict[int, str], problem: str = "") -> None:
    """As a gateway would."""
    with city.registry() as registry:
        with registry.reading() as connection:
            boards = rollouts.boards(connection, name)
        notes = [
            BoardState(boards[at].dev_eui, boards[at].wave, each, problem, 7, "g" * 16, 100)
            for at, each in states.items()
        ]
        rollouts.note(registry, name, notes)


def test_whoever_watches_sees_one_picture_on_a_terminal_and_what_changes_in_a_pipe(
    city: City, file: Path, lykta: Any, tmp_path: Path
) -> None:
    lykta("plan", file)
    lykta("start", "spring")
    noted(city, "spring", {0: rollout.SENDING})
    words = ["-m", "provisioning.cli", "-C", str(city.home), "update", "status", "spring", "--watch"]
    with subprocess.Popen([sys.executable, *words], cwd=ROOT, stderr=subprocess.PIPE, text=True) as piped:
        assert piped.stderr is not None
        assert "1 sending, 11 waiting" in piped.stderr.readline()
        noted(city, "spring", {0: rollout.CONFIRMED})
        assert "1 confirmed, 11 waiting" in piped.stderr.readline(), "the next line is the next change"
        said: list[str] = []
        drawn = threading.Thread(target=lambda: said.append(shown(words, tmp_path, 80)))
        drawn.start()
        noted(city, "spring", {1: rollout.SENDING})
        assert "1 confirmed, 1 sending" in piped.stderr.readline()
        noted(city, "spring", dict.fromkeys(range(12), rollout.CONFIRMED))
        drawn.join(60)
        piped.communicate(timeout=60)
        assert piped.returncode == 0
    assert max(map(len, re.split(r"[\r\n]+", said[0]))) <= 80
    assert "wave 3   ██████" in said[0]


def test_a_board_that_takes_nothing_is_asked_about() -> None:
    boards = [BoardState("70b3d57ed0000001", 1, rollout.SENDING, have=0, changed_at_s=1000)]
    found = rollouts.Rollout("spring", rollout.STARTED, rollout.Gates(), {"bytes": 100}, 1000)
    now = rollout.standing(rollout.STARTED, found.gates, boards, 1030)
    assert picture.text(found, boards, now, {}, 1030)[-1].endswith("sending 0 %")
    assert "sending 0 %, nothing came of it for 5 min: is it in reach" in picture.text(found, boards, now, {}, 1300)[-1]


def test_a_roll_out_from_its_plan_to_its_stop(city: City, file: Path, lykta: Any, tmp_path: Path) -> None:
    assert "waves of 1, 2, 9" in lykta("plan", file, "--waves", "1,10%", "--max-failed", 1)
    assert "is planned already" in lykta("plan", file, code=1)
    assert "There is no roll-out" in lykta("start", "summer", code=1)
    lykta("start", "spring")
    assert "This roll-out is started" in lykta("start", "spring", code=1)
    assert "spring: running, wave 1 of 3" in lykta("status")
    noted(city, "spring", {0: rollout.CONFIRMED, 1: rollout.FAILED, 2: rollout.SENDING}, "unhealthy")
    shown = json.loads(lykta("status", "spring", "--json"))
    assert (shown["state"], shown["wave"], shown["counts"]) == (
        "running", 2, {"confirmed": 1, "failed": 1, "sending": 1, "waiting": 9},
    )  # fmt: skip
    noted(city, "spring", {3: rollout.FAILED})
    drawing = tmp_path / "spring.svg"
    told = lykta("status", "spring", "--svg", drawing, code=1)
    assert "stopped, wave 2 of 3" in told
    assert "(2 failed, 1 may)" in told
    assert "failed: unhealthy" in told
    assert told.count("unhealthy: it did not work there, and the build before runs again") == 1
    bars = re.findall("<title>(.*?)</title>", drawing.read_text())
    assert bars == ["1 confirmed", "1 sending", "1 failed", "8 waiting", "1 failed"]
    lykta("abort", "spring")
    with city.registry() as registry, registry.reading() as connection:
        logged = [each.action for each in log.entries(connection, subject="spring")]
    assert logged == ["rollout.plan", "rollout.started", "rollout.aborted"]


def test_boards_of_a_roll_out_are_named_as_a_person_names_them(city: City, file: Path, lykta: Any) -> None:
    with city.registry() as registry:
        first, second, third, *_ = registry.devices()
    named = (first.name, second.dev_eui.hex(), third.name, third.dev_eui.hex())
    assert "3 boards" in lykta("plan", file, *named)
    with city.registry() as registry, registry.reading() as connection:
        planned = {each.dev_eui for each in rollouts.boards(connection, "spring")}
    assert planned == {each.dev_eui.hex() for each in (first, second, third)}


def test_what_is_not_signed_by_the_city_or_for_others_is_not_planned(city: City, file: Path, lykta: Any) -> None:
    forged = file.with_name("forged.lyktaup")
    forged.write_bytes(release.make(package(2), 5, KEY).write())
    assert "not signed by this city's release key" in lykta("plan", forged, code=1)
    assert "No device with this id, DevEUI or name" in lykta("plan", file, "0102030405060708", code=1)
    assert "A wave is" in lykta("plan", file, "--waves", "all", code=1)
    assert "no roll-out was planned" not in lykta("status")


class Writer:
    """The databases' thread of a gateway, and a session of each board."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bytes]] = []
        self.queue = SimpleNamespace(put=lambda item: self.sent.append((item.dev_eui, item.payload)))
        self.fports: set[int] = set()

    def session_of(self, _dev_eui: bytes) -> Any:
        return SimpleNamespace(last_uplink=SimpleNamespace(radio=None), radio=None)

    async def __call__(self, function: Any) -> Any:
        return function()


def test_a_gateway_asks_the_boards_of_the_first_wave_and_waits_for_a_register_that_is_away(
    city: City, file: Path, lykta: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lykta("plan", file, "--waves", "2")
    monkeypatch.setattr("gateway.updates.gate._LOOK_S", 0.01)
    failures = [RegisterError("locked")]
    original = rollouts.every

    def every(connection: Any) -> Any:
        if failures:
            raise failures.pop()
        return original(connection)

    monkeypatch.setattr(rollouts, "every", every)
    writer, counters = Writer(), Counters()

    async def run() -> None:
        gate = UpdateGate(Beside(writer, lambda: None, SystemClock(), counters))
        with city.registry() as registry:
            others: list[int] = []
            parts: Any = (writer, registry)
            gate.open(asyncio.get_running_loop(), parts, lambda: "0" * 16, lambda *answer: others.append(answer[2]))
            gate.heard(bytes(8), "street_light", 3, b"")
            gate.heard(bytes(8), "street_light", FPORT_UPDATE, b"nobody is asked yet")
            assert others == [3]
            lykta("start", "spring")
            task = asyncio.create_task(gate.watch())
            async with asyncio.timeout(60):
                while len(writer.sent) < 2:  # noqa: ASYNC110  the task is beside us
                    await asyncio.sleep(0.01)
            task.cancel()
            with registry.reading() as connection:
                first = {each.dev_eui for each in rollouts.boards(connection, "spring") if each.wave == 1}
        assert {dev_eui.hex() for dev_eui, _ in writer.sent} == first

    asyncio.run(run())
    assert counters.snapshot()["updates"]["register_unavailable"] == 1
