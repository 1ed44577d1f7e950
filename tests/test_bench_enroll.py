# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Enrolment: from a blank board to one with identity, proof, record and label; interrupted, repeated, in a batch."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from provisioning.bench import batch, enrolment, identity, ports, record
from provisioning.bench.enrolment import Bench, Enrolled, Enrolment, Wanted
from provisioning.bench.errors import CableLost, NotConfirmed, ProofFailed, WrongBoard
from provisioning.bench.ledger import Ledger
from provisioning.bench.line import Line
from provisioning.bench.package import Package
from provisioning.bench.proof import BenchNetwork, Proof, prove
from provisioning.bench.rehearsal import VirtualBoard, virtual_boards
from provisioning.bench.session import Session
from provisioning.city import City, create_city
from provisioning.cli import main
from provisioning.cli.enroll import _show
from provisioning.errors import PkiError, ProvisioningError, UnknownDevice
from provisioning.updates.room import Room, room_in
from tests.bench_rig import control, one_board

pytestmark = pytest.mark.apart


class Interrupted(Exception):
    """Power of the laptop."""


@pytest.fixture
def city(tmp_path: Path) -> City:
    return create_city(tmp_path / "city", "Teststad")


@pytest.fixture
def bench(city: City) -> Iterator[Bench]:
    with city.registry() as registry:
        yield Bench.of(city, registry)


def enroll(bench: Bench, board: VirtualBoard, stop_at: str = "", yes: bool = True, **wanted: object) -> Enrolled:
    def step(name: str, _remark: str) -> None:
        if name == stop_at:
            raise Interrupted

    what = Wanted(**{"kind": "street_light", "board": "virtual", **wanted})  # type: ignore[arg-type]
    session = Session(board.port, wait_s=60)
    job = Enrolment(bench, ports.Port(board.port), what, session, step=step, confirm=lambda _what, _word: yes)
    return job.run()


