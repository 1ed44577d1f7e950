# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Commands from a person's key to a lamp and back, with real parts: `lykta`, mosquitto, the daemon, a board."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.city import City, running, wait_until
from tests.conftest import Mosquitto
from tests.lora_city import LoraCity
from tests.test_end_to_end_ble_board import BleCity

pytestmark = [pytest.mark.timeout(600), pytest.mark.apart]


class Room:
    """A control room: a key, and the register's word that it may command."""

    def __init__(self, city: City, may: tuple[str, ...] = ("*",), name: str = "room") -> None:
        self.city = city
        self.name = name
        self.key = city.folder / f"{name}.key.pem"
        public = city.lykta("role", "key", str(self.key)).strip()
        verbs = [part for verb in may for part in ("--may", verb)]
        city.lykta("org", "add", f"org-{name}", "--name", "Trafik", "--kind", "namnd")
        city.lykta(
            *("commander", "add", name, "--name", "Control room", "--org", f"org-{name}"),
            *("--public-key", public, "--all-owners", *verbs),
        )

    def order(self, *words: str, code: int = 0) -> list[dict[str, Any]]:
        """Run `lykta command` or `lykta settings`; return what it printed, the summary last."""
        broker = f"127.0.0.1:{self.city.broker_port}"
        options = ["--broker", broker, "--as", self.name, "--key", str(self.key), "--json"]
        options += [] if "--wait" in words else ["--wait", "4m"]
        printed = self.city.lykta(*words, *options, code=code, timeout_s=280)
        lines, _, summary = printed.partition("{\n")
        return [json.loads(line) for line in lines.splitlines()] + [json.loads("{" + summary)]


def joined(city: City) -> None:
    wait_until(lambda: len(city.verified_seqs()) >= 2, "the first readings", 150)


def test_a_lamp_obeys_and_its_settings_outlive_its_power(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    with running(City(tmp_path, mosquitto.port, seed=seed)) as city:
        city.start_verifier()
        city.start_gateway()
        city.start_board()
        room = Room(city)  # while the board joins
        joined(city)
        *_, done, summary = room.order("command", "dim", "lamp 1", "40", "--for", "1h")
        assert (done["state"], done["device"], summary["done"]) == ("done", city.dev_eui, True)
        wait_until(lambda: city.verified()[-1]["values"].get("dim") == 0.4, "a reading at 40 %")
        *_, got, _summary = room.order("settings", "set", city.dev_eui, "interval_s=2", "min_dim_pct=30")
        assert got["answer"]["settings"] == {"interval_s": 2, "min_dim_pct": 30}
        city.board("power_cut")
        city.board("power_on")
        *_, got, _summary = room.order("settings", "get", "lamp 1", "min_dim_pct", "interval_s", "low_v")
        assert got["answer"]["settings"] == {"interval_s": 2, "min_dim_pct": 30, "low_v": 198}
        *_, impossible, _summary = room.order("settings", "set", "lamp 1", "low_v=300", "high_v=290", code=1)
        assert (impossible["state"], impossible["answer"]["answer"]) == ("failed", "contradiction")
        schedule = ("program_0=[127,[[0,0,60]]]", "photocell_mode=0")  # 60 % from midnight, each day
        *_, got, _summary = room.order("settings", "set", "lamp 1", *schedule)
        assert got["answer"]["settings"]["program_0"] == [127, [[0, 0, 60]]]
        room.order("command", "release", "lamp 1")
        wait_until(lambda: city.verified()[-1]["values"].get("dim") == 0.6, "a reading as the schedule has it", 120)
        logged = city.lykta("log", "show", "--json")
        assert "command.give" in logged
        assert "command.end" in logged
        assert '"command_over"' in city.log("gateway")


def test_a_lamp_on_the_air_obeys_and_a_lost_gateway_forgets_nothing(
    tmp_path: Path, mosquitto: Mosquitto, seed: int
) -> None:
    with running(LoraCity(tmp_path, mosquitto.port, seed=seed)) as city:
        city.start_all()
        room = Room(city, ("dim", "report_status"))  # while the board joins
        joined(city)
        *_, done, summary = room.order("command", "dim", "lamp 1", "40", "--for", "1h")
        assert (done["state"], done["device"], summary["done"]) == ("done", city.dev_eui, True)
        city.kill("gateway")
        room.order("command", "dim", "lamp 1", "70", "--for", "1h", "--wait", "0s", code=1)
        city.start_gateway()
        wait_until(lambda: city.verified()[-1]["values"].get("dim") == 0.7, "a reading at 70 %", 150)
        assert city.log("gateway").count('"command_queued"') == 2
        *_, refused, _summary = room.order("command", "restart", "lamp 1", code=1)
        assert refused["state"] == "refused"
        assert refused["left_out"][city.dev_eui].startswith("not_allowed")


@pytest.mark.slow
def test_a_lamp_on_bluetooth_obeys_and_a_lost_gateway_forgets_nothing(
    tmp_path: Path, mosquitto: Mosquitto, seed: int
) -> None:
    with running(BleCity(tmp_path, mosquitto.port, seed=seed, interval_ms=1000)) as city:
        city.start_verifier()
        city.start_air()
        city.start_gateway()
        city.start_board()
        room = Room(city, ("dim",))
        joined(city)
        *_, done, summary = room.order("command", "dim", "lamp 1", "40", "--for", "1h")
        assert (done["state"], done["device"], summary["done"]) == ("done", city.dev_eui, True)
        city.kill("gateway")
        room.order("command", "dim", "lamp 1", "70", "--for", "1h", "--wait", "0s", code=1)
        city.start_gateway()
        wait_until(lambda: city.verified()[-1]["values"].get("dim") == 0.7, "a reading at 70 %", 150)
        wait_until(lambda: all(each["over"] for each in city.commands()), "the end of both commands", 150)
        assert [each["devices"][0]["state"] for each in city.commands()] == ["done", "done"]
        assert city.log("gateway").count('"command_queued"') == 2
