# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The daemon as its operator meets it: a process with a port, a broker, signals, and files that outlive it."""

import json
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from firmware.wire import maccommands
from firmware.wire.session import Session
from gateway.network.aes import ecb
from tests.conftest import Mosquitto
from tests.gateway_rig import ROOT, START_S, City, Daemon, Device, Port, Subscriber, encoded, until

pytestmark = pytest.mark.apart


def deliver(port: Port, device: Device, seqs: range | list[int], each: int = 4, patience_s: float = 2.0) -> None:
    """Send readings as boards do: again and again until a receipt took each of them."""
    left = [seq for seq in seqs if seq not in device.held]
    while left:
        for start in range(0, len(left), each):
            port.send(device.readings(*left[start : start + each], oldest=left[0]))
        while (phy := port.receive(patience_s)) is not None:
            device.take(phy)
            left = [seq for seq in left if seq not in device.held]
            if not left:
                return


def proven(city: City, subscriber: Subscriber, expected: set[tuple[str, int]]) -> None:
    """An independent consumer finds every expected reading exactly once, no gap, no fork, nothing foreign."""
    verifier = city.verifier()
    found: list[tuple[str, int]] = []
    for message in list(subscriber.messages):
        verified = verifier.check(message)
        if not verified.redelivered:
            found += [(reading.dev_eui, reading.seq) for reading in verified.readings]
    report = verifier.report()
    assert (report.missing, report.forks, report.duplicates, report.refused) == (0, 0, 0, {})
    assert len(found) == len(set(found)), "a reading came under two record numbers"
    assert set(found) == expected


