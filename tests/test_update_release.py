# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Signed releases: what is in them, what a board refuses, and power cuts at every flash operation of an update."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from firmware.wire import update
from firmware.wire.errors import Malformed
from provisioning.bench import slot_file
from provisioning.bench.package import Purpose
from provisioning.cli import main
from provisioning.errors import BoardError, PkiError
from provisioning.updates import bundle, release
from tests import update_rig
from tests.update_rig import KEY, package

ROOT = Path(__file__).parent.parent
PUBLIC = release.public_bytes(KEY.public_key())


def made(version: int = 2, sequence: int = 7, **options: Any) -> release.Release:
    return release.make(package(version), sequence, KEY, **options)


def signed_as(**changed: Any) -> bytes:
    """A manifest with other values, well signed."""
    content = made().manifest | {getattr(update, name): value for name, value in changed.items()}
    return release.sign({key: value for key, value in content.items() if value is not None}, KEY)


def test_a_release_is_read_back_and_checked() -> None:
    one = made()
    again = release.read(one.write(), "x")
    assert (again, again.name) == (one, package(2).build)
    release.check(again, PUBLIC)
    listed = bundle.listed(one.bundle)
    assert {path: digest for path, (_, digest, _) in listed.items() if path in package(2).content} == package(2).hashes
    assert set(update.ROOT) < set(listed)
    other = release.public_bytes(ec.derive_private_key(5, ec.SECP256R1()).public_key())
    with pytest.raises(PkiError, match="not signed by"):
        release.check(again, other)


def test_what_a_board_has_is_left_out() -> None:
    whole, delta = made(), made(base=release.Base.of(package(1)))
    assert len(delta.bundle) < len(whole.bundle) - 1500
    absent = {path for path, (_, _, here) in bundle.listed(delta.bundle).items() if not here}
    assert absent == {"firmware/part0.mpy", "firmware/part1.mpy", "firmware/part2.mpy", "lykta_main.py"}
    assert delta.manifest[update.M_BASE] == bytes.fromhex(package(1).build)
    assert set(bundle.listed(whole.bundle)) == set(bundle.listed(delta.bundle))


def test_a_release_is_the_base_of_the_next() -> None:
    first = made(version=1, sequence=1)
    assert made(base=release.Base.of_release(first)).bundle == made(base=release.Base.of(package(1))).bundle