def test_a_proof_that_a_lost_cable_ended_is_made_anew(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session and the high JoinNonce that it left on the board are not in the way of the next one."""
    lost: list[Proof] = []

    def proved(line: Line, network: BenchNetwork) -> Proof:
        network._joins = 0 if lost else 7
        found = prove(line, network)
        if not lost:
            lost.append(found)
            raise CableLost("The cable was pulled.")
        return found

    monkeypatch.setattr(enrolment, "prove", proved)
    with one_board(tmp_path) as board:
        done = enroll(bench, board)
    assert (len(lost), done.proof.dev_nonce) == (1, lost[0].dev_nonce + 1)


def test_a_blank_board_leaves_with_identity_proof_record_and_label(
    bench: Bench, city: City, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with one_board(tmp_path) as board:
        done = enroll(bench, board)
        dev_eui = done.device.dev_eui
        assert done.proof.self_test["flash"] == "works"
        assert done.proof.self_test["clock"] == "works"
        assert done.proof.self_test["lamp"] == "works"
        key = bench.registry.app_key(dev_eui)
        with Line(board.port) as line:  # it is on its own now: it joins whoever has its key, with a new nonce
            again = prove(line, BenchNetwork(dev_eui, key, "street_light"))
        assert again.dev_nonce > done.proof.dev_nonce
        state = control(board, "state")
        assert (state["misuses"], state["crashes"], state["watchdog_bites"]) == (0, 0, 0)
    (facts,) = record.stored(bench.registry, city.ca_certificate(), dev_eui.hex())
    assert (facts["board"], facts["unique_id"], facts["build"]) == ("virtual", state["unique_id"], done.build)
    assert facts["room_for_releases"] is True
    with Image.open(bench.labels / f"{dev_eui.hex()}.png") as image:
        assert zxingcpp.read_barcodes(image.convert("L"))[0].text == done.label.code
    kept = b"".join(path.read_bytes() for path in (city.home / "bench").rglob("*") if path.is_file())
    said = "".join(capfd.readouterr())
    for form in (key.hex(), key.hex().upper(), repr(key)):
        assert form.encode() not in kept
        assert form not in said


def test_a_board_on_the_radio_still_answers_on_its_cable_and_who_enrols_hears_of_its_room(
    bench: Bench, city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def too_small(size: int, block: int, package: Package) -> Room:
        asked.append(size)
        return room_in(size // 2, block, package)

    monkeypatch.setattr(enrolment, "room_in", too_small)
    with one_board(tmp_path) as board:
        done = enroll(bench, board, link="lora")
        facts = Session(board.port).do(lambda at, _repl: at.facts())
        assert (facts.launcher.build, facts.board) == (done.build, "virtual")
        assert facts.purpose is not None
        assert facts.purpose.links == {"serial", "lora"}
    assert asked == [facts.size_bytes]
    _show([batch.Row(board.port, done, None)], False, city)
    assert f"{board.port}: no release from afar will fit" in "".join(capsys.readouterr())
    (kept,) = record.stored(bench.registry, city.ca_certificate(), done.device.dev_eui.hex())
    assert kept["room_for_releases"] is False


@pytest.mark.parametrize("stop_at", ["install", "prove", "record"])
def test_a_job_that_was_interrupted_goes_on_with_the_same_device(bench: Bench, tmp_path: Path, stop_at: str) -> None:
    with one_board(tmp_path) as board:
        with pytest.raises(Interrupted):
            enroll(bench, board, stop_at=stop_at)
        done = enroll(bench, board, yes=False)
        (only,) = bench.registry.devices()
        assert done.device.dev_eui == only.dev_eui
        uid = control(board, "state")["unique_id"]
    assert bench.ledger.device_of(uid) == (only.dev_eui.hex(), True)


def test_the_cable_may_be_pulled_and_the_board_reset_in_the_middle(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled = []
    original = identity.write

    def write(at: object, data: bytes) -> None:
        original(at, data)  # type: ignore[arg-type]
        if not pulled:
            pulled.append(control(board, "reset"))

    monkeypatch.setattr(identity, "write", write)
    with one_board(tmp_path) as board:
        done = enroll(bench, board)
    assert pulled
    assert done.proof.uplinks > 0


def test_another_devices_board_is_not_overwritten_unasked(bench: Bench, tmp_path: Path) -> None:
    with one_board(tmp_path, files={"/data/identity.a": b"somebody else's"}) as board:
        with pytest.raises(NotConfirmed, match="another identity"):
            enroll(bench, board, yes=False)
        assert len(bench.registry.devices()) <= 1


def test_a_registered_device_is_named_or_refused(bench: Bench, tmp_path: Path) -> None:
    device = bench.registry.register_device("street_light", name="lamp 7")
    with one_board(tmp_path) as board:
        with pytest.raises(UnknownDevice):
            enroll(bench, board, dev_eui=bytes.fromhex("0102030405060708"))
        with pytest.raises(UnknownDevice, match="is not said"):
            enroll(bench, board, kind=None)
        assert enroll(bench, board, kind=None, dev_eui=device.dev_eui).device == device


def test_a_board_that_became_one_kind_is_not_taken_for_another(bench: Bench, tmp_path: Path) -> None:
    with one_board(tmp_path) as board:
        first = enroll(bench, board).device
        with pytest.raises(WrongBoard, match="became a street_light on this bench, not a traffic") as refused:
            enroll(bench, board, kind="traffic")
        assert f"lykta retire {first.dev_eui.hex()}" in str(refused.value.next_step)
        assert bench.registry.devices() == [first]


def test_what_is_broken_does_not_leave_the_bench() -> None:
    proof = Proof(1, 1, {"lamp": "broken", "radio": "absent", "flash": "works"}, 1.0)
    assert proof.broken() == ["lamp"]
    assert proof.broken(frozenset({"lamp"})) == []


def test_a_board_with_another_key_proves_nothing(bench: Bench, tmp_path: Path) -> None:
    with one_board(tmp_path) as board:
        done = enroll(bench, board)
        with Line(board.port) as line, pytest.raises(ProofFailed, match="did not join") as refused:
            prove(line, BenchNetwork(done.device.dev_eui, bytes(16), "street_light"), timeout_s=8)
    assert "MIC" in str(refused.value.value)


def test_a_record_that_was_changed_is_not_believed(bench: Bench, city: City) -> None:
    envelope = bench.signer.sign({"dev_eui": "aa"})
    pem = record.pki.certificate_pem(bench.signer.certificate)
    assert record.checked(envelope, pem, city.ca_certificate()) == {"dev_eui": "aa"}
    with pytest.raises(PkiError, match="not authentic"):
        record.checked(envelope.replace(b"aa", b"bb"), pem, city.ca_certificate())
    with pytest.raises(PkiError, match="not authentic"):
        record.checked(envelope, city.ca_pem(), city.ca_certificate())


def test_the_ledger_survives_a_torn_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add("u1", "registered", dev_eui="0a")
    with ledger.path.open("ab") as file:
        file.write(b'{"uid": "u1", "step": "do')
    assert ledger.device_of("u1") == ("0a", False)
    ledger.add("u1", "done", dev_eui="0a")
    assert [entry["step"] for entry in ledger.entries("u1")] == ["registered", "done"]
    assert ledger.device_of("u2") is None


def test_a_batch_from_a_file_goes_on_when_a_board_fails(
    city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "boards.csv"
    with virtual_boards(2, folder=tmp_path / "boards", seed=40) as (one, two):
        dead = tmp_path / "nothing"
        lines = [f"{one.port},street_light,Kungsgatan 1", f"{dead},street_light,Kungsgatan 2"]
        arguments = ["-C", str(city.home), "enroll", "--batch", str(plan), "--board", "virtual", "--json", "--yes"]
        plan.write_text("\n".join(["port,kind,name", *lines, f"{two.port},lamp_post,Kungsgatan 3"]))
        assert main(arguments) == 1
        told = capsys.readouterr()
        assert "line 4: kind 'lamp_post'" in told.err, told
        with city.registry() as registry:
            assert registry.devices() == [], "a batch is checked whole before it begins"
        plan.write_text("\n".join(["port,kind,name", *lines, f"{two.port},street_light,Kungsgatan 3"]))
        assert main(arguments) == 1
        rows = json.loads(capsys.readouterr().out)
    with city.registry() as registry:
        named = {device.dev_eui.hex(): device.name for device in registry.devices()}
    assert [named[rows[at]["dev_eui"]] for at in (0, 2)] == ["Kungsgatan 1", "Kungsgatan 3"]
    assert [row["done"] for row in rows] == [True, False, True]
    assert "no such port" in rows[1]["error"]
    assert rows[0]["dev_eui"] != rows[2]["dev_eui"]
    assert main(["-C", str(city.home), "enrolled", "Kungsgatan 1"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["dev_eui"] == rows[0]["dev_eui"]
    sheet = tmp_path / "sheet.pdf"
    assert main(["-C", str(city.home), "label", rows[0]["dev_eui"], rows[2]["dev_eui"], "--sheet", str(sheet)]) == 0
    assert capsys.readouterr().out.split() == [rows[0]["label"], rows[2]["label"]]


def test_rows_keep_their_order_whoever_ends_first() -> None:
    def job(port: str) -> str:
        if port == "b":
            raise ProvisioningError("no")
        time.sleep(0.05 if port == "a" else 0)
        return port.upper()

    rows = batch.run(["a", "b", "c"], job)
    assert [(row.port, row.done) for row in rows] == [("a", "A"), ("b", None), ("c", "C")]


@pytest.mark.parametrize(
    ("kind", "board", "link"),
    [
        ("waste_bin", "virtual_waste_bin", "lora"),
        ("traffic", "virtual_traffic", "serial"),
        ("street_light", "virtual_sx127x", "lora"),
    ],
)
def test_a_rehearsal_needs_nothing_but_a_city(
    city: City, capsys: pytest.CaptureFixture[str], kind: str, board: str, link: str
) -> None:
    """Each kind and link starts from the files that were chosen for it, and makes a reading."""
    options = ["--kind", kind, "--board", board, "--link", link]
    assert main(["-C", str(city.home), "enroll", "--virtual", "1", *options, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["board"], row["done"]) == (board, True)
    assert enrolment.REPLACE == "REPLACE"
