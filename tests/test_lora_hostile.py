# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A hundred thousand frames that nobody should believe: refused, counted by reason, no error logged, no memory kept.

What is right goes on being right among them: the devices that the frames were stolen from are heard before and after.
"""

import gc
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from firmware.wire import frame, joining, readings
from firmware.wire.session import Session
from gateway.links import Downlink, Uplink
from gateway.network import quarantine, register
from gateway.network.aes import ecb
from gateway.network.options import Options
from gateway.network.scheduler import Planned
from gateway.radio import Reception
from tests.frame_gateway import LogWatch, Stages
from tests.gateway_rig import City, Device, encoded
from tests.outbox_rig import TestClock

pytestmark = pytest.mark.apart

FRAMES = 100_000
DEVICES = 20
BATCH = 100
ROUNDS = 5
"""How often the devices are heard meanwhile."""
FRAMES_BEFORE = 8
GROWTH_BYTES = 64 * 1024
EUI = bytes.fromhex("aa555a0000000101")


class Target:
    """A gateway with some devices in session, and everything that was ever on air of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = Random(seed)
        self.clock = TestClock(wall=time.time())
        self.city = City(folder / "city")
        self.stages = Stages(self.city, folder / "state", self.clock, seed, Options(class_c=frozenset()))
        self.devices = [self.city.device(number) for number in range(DEVICES)]
        self.log = LogWatch()
        self.seq = 0
        self.joins: list[bytes] = []
        self.frames: list[bytes] = []
        for device in self.devices:
            request = device.join_request()
            (planned,) = self.hear(request)
            device.take_accept(planned.phy)
            self.joins.append(request)

    def hear(self, *phys: bytes) -> list[Downlink | Planned]:
        self.clock.sleep(1.0)
        radio = Reception(EUI, 0, 868_100_000, 7, 125_000, -80.0, 5.0)
        heard_at_s = self.clock.monotonic
        uplinks = [Uplink("air", EUI.hex(), phy, self.clock.wall, radio, heard_at_s) for phy in phys]
        return list(self.stages.intake.process(uplinks))

    def speak(self) -> None:
        """Each device sends one reading and gets a receipt for all."""
        self.seq += 1
        for device in self.devices:
            phy = device.readings(self.seq, oldest=1)
            (planned,) = self.hear(phy)
            device.take(planned.phy)
            assert self.seq in device.held
            self.frames.append(phy)
        self.clock.sleep(400.0)  # so late nobody repeats a frame: from here on that is a replay

    def close(self) -> None:
        self.stages.__exit__()
        self.city.registry.close()

    # What is wrong with each frame

    def next_frame(self) -> tuple[Device, bytes]:
        """A frame that would be right, from a copy of a session, so that the device itself does not move."""
        device = self.rng.choice(self.devices)
        return device, _sealed(device, device.live.fcnt_up, self.rng)

    def bit_flip(self) -> bytes:
        phy = self.rng.choice([self.rng.choice(self.frames), self.rng.choice(self.joins), self.next_frame()[1]])
        return _flipped(phy, self.rng, self.rng.randrange(1, 4))

    def truncation(self) -> bytes:
        phy = self.rng.choice([self.next_frame()[1], self.rng.choice(self.joins)])
        return phy[: self.rng.randrange(len(phy))]

    def appendix(self) -> bytes:
        phy = self.rng.choice([self.next_frame()[1], self.rng.choice(self.joins)])
        return phy + self.rng.randbytes(self.rng.randrange(1, 30))

    def replay(self) -> bytes:
        return self.rng.choice(self.frames)

    def roll_back(self) -> bytes:
        """New content under an old counter, by someone who has the keys."""
        device = self.rng.choice(self.devices)
        return _sealed(device, self.rng.randrange(device.live.fcnt_up), self.rng)

    def nonce_reuse(self) -> bytes:
        device = self.rng.choice(self.devices)
        nonce = self.rng.randrange(device.dev_nonce + 1)
        return joining.encode_join_request(ecb(device.app_key), device.join_eui, device.dev_eui, nonce)

    def wrong_mic(self) -> bytes:
        phy = self.rng.choice([self.next_frame()[1], self._new_join(self.rng.choice(self.devices))])
        return phy[:-4] + _other(phy[-4:], self.rng)

    def other_session(self) -> bytes:
        """A device speaks under the address of another."""
        device, other = self.rng.sample(self.devices, 2)
        phy = _sealed(device, device.live.fcnt_up, self.rng)
        return phy[:1] + other.live.dev_addr.to_bytes(4, "little") + phy[5:]

    def other_key(self) -> bytes:
        device, other = self.rng.sample(self.devices, 2)
        return joining.encode_join_request(ecb(other.app_key), device.join_eui, device.dev_eui, device.dev_nonce + 1)

    def stranger(self) -> bytes:
        dev_eui = self.rng.randbytes(8)
        return joining.encode_join_request(ecb(self.rng.randbytes(16)), self.devices[0].join_eui, dev_eui, 1)

    def downlink(self) -> bytes:
        kind = self.rng.choice([frame.JOIN_ACCEPT, frame.UNCONFIRMED_DOWN, frame.CONFIRMED_DOWN])
        return bytes([kind << 5]) + self.next_frame()[1][1:]

    def noise(self) -> bytes:
        return self.rng.randbytes(self.rng.randrange(64))

    def _new_join(self, device: Device) -> bytes:
        return joining.encode_join_request(ecb(device.app_key), device.join_eui, device.dev_eui, device.dev_nonce + 1)


