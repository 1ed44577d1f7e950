# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The packet forwarder against a network server on real UDP sockets, with the real program and scripted radios."""

import base64
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.air_rig import (
    DOWNLINK,
    PULL_DATA,
    PUSH_DATA,
    TX_ACK,
    AirProcess,
    NetworkServer,
    Radio,
    air,
    downlink,
    now_us,
)

EUI = bytes.fromhex("aabbccddeeff0011")
WRAP = 1 << 32
DATA = bytes(range(20))
# The counter wraps while the tests run: between an uplink soon after the start and its downlink two seconds later.
OPTIONS = ("--slack-ms", "100", "--keepalive-s", "0.3", "--stat-s", "0.5", "--tmst-start", str(WRAP - 900_000))


@dataclass
class Rig:
    server: NetworkServer
    process: AirProcess
    device: Radio

    def uplink(self, data: bytes = DATA) -> tuple[dict[str, object], int, int]:
        """Send an uplink; its rxpk, its tmst and the moment of air time at which it ended."""
        sent = self.device.send(now_us() + 2_000, data)
        (rxpk,) = self.server.uplinks()
        return rxpk, rxpk["tmst"], sent["until_us"]

    def deadline(self) -> int:
        """A tmst one second ahead; also makes sure that the server knows where to send."""
        self.server.wait_for(PULL_DATA)
        _, tmst, _ = self.uplink()
        return (tmst + 1_000_000) % WRAP


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    path = tmp_path_factory.mktemp("air") / "air"
    with (
        closing(NetworkServer()) as server,
        air(path, "--forwarder", f"127.0.0.1:{server.port}", "--gateway-eui", EUI.hex(), *OPTIONS) as process,
        closing(Radio(path, "device", 100)) as device,
    ):
        yield Rig(server, process, device)


def test_downlink_two_seconds_after_the_uplink(rig: Rig) -> None:
    rxpk, tmst, until_us = rig.uplink()
    answered = rig.server.ask(**downlink(b"answer", tmst=(tmst + 2_000_000) % WRAP))
    rig.device.listen(until_us + 2_000_000, **DOWNLINK)
    assert rig.server.outcome(answered) is None
    assert rig.device.expect("preamble")["at_us"] == until_us + 2_000_000 + 5 * 1024
    rig.device.expect("header")
    heard = rig.device.expect("rx")
    assert (heard["data"], heard["crc_ok"], heard["crc"]) == (b"answer".hex(), True, False)
    expected = {"freq": 868.1, "chan": 0, "rfch": 1, "stat": 1, "modu": "LORA", "datr": "SF7BW125", "codr": "4/5"}
    assert rxpk == rxpk | expected | {"size": 20, "data": base64.b64encode(DATA).decode()}
    assert isinstance(rxpk["rssi"], int)
    assert isinstance(rxpk["lsnr"], float)


def test_uplinks_carry_the_concentrators_time(rig: Rig) -> None:
    _, first_tmst, first_us = rig.uplink()
    _, second_tmst, second_us = rig.uplink()
    assert (second_tmst - first_tmst) % WRAP == second_us - first_us


def test_two_sockets_one_for_each_direction(rig: Rig) -> None:
    rig.server.wait_for(PULL_DATA)
    rig.server.wait_for(PUSH_DATA)
    assert rig.server.sources[PULL_DATA] != rig.server.sources[PUSH_DATA]


def test_keep_alive_and_state(rig: Rig) -> None:
    for _ in range(3):
        assert rig.server.wait_for(PULL_DATA) == {"eui": EUI}
    rig.uplink()
    before = rig.server.wait_for(PUSH_DATA, lambda body: "stat" in body)["stat"]
    rig.uplink()
    after = rig.server.wait_for(PUSH_DATA, lambda body: "stat" in body)["stat"]
    assert set(after) == {"time", "rxnb", "rxok", "rxfw", "ackr", "dwnb", "txnb"}
    assert after["rxfw"] == before["rxfw"] + 1 == after["rxnb"] == after["rxok"]
    assert 0 < after["ackr"] <= 100
    assert after["time"].endswith(" GMT")


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"freq": 915.0}, "TX_FREQ"), ({"tmst": None, "tmms": 1_000_000_000_000}, "GPS_UNLOCKED")],
)
def test_refusals(rig: Rig, changes: dict[str, object], error: str) -> None:
    token = rig.server.ask(**downlink(DATA, **({"tmst": rig.deadline()} | changes)))
    assert rig.server.outcome(token) == {"error": error}