def test_readings_go_from_the_wire_to_the_platform_and_receipts_come_back(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    subscriber = Subscriber(mosquitto.port).start()
    daemon = Daemon(city.config(port.path, mosquitto.port))
    daemons.append(daemon)
    port.join(device)
    deliver(port, device, range(1, 101))
    until(lambda: daemon.stats().published.get("city") == 100, "all 100 published")
    found = daemon.stats()
    assert (found.durable, found.waiting, found.devices[device.dev_eui.hex()].contiguous) == (100, {"city": 0}, 100)
    until(lambda: sum(len(city.verifier().check(each).readings) for each in set(subscriber.messages)) >= 100, "all")
    proven(city, subscriber, {(device.dev_eui.hex(), seq) for seq in range(1, 101)})
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 15  # a broker that hangs would hold it for a minute
    subscriber.stop()
    assert subscriber.certificates == [city.certificate_pem]
    shown = subprocess.run(
        [sys.executable, "-m", "gateway", "stats", "--json", "--config", str(daemon.config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert json.loads(shown.stdout)["durable"] == 100


def test_kill_9_under_load_loses_no_receipted_reading_and_doubles_none(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon], rng: random.Random
) -> None:
    device = city.device()
    subscriber = Subscriber(mosquitto.port).start()
    config = city.config(port.path, mosquitto.port)
    daemons.append(Daemon(config).ready())
    port.join(device)
    total = 0
    for _ in range(4):
        burst = rng.randrange(60, 200)
        for seq in range(total + 1, total + burst + 1, 3):
            seqs = [number for number in range(seq, seq + 3) if number <= total + burst]
            port.send(device.readings(*seqs, oldest=min(set(range(1, seq + 1)) - device.held)))
            if rng.random() < 0.3 and (phy := port.receive(0.005)) is not None:
                device.take(phy)
        total += burst
        while not device.held:  # in the first round: without a receipt nothing would be tested
            device.take(port.receive() or b"")
        time.sleep(rng.random() * 0.05)  # anywhere between the first commit and the last
        daemons[-1].kill()
        while (phy := port.receive(0.1)) is not None:
            device.take(phy)
        daemons.append(Daemon(config).ready())
        claimed = set(device.held)
        stored = daemons[-1].stats().devices[device.dev_eui.hex()]
        above = {seq for first, last in stored.runs_above for seq in range(first, last + 1)}
        assert claimed <= {*range(1, stored.contiguous + 1), *above}, "a receipt was given for what is not on disk"
    deliver(port, device, range(1, total + 1))
    until(lambda: daemons[-1].stats().waiting.get("city") == 0, "everything published")
    until(lambda: len(set(subscriber.messages)) >= daemons[-1].stats().envelopes, "everything at the subscriber")
    subscriber.stop()
    assert daemons[-1].stats().durable == total
    proven(city, subscriber, {(device.dev_eui.hex(), seq) for seq in range(1, total + 1)})


def test_what_is_not_a_registered_devices_reading_is_counted_and_never_forwarded(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon], rng: random.Random
) -> None:
    device, other = city.device(1), city.device(2)
    subscriber = Subscriber(mosquitto.port).start()
    daemon = Daemon(city.config(port.path, mosquitto.port)).ready()
    daemons.append(daemon)
    port.join(device)
    good = device.readings(1, oldest=1)
    port.send(good)
    device.take(port.receive() or b"")
    port.send(device.readings(2))
    port.send(good)  # replayed
    port.send(good[:-5])  # cut short: its last bytes are no MIC
    port.send(bytes([0xE0]) + rng.randbytes(20))  # proprietary
    port.send(bytes([0x60]) + rng.randbytes(20))  # a downlink
    port.send(Device(rng.randbytes(8), device.join_eui, bytes(16)).join_request())
    port.send(Device(other.dev_eui, other.join_eui, bytes(16)).join_request())
    used = Device(device.dev_eui, device.join_eui, device.app_key)
    port.send(used.join_request())
    port.send(Session(ecb, 0x7F000001, bytes(16), bytes(16)).seal_uplink(1, encoded(1)))  # an address of no session
    port.send(device.live.seal_uplink(9, b"\xa1\x00\x01"))
    port.send(device.live.seal_uplink(1, b"\xff\xff"))
    port.send(device.live.seal_uplink(1, encoded(3) + b"\xa2\x00\x04\x18\x63\x01"))  # number 4: an unknown field
    expected = {
        "replayed": 1,
        "not_authentic": 2,
        "malformed": 2,
        "unsupported_type": 1,
        "unknown_device": 1,
        "wrong_nonce": 1,
        "unknown_address": 1,
        "unsupported_port": 1,
    }
    until(lambda: daemon.refused() == expected, "each refusal to be counted once")
    port.send(device.readings(5, oldest=1))
    device.take(port.receive() or b"")
    assert device.held == {1, 2, 3, 4, 5}
    until(lambda: daemon.stats().waiting.get("city") == 0, "everything published")
    assert daemon.stats().devices[device.dev_eui.hex()].unreadable == 1
    assert {entry["reason"] for entry in daemon.saw("refused")} == set(expected)
    subscriber.stop()
    proven(city, subscriber, {(device.dev_eui.hex(), seq) for seq in (1, 2, 3, 5)})


def test_the_port_comes_and_goes(city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]) -> None:
    device = city.device()
    daemon = Daemon(city.config(port.path, mosquitto.port)).ready()
    daemons.append(daemon)
    port.join(device)
    for turn in range(3):
        port.unplug()
        daemon.wait_for("serial_absent", turn + 1)
        port.plug()
        deliver(port, device, range(turn * 5 + 1, turn * 5 + 6), patience_s=0.5)
    assert daemon.stats().durable == 15
    assert len(daemon.saw("serial_absent")) == 3, "once per change, not once per try"


def test_without_a_broker_readings_are_accepted_and_wait(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    subscriber = Subscriber(mosquitto.port).start()
    mosquitto.stop()
    config = city.config(port.path, mosquitto.port)
    daemons.append(Daemon(config))
    port.join(device)
    deliver(port, device, range(1, 31))
    daemons[-1].wait_for("broker_absent")
    began = time.monotonic()
    assert daemons[-1].stop() == 0
    assert time.monotonic() - began < 15  # a broker that hangs would hold it for a minute
    daemons.append(Daemon(config))
    deliver(port, device, range(31, 41))
    mosquitto.start()
    until(lambda: daemons[-1].stats().waiting.get("city") == 0, "everything published")
    until(lambda: len(set(subscriber.messages)) >= daemons[-1].stats().envelopes, "everything at the subscriber")
    subscriber.stop()
    proven(city, subscriber, {(device.dev_eui.hex(), seq) for seq in range(1, 41)})


def test_a_second_daemon_on_the_same_state_is_refused(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    first = Daemon(city.config(port.path, mosquitto.port)).ready()
    daemons.append(first)
    second = Daemon(first.config)
    daemons.append(second)
    assert second.process.wait(timeout=30) == 1
    second.kill()
    said = " ".join(entry.get("text", "") for entry in second.events)
    assert "Another gateway runs" in said
    assert str(first.process.pid) in said
    assert "Traceback" not in said
    assert first.stop() == 0
    assert Daemon(first.config).ready().stop() == 0


def test_a_damaged_outbox_is_set_aside_and_said_aloud(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    config = city.config(port.path, mosquitto.port)
    daemons.append(Daemon(config).ready())
    port.join(device)
    deliver(port, device, range(1, 6))
    daemons[-1].stop()
    database = daemons[-1].state_dir / "outbox.db"
    database.write_bytes(b"\xff" * 20_000)
    daemons.append(Daemon(config).ready())
    assert daemons[-1].saw("outbox_damaged")[0]["kept_as"] == str(database) + ".corrupt-1"
    deliver(port, device, range(6, 11))
    assert daemons[-1].stats().devices[device.dev_eui.hex()].contiguous == 10
    assert daemons[-1].stop() == 0


def test_damage_that_shows_when_an_envelope_is_read_ends_the_process_and_the_next_start_goes_on(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    """SQLite's check does not look into a message; a task that begins anew would find the same for ever."""
    device = city.device()
    config = city.config(port.path, mosquitto.port)
    mosquitto.stop()
    daemons.append(Daemon(config).ready())
    port.join(device)
    deliver(port, device, range(1, 6))
    daemons[-1].stop()
    with closing(sqlite3.connect(daemons[-1].state_dir / "outbox.db")) as raw:
        raw.execute("UPDATE envelope SET message = zeroblob(length(message)) WHERE id = (SELECT max(id) FROM envelope)")
        raw.commit()
    mosquitto.start()
    daemons.append(Daemon(config).ready())
    assert daemons[-1].process.wait(START_S) != 0
    daemons.append(Daemon(config).ready())
    assert daemons[-1].saw("outbox_damaged")
    deliver(port, device, range(6, 11))
    until(lambda: daemons[-1].stats().waiting == {"city": 0}, "everything that is sound to be published")
    assert daemons[-1].stop() == 0


def test_a_full_outbox_gives_no_receipts_and_goes_on_when_the_broker_is_back(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    mosquitto.stop()
    daemon = Daemon(city.config(port.path, mosquitto.port, outbox="max_bytes = 262144\nkeep_published_h = 0"))
    daemons.append(daemon)
    port.join(device)
    seq = 0
    while not daemon.saw("outbox_full"):
        port.send(device.readings(seq + 1, seq + 2, seq + 3, seq + 4, oldest=seq + 1))
        seq += 4
        while (phy := port.receive(0.001)) is not None:
            device.take(phy)
        assert seq < 100_000
    while (phy := port.receive(0.2)) is not None:
        device.take(phy)
    assert max(device.held) == daemon.stats().durable < seq
    mosquitto.start()
    deliver(port, device, range(max(device.held) + 1, seq + 1), each=3)
    assert daemon.stats().durable == seq
    daemon.wait_for("accepting_again")


def test_a_confirmed_alarm_is_acknowledged_with_its_receipt_and_asked_times_are_told(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    daemons.append(Daemon(city.config(port.path, mosquitto.port)))
    port.join(device)
    alarm = device.readings(1, fport=2, confirmed=True)
    port.send(alarm)
    answer = device.take(port.receive() or b"")
    assert (answer.ack, device.held) == (True, {1})
    port.send(alarm)  # the device did not hear it
    assert device.take(port.receive() or b"").ack
    port.send(device.live.seal_uplink(None, b"", fopts=maccommands.device_time_req()))
    (cid, payload), *_ = maccommands.parse(device.take(port.receive() or b"").fopts, uplink=False)
    assert cid == maccommands.DEVICE_TIME
    assert abs(maccommands.decode_device_time_ans(payload) / 1000 - time.time()) < 60
    assert daemons[-1].stats().durable == 1


def test_a_disk_that_takes_nothing_stops_receipts_and_nothing_else(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    """A file size limit of zero makes every write of the running daemon fail, as a full or broken disk does."""
    device = city.device()
    daemon = Daemon(city.config(port.path, mosquitto.port))
    daemons.append(daemon)
    port.join(device)
    deliver(port, device, range(1, 11))
    pid = daemon.process.pid
    limit = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limit[1]))
    for turn in range(3):
        port.send(device.readings(11, 12, oldest=11))
        assert port.receive(0.5) is None, f"a receipt for what is not on disk, turn {turn}"
    daemon.wait_for("store_unavailable")
    assert len(daemon.saw("store_unavailable")) == 1, "once per change, not once per frame"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
    deliver(port, device, range(11, 21))
    daemon.wait_for("accepting_again")
    assert daemon.stats().durable == 20
    assert daemon.stop() == 0


def test_a_board_that_was_wiped_joins_again_once_the_operator_says_so(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    daemon = Daemon(city.config(port.path, mosquitto.port))
    daemons.append(daemon)
    port.join(device)
    deliver(port, device, range(1, 4))
    wiped = Device(device.dev_eui, device.join_eui, device.app_key)
    port.send(wiped.join_request())
    hint = daemon.wait_for("refused")["why"]
    assert f"forget-nonces {device.dev_eui.hex()}" in hint
    command = [sys.executable, "-m", "gateway", "forget-nonces", device.dev_eui.hex(), "--config", str(daemon.config)]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30, check=True)
    again = port.join(wiped)
    assert again.join_nonce > 0
    deliver(port, wiped, [4])
    assert daemon.stats().devices[device.dev_eui.hex()].contiguous == 4
    command[4] = "0000000000000001"
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30, check=False).returncode == 1


def test_a_broker_that_hangs_does_not_hold_up_the_end(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    daemon = Daemon(city.config(port.path, mosquitto.port))
    daemons.append(daemon)
    port.join(device)
    daemon.wait_for("broker_connected")
    assert mosquitto.process is not None
    mosquitto.process.send_signal(signal.SIGSTOP)
    try:
        deliver(port, device, range(1, 11))
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 15  # a broker that hangs would hold it for a minute
    finally:
        mosquitto.process.send_signal(signal.SIGCONT)
    assert daemon.stats().durable == 10
    assert daemon.stats().published.get("city", 0) == 0
