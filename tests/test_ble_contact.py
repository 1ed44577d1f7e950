# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A technician's command whose connections end in the middle: it is tried again, done once, and says what was tried."""

import asyncio
import json

import pytest

from firmware.wire import cbor, console, requests
from firmware.wire.readings import FPORT_COMMANDS
from provisioning.bluetooth import console as talk
from provisioning.bluetooth import contact
from provisioning.city import City
from provisioning.cli.app import main
from tests.bluez_lookalike import LookAlike
from tests.test_ble_console_bluez import STATE, Device, city
from tests.test_gateway_ble_bluez import bus, system_bus

__all__ = ["bus", "city", "system_bus"]  # fixtures

pytestmark = pytest.mark.timeout(600)


class Unsteady(Device):
    """Ends its connection when it has taken one of *ends* (a number of frames), and remembers the last command."""

    def __init__(self, app_key: bytes, *ends: int, forgets: bool = False) -> None:
        super().__init__(app_key)
        self.ends = set(ends)
        self.taken = 0
        self.obeyed: list[bytes] = []
        self._forgets = forgets

    def take(self, phy: bytes) -> list[bytes]:
        self.taken += 1
        answers = self._command(phy) if console.kind(phy) == console.DOWN else super().take(phy)
        if self.taken not in self.ends:
            return answers
        self.board.disconnect()
        return []

    def _command(self, phy: bytes) -> list[bytes]:
        assert self._channel is not None
        port, payload = self._channel.open(phy)
        if port == console.PORT_LOG:
            return [self._channel.seal(port, said) for said in (b"", b"line of connection %d" % self.hellos)]
        if port != FPORT_COMMANDS:
            return [self._channel.seal(port, cbor.dumps(STATE | {console.NOW_UPTIME_S: 0 if self._forgets else 99}))]
        if self._forgets or payload not in self.obeyed[-1:]:
            self.obeyed.append(payload)
        answer = {requests.ID: requests.decode(payload)[requests.ID], requests.STATUS_KEY: requests.DONE}
        return [self._channel.seal(port, cbor.dumps(answer))]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact, "_RESTS_S", (0.1, 0.1))


def unsteady(city: City, *ends: int, forgets: bool = False) -> Unsteady:
    with city.registry() as registry:
        (device,) = [each for each in registry.devices()] or [registry.register_device("street_light", name="lamp")]
        return Unsteady(registry.app_key(device.dev_eui), *ends, forgets=forgets)


def lykta(city: City, device: Device, *arguments: str) -> int:
    """The command, beside a look-alike of BlueZ with this device."""

    async def scenario() -> int:
        async with LookAlike([device.board]):
            return await asyncio.to_thread(main, ["-C", str(city.home), "ble", *arguments])

    return asyncio.run(scenario())


def test_a_lost_connection_costs_another_try(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    device = unsteady(city, 1, 3)  # at the first hello, and at the command after the second
    assert lykta(city, device, "console", "lamp", "dim", "percent=30", "minutes=5", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {}
    assert len(device.obeyed) == 1  # the answer was lost, the command was not given twice
    assert device.taken == 6  # the third time its uptime is asked for first
    assert "connection 1: The board does not prove" in said.err
    assert "connection 2: The connection to the board was lost" in said.err
    assert said.err.count("trying again") == 2


def test_after_three_tries_it_says_what_was_tried(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    device = unsteady(city, 2, 3, 5)
    assert lykta(city, device, "console", "lamp", "now") == 1
    said = capsys.readouterr()
    assert not said.out
    assert "not reached in 3 tries" in said.err
    assert "1. The connection to the board was lost; 2. The board does not prove" in said.err
    assert "3. The connection" in said.err
    assert device.board.dropped is None


def test_a_refusal_is_not_tried_again(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    device = unsteady(city)
    assert lykta(city, device, "console", "lamp", "dance") == 1
    assert "no such command" in capsys.readouterr().err
    assert device.board.connections == 1


def test_a_board_that_started_anew_is_not_told_again(
    city: City, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talk, "_UPTIME_STEP_S", 0)
    for command, code in (("restart", 0), ("release", 1), ("report_status", 0)):
        device = unsteady(city, 2, forgets=True)
        assert lykta(city, device, "console", "lamp", command) == code
        assert len(device.obeyed) == (2 if command == "report_status" else 1), command
        said = capsys.readouterr().err
        assert ("nobody knows whether it obeyed" in said) == bool(code)


def test_a_log_goes_on_over_the_next_connection(
    city: City, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    stopped: list[int] = []

    def say(line: str) -> None:
        heard.append(line)
        if line.endswith("2"):
            stopped.append(2)  # as Ctrl-C would; signals are for a process's first thread

    monkeypatch.setattr("provisioning.cli.ble.stop_signals", lambda: stopped)
    monkeypatch.setattr("provisioning.cli.ble.say", say)
    device = unsteady(city)
    take = device.take

    def ends_after_its_first_line(phy: bytes) -> list[bytes]:
        answers = take(phy)
        if console.kind(phy) == console.DOWN and device.hellos == 1:
            for answer in answers:
                device.board.send(answer)
            asyncio.get_running_loop().call_later(0.5, device.board.disconnect)
            return []
        return answers

    device.board.answers = ends_after_its_first_line
    assert lykta(city, device, "console", "lamp", "log", "--for", "300") == 0
    assert heard == ["line of connection 1", "line of connection 2"]
    assert "connection 1: The connection to the board was lost" in capsys.readouterr().err