def test_too_late_and_too_early(rig: Rig) -> None:
    tmst = rig.deadline()
    for offset_us, error in ((-1_000_000, "TOO_LATE"), (600_000_000, "TOO_EARLY")):
        token = rig.server.ask(**downlink(DATA, tmst=(tmst + offset_us) % WRAP))
        assert rig.server.outcome(token) == {"error": error}


def test_collision_and_power(rig: Rig) -> None:
    # Ten seconds ahead: no machine is so slow that this is too late.
    tmst = (rig.deadline() + 9_000_000) % WRAP
    first = rig.server.ask(**downlink(DATA, tmst=tmst, powe=30))
    assert rig.server.outcome(first) == {"warn": "TX_POWER", "value": 27}
    second = rig.server.ask(**downlink(DATA, tmst=tmst))
    assert rig.server.outcome(second) == {"error": "COLLISION_PACKET"}


def test_malformed_requests_get_no_answer_and_do_no_harm(rig: Rig) -> None:
    rig.server.wait_for(PULL_DATA)
    rig.server.socket.sendto(b"\x02\x00\x01\x03{", rig.server.sources[PULL_DATA])
    rig.server.socket.sendto(b"noise", rig.server.sources[PULL_DATA])
    rig.server.ask(**downlink(DATA, modu="FSK", datr=50000))
    token = rig.server.ask(**downlink(DATA, freq=1.0))
    assert rig.server.outcome(token) == {"error": "TX_FREQ"}  # the first answer is that to the last request


def test_immediate(rig: Rig) -> None:
    rig.server.wait_for(PULL_DATA)
    asked_us = now_us()
    rig.device.listen(asked_us, **DOWNLINK)
    token = rig.server.ask(**downlink(b"now", imme=True, tmst=1))
    assert rig.server.outcome(token) is None
    heard_us = rig.device.expect("preamble")["at_us"] - 5 * 1024
    assert heard_us >= asked_us + 1_000_000  # as the original forwarder does it
    assert [rig.device.next()["op"], rig.device.expect("rx")["data"]] == ["header", b"now".hex()]


def test_two_gateways_hear_one_device_and_the_near_one_better(tmp_path: Path) -> None:
    path = tmp_path / "air"
    with closing(NetworkServer()) as server:
        target = ("--forwarder", f"127.0.0.1:{server.port}")
        places = ("--gateway-position", "10,0", "--gateway-position", "500,0")
        with (
            air(path, *target, *target, *places, "--shadowing-db", "0", "--slack-ms", "100") as process,
            closing(Radio(path, "device")) as device,
        ):
            device.send(now_us() + 2_000, DATA)
            bodies = [server.wait_for(PUSH_DATA, lambda body: "rxpk" in body) for _ in range(2)]
            levels = {body["eui"].hex(): body["rxpk"][0]["rssi"] for body in bodies}
            assert sorted(levels) == process.ready["gateways"]
            near, far = (levels[eui] for eui in process.ready["gateways"])
            assert near > far + 20


def test_a_server_that_comes_later_is_found(tmp_path: Path) -> None:
    path = tmp_path / "air"
    with closing(NetworkServer()) as server:
        port = server.port
    with (
        air(path, "--forwarder", f"127.0.0.1:{port}", *OPTIONS) as process,
        closing(Radio(path, "device", 100)) as device,
    ):
        sent = device.send(now_us() + 2_000, DATA)  # goes up to where nobody listens
        process.frame(sent["frame"])
        with closing(NetworkServer(port)) as server:
            server.wait_for(PULL_DATA)
            device.send(now_us() + 2_000, b"later")
            assert base64.b64decode(server.uplinks()[-1]["data"]) == b"later"
        code, _ = process.stop()
        assert code == 0


def test_refusals_are_in_the_log(tmp_path: Path) -> None:
    with (
        closing(NetworkServer()) as server,
        air(tmp_path / "air", "--forwarder", f"127.0.0.1:{server.port}", *OPTIONS) as process,
    ):
        server.wait_for(PULL_DATA)
        server.ask(**downlink(DATA, freq=1.0))
        assert server.wait_for(TX_ACK)["txpk_ack"] == {"error": "TX_FREQ"}
        line = process.next_line()
        assert (line["event"], line["txpk_ack"]) == ("downlink", {"error": "TX_FREQ"})