def test_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = str(tmp_path / "city")
    assert main(["-C", home, "init", "--city", "Lyktby"]) == 0
    sign = ["-C", home, "update", "sign", "--board", "virtual", "--kind", "street_light", "--links", "serial"]
    assert main([*sign, "--sequence", "1"]) == 1
    assert "lykta update key makes one" in capsys.readouterr().err
    assert main(["-C", home, "update", "key"]) == 0
    assert main(["-C", home, "update", "key"]) == 1, "a key is never overwritten"
    assert main([*sign, "--sequence", "1"]) == 0
    assert main([*sign, "--sequence", "2", "--base", "virtual-1.lyktaup"]) == 0
    assert Path("virtual-2.lyktaup").stat().st_size < Path("virtual-1.lyktaup").stat().st_size / 5
    capsys.readouterr()
    assert main(["-C", home, "update", "show", "virtual-1.lyktaup", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sequence"] == 1
    other = str(tmp_path / "other")
    assert main(["-C", other, "init", "--city", "Annanby"]) == 0
    assert main(["-C", other, "update", "key"]) == 0
    assert main(["-C", other, "update", "show", "virtual-1.lyktaup"]) == 1
    assert "not signed by this city" in capsys.readouterr().err


@given(st.data())
def test_a_damaged_file_is_refused(data: st.DataObject) -> None:
    whole = bytearray(made().write())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = release.read(bytes(whole), "x")
    except BoardError:
        return
    with pytest.raises(PkiError):
        release.check(found, PUBLIC)


def test_what_no_board_takes_is_not_signed() -> None:
    for sequence in (0, 1 << 32):
        with pytest.raises(BoardError, match="No board would take"):
            made(sequence=sequence)
    with pytest.raises(BoardError, match="No board would take"):
        made(health_s=1)
    large = replace(package(2), files={"firmware/large.mpy": bytes(update.MAX_BUNDLE)})
    with pytest.raises(BoardError, match="too large"):
        release.make(large, 1, KEY)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for parse in (update.parse, update.manifest, update.status):
        try:
            parse(data)
        except Malformed:
            continue
    with pytest.raises(Malformed):
        update.parse(bytes([update.TAG_SIGN1]) + data)


def _refusals(folder: Path) -> dict[str, int]:
    """Manifests by name, written to a folder, with what a board says of each."""
    foreign = ec.derive_private_key(99, ec.SECP256R1())
    good = made()
    header, _, payload, signature = update.parse(good.signed)
    forged = signature[:-1] + bytes([signature[-1] ^ 1])
    for_all = release.make(replace(package(2), made_for=Purpose("waste_bin", frozenset({"lora"}))), 7, KEY)
    plain = cbor2.dumps(cbor2.CBORTag(18, [header, {4: b"x"}, payload, signature]))
    cases = {
        "good": (good.signed, update.NONE),
        "delta": (made(base=release.Base.of(package(1))).signed, update.NONE),
        "cut": (good.signed[:-1], update.MALFORMED),
        "other_header": (plain, update.MALFORMED),
        "foreign": (release.make(package(2), 7, foreign).signed, update.UNKNOWN_KEY),
        "forged": (update.message(header, payload, forged), update.BAD_SIGNATURE),
        "changed": (update.message(header, payload[:-1] + b"\x0a", signature), update.BAD_SIGNATURE),
        "same_again": (made(sequence=3).signed, update.NOT_NEWER),
        "older": (made(sequence=2).signed, update.NOT_NEWER),
        "board": (signed_as(M_BOARD="heltec_v3"), update.OTHER_BOARD),
        "purpose": (for_all.signed, update.OTHER_PURPOSE),
        "bytecode": (signed_as(M_MPY=5), update.OTHER_BYTECODE),
        "base": (made(base=release.Base.of(package(3))).signed, update.OTHER_BASE),
        "huge": (signed_as(M_SIZE=update.MAX_BUNDLE), update.NONE),
    }
    for name, (data, _) in cases.items():
        (folder / name).write_bytes(data)
    return {name: problem for name, (_, problem) in cases.items()}


def _micropython(binary: Path, script: str, *arguments: object) -> list[str]:
    env = {**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"}
    command = [str(binary), "-X", "heapsize=2m", str(ROOT / "tests" / "upy" / script), *map(str, arguments)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["ok"]), done.stdout + done.stderr
    return done.stdout.splitlines()


def test_what_a_board_refuses(micropython: Path, tmp_path: Path) -> None:
    update_rig.on_disk(tmp_path, package(1), made())
    expected = _refusals(tmp_path)
    told = _micropython(micropython, "update_offer.py", tmp_path, 3, *expected)
    numbers = [line for line in told if line.isdecimal()]
    assert dict(zip(expected, map(int, numbers), strict=True)) == expected


def test_a_release_that_has_no_room_is_refused_before_it_is_sent(micropython: Path, tmp_path: Path) -> None:
    update_rig.on_disk(tmp_path, package(1), made())
    _micropython(micropython, "update_room.py", tmp_path)


@pytest.mark.apart
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("delta", "step", "form"), [(False, 9, "tree"), (True, 13, "tree"), (False, 11, "file"), (True, 11, "file")]
)
def test_power_cuts_leave_a_complete_build(
    micropython: Path, tmp_path: Path, delta: bool, step: int, form: str
) -> None:
    new = made(base=release.Base.of(package(1)) if delta else None)
    update_rig.on_disk(tmp_path, package(1), new, package(2))
    _micropython(micropython, "update_flash.py", tmp_path, step, form)


def test_a_release_of_before_is_refused_by_a_board_that_could_not_go_back(
    micropython: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update_rig.on_disk(tmp_path, package(1), made())
    monkeypatch.setattr(slot_file, "READER", 'def show(slot):\n sys.path.insert(0, "/" + slot)\n')
    before = made()
    (tmp_path / "offer").write_bytes(before.signed)
    (tmp_path / "bundle").write_bytes(before.bundle)
    (tmp_path / "slot.b").write_bytes(b"")
    _micropython(micropython, "update_flash.py", tmp_path, 0, "file")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("form", ["tree", "file"])
@pytest.mark.parametrize("delta", [False, True])
def test_a_power_cut_at_every_flash_operation(micropython: Path, tmp_path: Path, delta: bool, form: str) -> None:
    new = made(base=release.Base.of(package(1)) if delta else None)
    update_rig.on_disk(tmp_path, package(1), new, package(2))
    told = _micropython(micropython, "update_flash.py", tmp_path, 1, form)
    print([line for line in told if line.endswith(("True", "False"))])
