# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The gateway watches the guidelines beside the data path: events, counters, and every reading taken all the same."""

import asyncio
import itertools
import json
import random
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import guidelines
from gateway.clock import SystemClock
from gateway.errors import UnknownDevice
from gateway.guidelines import HEARD_FILE, Guard
from gateway.network.quarantine import Quarantine
from gateway.operate.airtime import AirtimeOfHour
from gateway.operate.counters import Counters
from provisioning.guidelines.city_pack import proposed
from provisioning.guidelines.gatewatch import Observed, watch
from provisioning.model.device import DeviceRecord
from provisioning.register import moves, registration
from provisioning.register.registration import Options
from tests.conftest import Mosquitto
from tests.gateway_rig import APP_KEY, City, Daemon, Device, Port, Subscriber, until
from tests.guideline_rig import record
from tests.test_gateway_daemon import deliver

pytestmark = pytest.mark.apart

OFTEN = "[guidelines]\nevery_s = 0.2\n"


def registered(city: City, number: int, changes: dict[str, Any]) -> Device:
    """A lamp with a whole record in the register, and its other end."""
    dev_eui, join_eui = f"70b3d57ed000{number:04x}", "70b3d57ed1000001"
    app_key = APP_KEY[:-2] + number.to_bytes(2, "big")
    whole = {"/name": f"light-{number}", "/identity": {"dev_eui": dev_eui, "join_eui": join_eui}, **changes}
    made = DeviceRecord.model_validate_json(json.dumps(record("light", {"/lifecycle/stage": "operational", **whole})))
    with city.registry.change() as change:
        options = Options(keep_stage=True, app_keys={dev_eui: app_key})
        registration.register(change, city.registry.keys(), [made], options)
    return Device(bytes.fromhex(dev_eui), bytes.fromhex(join_eui), app_key)


def broken(daemon: Daemon) -> set[tuple[str, str]]:
    return {(each["rule"], each["dev_eui"]) for each in daemon.saw("rule_broken")}


def test_what_breaks_a_rule_is_told_and_its_readings_are_taken(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    talker = registered(city, 7, {"/streams/0/fields_allowed": ["lamp_on"]})
    silent = registered(city, 8, {})
    stranger = Device(bytes.fromhex("70b3d57ed000ffff"), bytes.fromhex("70b3d57ed1000001"), APP_KEY)
    config = city.config(port.path, mosquitto.port, OFTEN)
    (config.parent / "state").mkdir(mode=0o700)
    month_ago = time.time() - 31 * 86400
    (config.parent / "state" / HEARD_FILE).write_text(json.dumps({silent.dev_eui.hex(): month_ago, "x": "y"}))
    subscriber = Subscriber(mosquitto.port).start()
    daemon = Daemon(config)
    daemons.append(daemon)
    daemon.ready()
    daemon.wait_for("serial_open")
    port.send(stranger.join_request())
    daemon.wait_for("refused")
    port.join(talker)
    deliver(port, talker, range(1, 3))
    until(lambda: subscriber.messages, "a reading of the device that breaks a rule")
    expected = {("OWN-4", "70b3d57ed000ffff"), ("PRIV-3", "70b3d57ed0000007"), ("LIFE-6", "70b3d57ed0000008")}
    until(lambda: broken(daemon) >= expected, "an event for each")
    assert broken(daemon) == expected
    told = next(each for each in daemon.saw("rule_broken") if each["rule"] == "PRIV-3")
    assert "power_w" in told["why"]
    assert re.fullmatch("[A-Z]{3}-[0-9]{4,6}", told["device"])
    until(lambda: daemon.counters("guidelines") == {"LIFE-6": 1, "OWN-4": 1, "PRIV-3": 1}, "one count for each")
    with city.registry.change() as change:  # the record follows: the rule is kept again, and the log says so
        found = moves.found(change, "70b3d57ed0000007")
        sent = told["why"].partition(": ")[2].rstrip(".").split(", ")
        stream = found.streams[0].model_copy(update={"fields_allowed": ("lamp_on", *sent)})
        moves.amend(change, found.id or "", found.model_copy(update={"streams": (stream,)}))
    until(lambda: [each["rule"] for each in daemon.saw("rule_kept_again")] == ["PRIV-3"], "the end of it")
    deliver(port, talker, range(3, 4))
    until(lambda: daemon.counters("readings").get("new") == 3, "the third reading")
    assert daemon.stop() == 0
    assert json.loads((config.parent / "state" / HEARD_FILE).read_text()).keys() >= {"70b3d57ed0000007"}
    subscriber.stop()


def test_a_pack_that_cannot_be_read_stops_no_reading(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon], tmp_path: Path
) -> None:
    (tmp_path / "pack.cose").write_bytes(b"not a pack")
    device = city.device()
    extra = f'[guidelines]\nevery_s = 0.2\npack = "{tmp_path}/pack.cose"\n'
    daemon = Daemon(city.config(port.path, mosquitto.port, extra))
    daemons.append(daemon)
    daemon.ready()
    daemon.wait_for("serial_open")
    port.join(device)
    deliver(port, device, range(1, 2))
    daemon.wait_for("guidelines_not_asked")
    until(lambda: daemon.counters("readings").get("new") == 1, "the reading")
    (tmp_path / "pack.cose").unlink()
    daemon.wait_for("guidelines_asked_again")
    assert daemon.saw("rule_broken") == []
    assert daemon.stop() == 0


