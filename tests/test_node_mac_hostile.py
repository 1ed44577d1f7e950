# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MAC commands and Join-Accepts that no honest network sends: truncated, repeated, unknown, oversized, mixed.

The frames are authentic, for others never come so far: what a broken or hostile network server could do to a board.
"""

import json
import os
import random
import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.node.lorawan.mac_engine import MacEngine
from firmware.wire import maccommands, macdevice, macnetwork, region
from tests.lent import code_stays_loaded
from tests.upy import mac_hostile

__all__ = ["code_stays_loaded"]  # a fixture of every test here

HERE = Path(__file__).parent
PORT_0_BYTES = 222
UNKNOWN = [cid for cid in range(256) if cid not in maccommands._LENGTHS]
COMMANDS = st.sampled_from(sorted(maccommands._LENGTHS)).flatmap(
    lambda cid: st.binary(
        min_size=maccommands._LENGTHS[cid][1], max_size=maccommands._LENGTHS[cid][1]
    ).map(lambda body: bytes([cid]) + body)
)  # fmt: skip
BLOCK = st.lists(COMMANDS, max_size=44).map(lambda commands: b"".join(commands)[:PORT_0_BYTES])


def whole(commands: bytes) -> bytes:
    """The commands before one that is cut off by the end."""
    while commands:
        try:
            maccommands.parse(commands, False)
        except maccommands.Malformed:
            commands = commands[:-1]
        else:
            return commands
    return b""


def seen(engine: MacEngine) -> object:
    return mac_hostile.shown(engine)


def check(engine: MacEngine) -> None:
    """It can still speak, listen and be told better."""
    assert engine.plan.enabled(engine.dr)
    assert engine.pending_len() <= PORT_0_BYTES
    maccommands.parse(engine.pending(PORT_0_BYTES), True)
    assert 1 <= engine.nb_trans <= 15
    assert 1 <= engine.rx_delay_s <= 15
    assert 0 <= engine.max_duty_cycle <= 15
    assert engine.rx2_dr in region.DATA_RATES or engine.rx2_dr <= region.MAX_DR
    assert 863_000_000 <= engine.rx2_hz <= 870_000_000
    for i, channel in enumerate(engine.plan.channels):
        assert channel is not None or not engine.plan.mask >> i & 1
        if channel is not None:
            assert region.band_of(channel[0]) is not None
            assert 863_000_000 <= channel[3] <= 870_000_000
    defaults = [channel and channel[:3] for channel in engine.plan.channels[:3]]
    assert defaults == [(hz, 0, 5) for hz in region.DEFAULT_CHANNELS_HZ]


@settings(max_examples=200)
@given(st.lists(BLOCK, max_size=4))
def test_any_commands_leave_a_device_that_can_be_told_better(downlinks: list[bytes]) -> None:
    engine = MacEngine()
    for commands in downlinks:
        engine.take_in(commands, 9)
        check(engine)
    before = [macnetwork.rx_param_setup_req(0, 0, region.RX2_HZ), macnetwork.link_adr_req(5, 0, 0b111)]
    engine.take_in(before[0], 0)
    engine.take_in(before[1], 0)
    assert (engine.rx2_dr, engine.rx2_hz, engine.dr, engine.plan.mask) == (0, region.RX2_HZ, 5, 0b111)


@given(BLOCK, st.sampled_from(UNKNOWN), BLOCK)
def test_what_follows_an_unknown_command_might_as_well_not_be_there(first: bytes, cid: int, then: bytes) -> None:
    first = whole(first)
    one, other = MacEngine(), MacEngine()
    one.take_in(first + bytes([cid]) + then, 0)
    other.take_in(first, 0)
    assert seen(one) == seen(other)


@given(BLOCK, COMMANDS.filter(lambda command: len(command) > 1), st.data())
def test_a_command_that_is_cut_short_changes_nothing(first: bytes, last: bytes, data: st.DataObject) -> None:
    engine = MacEngine()
    fresh = seen(engine)
    engine.take_in(whole(first) + last[: data.draw(st.integers(1, len(last) - 1))], 0)
    assert seen(engine) == fresh


@given(COMMANDS.filter(lambda command: command[0] != maccommands.DEV_STATUS), st.integers(2, 40))
def test_a_repeated_command_is_obeyed_once(command: bytes, times: int) -> None:
    one, many = MacEngine(), MacEngine()
    one.take_in(command, 0)
    many.take_in((command * times)[: len(command) * (PORT_0_BYTES // len(command))], 0)
    assert one.state()[:8] == many.state()[:8]
    assert one.state()[9:] == many.state()[9:]
    assert set(many.answers) <= set(one.answers)


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=20) | st.binary(min_size=16, max_size=16))
def test_any_join_accept_leaves_a_device_that_can_be_told_better(dl_settings: int, delay: int, cf_list: bytes) -> None:
    engine = MacEngine()
    engine.start(3, dl_settings, delay, cf_list)
    check(engine)
    assert (engine.dr, engine.rx_delay_s) == (3, (delay & 15) or 1)
    made = {channel[0] for channel in engine.plan.channels[3:] if channel}
    listed = set()
    if len(cf_list) == 16 and cf_list[15] == 0:
        listed = {macdevice.frequency_hz(cf_list[at : at + 3]) for at in range(0, 15, 3)}
    assert made == {hz for hz in listed if hz and region.band_of(hz) is not None}


def _line(rng: random.Random) -> str:
    """A life: valid, random, cut, repeated and unknown commands in any mixture."""
    cids = sorted(maccommands._LENGTHS)

    def command() -> bytes:
        cid = rng.choice(cids)
        return bytes([cid]) + rng.randbytes(maccommands._LENGTHS[cid][1])

    def downlink() -> bytes:
        made = b"".join(command() for _ in range(rng.randrange(1, 30)))
        how = rng.randrange(6)
        if how == 0:
            made = (
                macnetwork.link_adr_req(rng.randrange(16), rng.randrange(9), rng.randrange(16)) * rng.randrange(9)
                + made
            )
        elif how == 1:
            made = made[: rng.randrange(len(made))]
        elif how == 2:
            made += bytes([rng.choice(UNKNOWN)]) + made
        elif how == 3:
            made = rng.randbytes(rng.randrange(1, 60))
        return made[:PORT_0_BYTES] or b"\xff"

    cf_list = rng.choice([b"", macnetwork.encode_cf_list([867_100_000, 867_300_000]), rng.randbytes(16)])
    return " ".join(
        each.hex() for each in [rng.randbytes(2) + cf_list, *(downlink() for _ in range(rng.randrange(1, 6)))]
    )


def test_both_interpreters_make_the_same_of_them(micropython: Path, rng: random.Random) -> None:
    lines = [_line(rng) for _ in range(300)]
    env = {**os.environ, "MICROPYPATH": f"{HERE.parent}:.frozen"}
    command = [str(micropython), "-X", "heapsize=2m", str(HERE / "upy" / "mac_hostile.py")]
    done = subprocess.run(
        command, env=env, input="\n".join(lines), capture_output=True, text=True, timeout=100, check=True
    )
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(theirs) == len(lines)
    for line, said in zip(lines, theirs, strict=True):
        assert said == json.loads(mac_hostile.life(line)), line
