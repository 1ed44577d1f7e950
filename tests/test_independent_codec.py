# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Our frames read by a LoRaWAN codec of other hands, and theirs by us: the npm package lora-packet, for tests only.

The recorded exchange is what the virtual air had in it between the shipped firmware and the daemon; the other codec
derives its session keys from the register's AppKey and the join that was heard.
"""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from firmware.wire import frame, joining, macnetwork, readings
from firmware.wire.crypto import derive_session_keys
from firmware.wire.errors import NotAuthentic
from firmware.wire.region import RX2_DR
from firmware.wire.session import Received, Session
from gateway.network.aes import ecb, ecb_decrypt
from gateway.network.options import GATEWAY_CHANNELS
from provisioning.registry import Registry
from tests.city import City, running, wait_until
from tests.lora_city import LoraCity, OnAir

FOLDER = Path(__file__).parent / "independent"
ADVICE = "`make test` installs it (tools/independent_codec.sh)"
FRAMES = 400
BOARD = "board"
NAMES = {
    frame.UNCONFIRMED_UP: "Unconfirmed Data Up",
    frame.UNCONFIRMED_DOWN: "Unconfirmed Data Down",
    frame.CONFIRMED_UP: "Confirmed Data Up",
    frame.CONFIRMED_DOWN: "Confirmed Data Down",
}
Answer = dict[str, Any]


def theirs(requests: list[Answer]) -> list[Answer]:
    """What the other codec says to each request (tests/independent/codec.js)."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules" / "lora-packet").is_dir():
        pytest.fail(f"Node.js or lora-packet is not installed: {ADVICE}")
    done = subprocess.run(
        [node, str(FOLDER / "codec.js")], input=json.dumps(requests), capture_output=True, text=True, timeout=60
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers: list[Answer] = json.loads(done.stdout)
    return answers


@dataclass(frozen=True)
class Data:
    """One data frame in clear, and its keys."""

    kind: int
    dev_addr: int
    fcnt: int
    fport: int | None
    payload: bytes
    fopts: bytes
    adr: bool
    adr_ack_req: bool
    ack: bool
    f_pending: bool
    nwk_skey: bytes
    app_skey: bytes

    @property
    def uplink(self) -> bool:
        return self.kind in (frame.UNCONFIRMED_UP, frame.CONFIRMED_UP)

    @property
    def confirmed(self) -> bool:
        return self.kind in (frame.CONFIRMED_UP, frame.CONFIRMED_DOWN)

    @property
    def keys(self) -> Answer:
        return {"nwk_skey": self.nwk_skey.hex(), "app_skey": self.app_skey.hex(), "fcnt": self.fcnt}

    def session(self) -> Session:
        """One that sends this frame next, or expects it."""
        return Session(ecb, self.dev_addr, self.nwk_skey, self.app_skey, self.fcnt, self.fcnt)

    def sealed(self) -> bytes:
        session = self.session()
        if self.uplink:
            return session.seal_uplink(
                self.fport, self.payload, self.confirmed, self.ack, self.adr, self.fopts, self.adr_ack_req
            )
        return session.seal_downlink(self.fport, self.payload, self.confirmed, self.ack, self.fopts, self.f_pending)

    def told(self) -> Answer:
        """What the other codec has to find."""
        return {
            "type": NAMES[self.kind],
            "dir": "up" if self.uplink else "down",
            "dev_addr": f"{self.dev_addr:08x}",
            "confirmed": self.confirmed,
            "fcnt16": self.fcnt & 0xFFFF,
            "adr": self.adr,
            "ack": self.ack,
            "adr_ack_req": self.adr_ack_req,
            "f_pending": self.f_pending,
            "fopts": self.fopts.hex(),
            "fport": self.fport,
            "payload": self.payload.hex(),
            "mic_ok": True,
        }

    def request(self) -> Answer:
        """Ask the other codec to make it."""
        fctrl = {"ADR": self.adr, "ADRACKReq": self.adr_ack_req, "ACK": self.ack, "FPending": self.f_pending}
        told = {"fport": self.fport, "payload": self.payload.hex(), "fopts": self.fopts.hex()}
        return (
            {"op": "encode_data", "type": self.kind, "dev_addr": f"{self.dev_addr:08x}", "fctrl": fctrl}
            | told
            | self.keys
        )


def drawn(rng: Random) -> Data:
    """A frame of any kind; every fourth each without a port, on port 0, with FOpts, beyond 16 bits of counter."""
    kind = rng.choice(list(NAMES))
    uplink = kind in (frame.UNCONFIRMED_UP, frame.CONFIRMED_UP)
    fport = rng.choice([None, 0, rng.randrange(1, 224), 224])
    fopts = b"" if fport == 0 else rng.randbytes(rng.choice([0, rng.randrange(16)]))
    return Data(
        kind,
        rng.getrandbits(32),
        rng.choice([0, rng.getrandbits(8), rng.getrandbits(16), rng.getrandbits(32)]),
        fport,
        b"" if fport is None else rng.randbytes(rng.choice([0, 1, 15, 16, 17, rng.randrange(223)])),
        fopts,
        adr=uplink and rng.random() < 0.5,
        adr_ack_req=uplink and rng.random() < 0.5,
        ack=rng.random() < 0.5,
        f_pending=not uplink and rng.random() < 0.5,
        nwk_skey=rng.randbytes(16),
        app_skey=rng.randbytes(16),
    )


def test_the_lock_file_pins_by_content_and_names_no_registry() -> None:
    text = (FOLDER / "package-lock.json").read_text()
    packages = {name: package for name, package in json.loads(text)["packages"].items() if name}
    assert set(packages) == {
        f"node_modules/{name}" for name in ("aes-cmac", "axe-core", "cborg", "crypto-js", "lora-packet")
    }
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert "://" not in text


def test_they_read_our_data_frames(rng: Random) -> None:
    frames = [drawn(rng) for _ in range(FRAMES)]
    print(Counter((NAMES[each.kind], each.fport in (None, 0) and str(each.fport)) for each in frames))
    found = theirs([{"op": "decode", "phy": each.sealed().hex()} | each.keys for each in frames])
    assert found == [each.told() for each in frames]


def test_they_refuse_what_we_did_not_seal(rng: Random) -> None:
    frames = [drawn(rng) for _ in range(40)]
    changed = [bytearray(each.sealed()) for each in frames]
    for phy in changed:
        phy[-1 - rng.randrange(4)] ^= 1 << rng.randrange(8)
    found = theirs([{"op": "decode", "phy": phy.hex()} | each.keys for phy, each in zip(changed, frames, strict=True)])
    assert [each["mic_ok"] for each in found] == [False] * len(frames)


def test_we_read_their_data_frames_and_would_have_made_the_same(rng: Random) -> None:
    frames = [drawn(rng) for _ in range(FRAMES)]
    for each, made in zip(frames, theirs([each.request() for each in frames]), strict=True):
        phy = bytes.fromhex(made["phy"])
        session = each.session()
        received = session.open_uplink(phy) if each.uplink else session.open_downlink(phy)
        assert (received.fcnt, received.fport, received.payload) == (each.fcnt, each.fport, each.payload)
        assert (received.fopts, received.confirmed, received.ack) == (each.fopts, each.confirmed, each.ack)
        assert (received.adr, received.adr_ack_req, received.f_pending) == (each.adr, each.adr_ack_req, each.f_pending)
        assert phy == each.sealed()


def _joins(rng: Random) -> list[dict[str, bytes]]:
    cf_lists = [b"", macnetwork.encode_cf_list([each.freq_hz for each in GATEWAY_CHANNELS]), rng.randbytes(16)]
    lengths = {"app_key": 16, "join_eui": 8, "dev_eui": 8, "dev_nonce": 2, "join_nonce": 3, "net_id": 3, "dev_addr": 4}
    return [
        {name: rng.randbytes(length) for name, length in lengths.items()}
        | {"cf_list": cf_list, "dl_settings": bytes([rng.randrange(6) << 4 | RX2_DR]), "rx_delay": bytes([1 + at % 15])}
        for at, cf_list in enumerate(cf_lists * 10)
    ]


def _request(join: dict[str, bytes]) -> bytes:
    nonce = int.from_bytes(join["dev_nonce"], "big")
    return joining.encode_join_request(ecb(join["app_key"]), join["join_eui"], join["dev_eui"], nonce)


def _accept(join: dict[str, bytes]) -> bytes:
    key = join["app_key"]
    names = ("join_nonce", "net_id", "dev_addr", "dl_settings", "rx_delay")
    nonce, net_id, dev_addr, dl_settings, rx_delay = (int.from_bytes(join[name], "big") for name in names)
    return joining.encode_join_accept(
        ecb(key), ecb_decrypt(key), nonce, net_id, dev_addr, dl_settings, rx_delay, join["cf_list"]
    )


def _told(join: dict[str, bytes], kind: str, direction: str, *names: str) -> Answer:
    return {"type": kind, "dir": direction, "mic_ok": True} | {name: join[name].hex() for name in names}


ACCEPT_FIELDS = ("join_nonce", "net_id", "dev_addr", "dl_settings", "rx_delay", "cf_list")


def test_they_read_our_joins_and_derive_the_same_keys(rng: Random) -> None:
    joins = _joins(rng)
    asked: list[Answer] = []
    for join in joins:
        key = {"app_key": join["app_key"].hex()}
        asked += [{"op": "decode", "phy": phy.hex()} | key for phy in (_request(join), _accept(join))]
        asked.append({"op": "keys"} | key | {name: join[name].hex() for name in ("net_id", "join_nonce", "dev_nonce")})
    found = theirs(asked)
    for join, request, accept, keys in zip(joins, found[::3], found[1::3], found[2::3], strict=True):
        assert request == _told(join, "Join Request", "up", "join_eui", "dev_eui", "dev_nonce")
        assert accept == _told(join, "Join Accept", "down", *ACCEPT_FIELDS)
        numbers = [int.from_bytes(join[name], "big") for name in ("join_nonce", "net_id", "dev_nonce")]
        ours = derive_session_keys(ecb(join["app_key"]), *numbers)
        assert (bytes.fromhex(keys["nwk_skey"]), bytes.fromhex(keys["app_skey"])) == ours


def test_we_read_their_joins(rng: Random) -> None:
    joins = _joins(rng)
    asked: list[Answer] = []
    for join in joins:
        key = {"op": "encode_join", "app_key": join["app_key"].hex()}
        request = {"AppEUI": join["join_eui"], "DevEUI": join["dev_eui"], "DevNonce": join["dev_nonce"]}
        accept = {"AppNonce": join["join_nonce"], "NetID": join["net_id"], "DevAddr": join["dev_addr"]}
        accept |= {"DLSettings": join["dl_settings"], "RxDelay": join["rx_delay"], "CFList": join["cf_list"]}
        for kind, fields in ((frame.JOIN_REQUEST, request), (frame.JOIN_ACCEPT, accept)):
            asked.append(key | {"type": kind, "fields": {name: value.hex() for name, value in fields.items()}})
    made = [bytes.fromhex(each["phy"]) for each in theirs(asked)]
    for join, request_phy, accept_phy in zip(joins, made[::2], made[1::2], strict=True):
        joining.check_join_request(ecb(join["app_key"]), request_phy)
        assert request_phy == _request(join)
        accepted = joining.decode_join_accept(ecb(join["app_key"]), accept_phy)
        assert accept_phy == _accept(join)
        assert accepted.cf_list == join["cf_list"]
        with pytest.raises(NotAuthentic):
            joining.decode_join_accept(ecb(bytes(16)), accept_phy)


def _app_key(city: City) -> bytes:
    folder = city.folder / "city"
    with Registry.open(f"sqlite:///{folder}/register.db", (folder / "kek").read_bytes()) as register:
        return register.app_key(bytes.fromhex(city.dev_eui))


def _decoded(frames: list[tuple[OnAir, Received]], keys: Answer) -> Iterator[tuple[Received, Answer]]:
    asked = [{"op": "decode", "phy": sent.phy.hex(), "fcnt": ours.fcnt} | keys for sent, ours in frames]
    return zip((ours for _, ours in frames), theirs(asked), strict=True)


@pytest.mark.apart
@pytest.mark.timeout(400)
def test_they_read_what_board_and_gateway_said_to_each_other(tmp_path: Path, free_port: int, seed: int) -> None:
    """Every byte that either side had in the air: firmware, radio chip, air, packet forwarder, daemon."""
    with running(LoraCity(tmp_path, free_port, receipt_every=2, seed=seed)) as city:
        city.start_gateway()
        city.start_air()
        city.start_board()
        wait_until(lambda: len(city.on_air()) >= 16, "sixteen frames in the air", 150)
        assert city.stop("board") == 0
        app_key, on_air = _app_key(city), [each for each in city.on_air() if each.whole]
    key = {"app_key": app_key.hex()}
    request_phy = [each.phy for each in on_air if each.mtype == frame.JOIN_REQUEST][-1]
    accept_phy = [each.phy for each in on_air if each.mtype == frame.JOIN_ACCEPT][-1]
    request, accept = theirs([{"op": "decode", "phy": phy.hex()} | key for phy in (request_phy, accept_phy)])
    assert (request["mic_ok"], request["dev_eui"]) == (True, city.dev_eui)
    cf_list = macnetwork.encode_cf_list([each.freq_hz for each in GATEWAY_CHANNELS]).hex()
    assert (accept["mic_ok"], accept["net_id"], accept["cf_list"]) == (True, "000001", cf_list)
    nonces = {"net_id": accept["net_id"], "join_nonce": accept["join_nonce"], "dev_nonce": request["dev_nonce"]}
    (keys,) = theirs([{"op": "keys"} | key | nonces])
    session = Session(
        ecb, int(accept["dev_addr"], 16), bytes.fromhex(keys["nwk_skey"]), bytes.fromhex(keys["app_skey"])
    )
    data = [each for each in on_air if each.mtype not in (frame.JOIN_REQUEST, frame.JOIN_ACCEPT)]
    ups = {each.phy: each for each in data if each.sender == BOARD}.values()  # copies of one frame are one frame
    downs = [each for each in data if each.sender != BOARD]
    up = [(each, session.open_uplink(each.phy)) for each in ups]
    down = [(each, session.open_downlink(each.phy)) for each in downs]
    ports: Counter[object] = Counter()
    for each, they in [*_decoded(up, keys), *_decoded(down, keys)]:
        assert they["mic_ok"]
        assert (they["fport"], they["payload"]) == (each.fport, each.payload.hex())
        assert (they["fopts"], they["ack"], they["adr"]) == (each.fopts.hex(), each.ack, each.adr)
        ports[they["fport"]] += 1
    print(f"frames by FPort: {ports}")
    assert ports[readings.FPORT_READINGS] >= 5
    assert ports[readings.FPORT_RECEIPTS] >= 2