def test_a_device_of_the_bench_breaks_nothing(city: City) -> None:
    device = city.device()
    seen = Observed("gw", device.dev_eui.hex(), fields=frozenset({"lamp_on"}), airtime_s_per_h=1.0, silent_s=1.0)
    assert watch(city.registry, proposed(), [seen], datetime.now(UTC)) == []


def _frame(at: float, dev_eui: bytes, sf: int | None, phy: bytes = bytes(33)) -> Any:
    radio = None if sf is None else SimpleNamespace(sf=sf, bw_hz=125_000)
    uplink = SimpleNamespace(received_at=at, radio=radio, phy=phy, link="lora", address="", others=())
    return SimpleNamespace(session=SimpleNamespace(dev_eui=dev_eui, radio=None), uplink=uplink, kind="street_light")


def test_airtime_is_that_of_the_last_hour_against_the_plan(city: City, tmp_path: Path) -> None:
    # Planned: 30 bytes at SF9, 4 an hour. Sent: a short frame at SF7, then some at SF12, 1.81 s each.
    device = registered(city, 9, {})
    guard = Guard(Counters(), SystemClock(), Quarantine(1), "gw")
    guard.open(city.registry, tmp_path, None, 60.0)
    start = 1_800_000_000.0
    for seconds, rule in ((0.0, set()), (600.0, {"RADIO-5"}), (1200.0, {"RADIO-5"}), (4900.0, set())):
        if seconds < 4000:
            guard.note([_frame(start + seconds, device.dev_eui, 12 if seconds else 7)], [None])
        (seen,) = guard._observed(start + seconds)
        events = watch(city.registry, proposed(), [seen], datetime.fromtimestamp(start + seconds, UTC))
        assert {each.rule for each in events} == rule, (seconds, seen)
    guard.note([_frame(start + 5000, device.dev_eui, 12)] * 20, [None] * 20)
    (seen,) = guard._observed(start + 5000)
    assert seen.airtime_s_per_h == pytest.approx(20 * 1.8104, abs=0.001)  # the vector of the guidelines: 1810.4 ms
    (event,) = watch(city.registry, proposed(), [seen], datetime.fromtimestamp(start + 5000, UTC))
    assert (event.rule, event.case) == ("RADIO-5", "limit")