def _sealed(device: Device, fcnt: int, rng: Random) -> bytes:
    session = device.live
    copy = Session(ecb, session.dev_addr, bytes(16), bytes(16), fcnt)
    copy._nwk, copy._app = session._nwk, session._app
    payload = readings.pack([encoded(rng.randrange(1, 1 << 32))], 1)
    return copy.seal_uplink(readings.FPORT_READINGS, payload, confirmed=rng.random() < 0.5)


def _flipped(phy: bytes, rng: Random, bits: int) -> bytes:
    flipped = int.from_bytes(phy, "big")
    for bit in rng.sample(range(8 * len(phy)), bits):
        flipped ^= 1 << bit
    return flipped.to_bytes(len(phy), "big")


def _other(mic: bytes, rng: Random) -> bytes:
    while (other := rng.randbytes(len(mic))) == mic:
        pass
    return other


ANY_DATA = {"malformed", "not_authentic", "unknown_address", "unsupported_type", "unknown_device"}
REASONS: dict[Callable[[Target], bytes], set[str]] = {
    Target.bit_flip: ANY_DATA,
    Target.truncation: ANY_DATA,
    Target.appendix: {"malformed", "not_authentic"},
    Target.replay: {"replayed"},
    Target.roll_back: {"replayed"},
    Target.nonce_reuse: {"wrong_nonce"},
    Target.wrong_mic: {"not_authentic"},
    Target.other_session: {"not_authentic"},
    Target.other_key: {"not_authentic"},
    Target.stranger: {"unknown_device"},
    Target.downlink: {"unsupported_type"},
    Target.noise: {"malformed", "unknown_address", "unsupported_type", "not_authentic", "unknown_device"},
}


@pytest.fixture
def target(tmp_path: Path, seed: int) -> Iterator[Target]:
    print(f"seed {seed}")
    made = Target(tmp_path, seed)
    for _ in range(FRAMES_BEFORE):
        made.speak()
    yield made
    made.close()


def _attack(target: Target, frames: int) -> Counter[str]:
    """That many wrong frames of all kinds in turn; return the reasons, each allowed for its kind."""
    found: Counter[str] = Counter()
    kinds = list(REASONS)
    for batch in range(frames // BATCH):
        kind = kinds[batch % len(kinds)]
        before = Counter(target.stages.counters.snapshot().get("refused", {}))
        assert target.hear(*[kind(target) for _ in range(BATCH)]) == [], kind.__name__
        reasons = Counter(target.stages.counters.snapshot()["refused"]) - before
        assert set(reasons) <= REASONS[kind], (kind.__name__, reasons)
        assert reasons.total() == BATCH
        found += reasons
    return found


@pytest.mark.timeout(300)
def test_a_hundred_thousand_wrong_frames_change_nothing(target: Target) -> None:
    taken, readings_held = len(target.stages.server.taken), target.seq * DEVICES
    reasons: Counter[str] = Counter()
    began_s = time.monotonic()
    with target.log:
        for _ in range(ROUNDS):
            reasons += _attack(target, FRAMES // ROUNDS)
            assert len(target.stages.server.taken) == taken
            assert target.stages.count("readings", "new") == readings_held
            target.speak()
            taken, readings_held = taken + DEVICES, readings_held + DEVICES
    print(f"{FRAMES} frames in {time.monotonic() - began_s:.1f} s: {reasons.most_common()}")
    assert reasons.total() == FRAMES
    assert target.log.bad == []
    assert target.stages.count("frames", "joined") == DEVICES
    assert target.stages.count("readings", "duplicates") == 0
    for device in target.devices:
        stored = target.stages.sessions.by_address(device.live.dev_addr)
        assert stored is not None
        assert stored.fcnt_up == device.live.fcnt_up == target.seq
    verifier = target.city.verifier()
    held = [one for row in target.stages.outbox.read(0, 1 << 30) for one in verifier.check(row.message).readings]
    assert {(one.dev_eui, one.seq) for one in held} == {
        (device.dev_eui.hex(), seq) for device in target.devices for seq in range(1, target.seq + 1)
    }


@pytest.mark.timeout(300)
def test_wrong_frames_leave_nothing_in_memory(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "_MAX_REMEMBERED", 200)  # 20000 strangers are a bound too, but a slow one to reach
    monkeypatch.setattr(quarantine, "MAX_ENTRIES", 50)
    each_round = 4 * BATCH * len(REASONS)
    sizes = []
    tracemalloc.start()
    try:
        with target.log:
            for _ in range(4):
                _attack(target, each_round)
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    print(f"traced bytes after each {each_round} wrong frames: {sizes}")
    assert max(sizes[1:]) - sizes[0] < GROWTH_BYTES
    assert len(target.stages.quarantine.entries()) == 50