def test_strangers_are_kept_as_long_as_the_pack_says(city: City, tmp_path: Path) -> None:
    quarantine = Quarantine(1)
    guard = Guard(Counters(), SystemClock(), quarantine, "gw")
    guard.open(city.registry, tmp_path, None, 60.0)
    for hours, dev_eui in ((25, b"\x70" + bytes(7)), (23, b"\x71" + bytes(7))):
        uplink: Any = SimpleNamespace(received_at=time.time() - hours * 3600, link="lora", address="", phy=bytes(23))
        quarantine.add(uplink, UnknownDevice("who is it?", dev_eui=dev_eui))
    guard._ask()
    assert [entry.device for entry in quarantine.entries()] == ["71" + "00" * 7]
    assert quarantine.changed() is not None


def test_the_airtime_of_an_hour_follows_the_clock_wherever_it_is_set(rng: random.Random) -> None:
    start = 1_800_000_000.0
    airtime = AirtimeOfHour()
    sent: list[tuple[float, int]] = []
    at_s = start
    for _ in range(2000):
        at_s += rng.expovariate(1 / 20)
        sent.append((at_s, rng.randrange(50_000, 2_000_000)))
        airtime.add(*sent[-1])
        least, most = (sum(us for when, us in sent if when > at_s - 60 * minutes) / 1e6 for minutes in (59, 60))
        assert least - 1e-6 <= airtime.total_s(at_s) <= most + 1e-6
    assert airtime.total_s(at_s + 3600) == 0
    for moved_s in (-20 * 86400.0, 20 * 86400.0):  # the clock is set
        airtime.add(at_s + moved_s, 5_000_000)
        assert airtime.total_s(at_s + moved_s) == 5
    late = AirtimeOfHour()
    late.add(start, 1_000_000)
    late.add(start - 300, 1_000_000)  # set back a little: both count
    assert late.total_s(start) == 2
    for _ in range(5000):
        late.add(start, 1_000_000)
    assert late.total_s(start) < 2**32 / 1e6 + 2, "one minute holds no more than its number"


def test_newcomers_one_after_another_cost_a_small_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ticking:
        now_s = 0.0

        def monotonic_s(self) -> float:
            self.now_s += 0.25
            return self.now_s

        def wall_s(self) -> float:
            return 1_800_000_000.0

    async def main() -> list[float]:
        clock, asked_s = Ticking(), list[float]()
        guard = Guard(Counters(), clock, Quarantine(1), "gw")
        guard._every_s = 3600.0
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask() -> None:
            asked_s.append(clock.now_s)
            clock.now_s += 10.0
            guard._someone_new = True
            if len(asked_s) == 4:
                loop.call_soon_threadsafe(done.set)

        monkeypatch.setattr(guard, "_ask", ask)
        task = asyncio.create_task(guard.watch())
        await done.wait()
        task.cancel()
        return asked_s

    monkeypatch.setattr(guidelines, "_SOON_S", 0.0)
    asked_s = asyncio.run(main())
    for before_s, after_s in itertools.pairwise(asked_s):
        assert after_s - before_s >= 200


def test_judging_leaves_most_of_the_time_to_those_who_take_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause after each device of three times what it took, not for long, and none that holds up the end."""
    now_s, pauses = 0.0, list[float]()
    monkeypatch.setattr(guidelines.time, "perf_counter", lambda: now_s)
    monkeypatch.setattr(guidelines.time, "sleep", pauses.append)
    guard = Guard(Counters(), SystemClock(), Quarantine(1), "gw")
    seen = [Observed("gw", f"{number:016x}") for number in range(3)]
    took = []
    for each, took_s in zip(guard._gently(seen), (0.001, 0.002, 9.0), strict=True):
        took.append(each)
        now_s += took_s
    assert took == seen
    assert pauses == [pytest.approx(0.003), pytest.approx(0.006), 0.02]
    guard._ending = True
    assert (list(guard._gently(seen)), len(pauses)) == (seen, 3)
