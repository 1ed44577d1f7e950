# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The office of commands: what is refused and how it is answered, one effect per id, and every way a command ends."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consumer.commands import Command, sign
from consumer.results import Result
from firmware.wire import cbor, requests
from gateway.errors import StoreUnavailable
from gateway.network.downlinks import MAX_PER_DEVICE
from gateway.network.sessions import SessionStore
from provisioning.register import papers
from tests.commands_rig import Office, add_commander


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.close()


def only(results: list[Result]) -> Result:
    (result,) = results
    return result


def refusal(office: Office) -> str:
    result = only(office.said())
    assert (result.state, result.device, result.final) == ("refused", None, True)
    reason = result.why.partition(":")[0]
    assert office.counters.snapshot()["commands"][f"refused_{reason}"] >= 1
    return reason


def test_a_command_reaches_its_device_and_its_answer_comes_back_signed(office: Office) -> None:
    device = office.device()
    command = office.command(device.dev_eui, arguments={"percent": 40, "minutes": 120, "group": 3})
    office.take(command)
    queued = only(office.said())
    assert (queued.state, queued.command_id, queued.commander) == ("queued", command.command_id, "room")
    item = office.sent(device)
    assert item is not None
    assert (item.fport, item.confirmed) == (3, True)
    told = requests.decode(item.payload)
    assert (told[requests.COMMAND], told[requests.ARGUMENTS]) == (20, {0: 40, 1: 120, 14: 3})
    office.done(device, item)
    result = only(office.said())
    assert (result.state, result.device, dict(result.answer)) == ("done", device.dev_eui, {"answer": "done"})
    office.done(device, item)
    assert office.said() == []
    assert office.counters.snapshot()["commands"] == {"queued": 1, "done": 1, "answers_to_nothing": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"gateway": "urn:dev:mac:0000000000000001"}, "wrong_audience"),
        ({"commander": "nobody"}, "unknown_signer"),
        ({"exp_s": 1_700_000_000, "iat_s": 1_699_999_000}, "expired"),
        ({"exp_s": 1_790_000_000 + 40 * 86400}, "lasts_too_long"),
        ({"iat_s": 1_790_000_000 + 4000}, "not_yet"),
        ({"verb": "explode"}, "no_device"),
        ({"arguments": {"percent": 101}}, "no_device"),
        ({"arguments": {"volume": 3}}, "no_device"),
        ({"arguments": ["percent"]}, "no_device"),
        ({"devices": (bytes(8),)}, "no_device"),
    ],
)
def test_what_is_wrong_is_refused_with_the_reason(office: Office, change: dict[str, Any], reason: str) -> None:
    device = office.device()
    office.take(replace(office.command(device.dev_eui), **change))
    assert refusal(office) == reason
    assert office.sent(device) is None


def test_forged_damaged_and_endless_messages_are_refused_and_nothing_is_queued(
    office: Office, rng: random.Random
) -> None:
    device = office.device()
    command = office.command(device.dev_eui)
    office.take(command, Ed25519PrivateKey.generate())
    assert refusal(office) == "not_authentic"
    office.take(b"\xd2" + bytes(70_000))
    assert refusal(office) == "too_large"
    message = sign(command, office.key)
    for _ in range(40):
        office.radio.clock.sleep(1)
        broken = bytearray(message)
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        office.take(bytes(broken))
        assert refusal(office) in ("not_authentic", "malformed", "unknown_signer", "wrong_audience")
    office.take(b"", topic=("", b""))
    assert office.said() == [], "nobody waits for an answer under no name"
    assert office.sent(device) is None


def test_garbage_is_answered_so_often_and_no_more(office: Office) -> None:
    for _ in range(100):
        office.take(b"garbage")
    assert len(office.said()) == 20
    assert office.counters.snapshot()["commands"]["refused_malformed"] == 100


def test_rights_are_the_registers(office: Office) -> None:
    device = office.device()
    registry = office.radio.city.registry
    dimmer = add_commander(registry, "dimmer", verbs=("dim",))
    office.take(office.command(device.dev_eui, verb="restart", arguments={}, commander="dimmer"), dimmer)
    assert refusal(office) == "no_device"
    office.take(office.command(device.dev_eui, commander="dimmer"), dimmer)
    assert only(office.said()).state == "queued"
    other = add_commander(registry, "other", all_owners=False, owners=("parker",))
    office.take(office.command(device.dev_eui, commander="other"), other)
    result = only(office.said())
    assert result.left_out[device.dev_eui.hex()].startswith("not_allowed")
    with registry.change() as change:
        papers.revoke_commander(change, "room")
    office.radio.clock.wall += 20_000_000  # the revocation is of today
    office.take(office.command(device.dev_eui))
    assert refusal(office) == "key_not_valid"


def test_one_id_has_one_effect(office: Office) -> None:
    device = office.device()
    command = office.command(device.dev_eui)
    for _ in range(100):
        office.take(command)
    assert [result.state for result in office.said()] == ["queued"] * 2, "once, and once more in two seconds"
    office.restart()
    office.take(command)
    item = office.sent(device)
    assert item is not None
    assert office.sent(device) is None, "once"
    office.done(device, item)
    office.radio.clock.sleep(3 * 86400)
    office.said()
    office.take(command)
    assert [result.state for result in office.said()] == ["queued", "done"], "long expired, it says what became of it"
    assert office.sent(device) is None
    office.take(replace(command, arguments={"percent": 100}))
    assert refusal(office) == "id_used"


def test_a_gateway_that_is_lost_neither_forgets_nor_repeats(office: Office) -> None:
    device = office.device()
    office.take(office.command(device.dev_eui))
    office.restart()
    item = office.sent(device)
    assert item is not None
    office.restart()
    office.radio.clock.sleep(30)
    office.office.look()
    assert office.sent(device) is None
    office.done(device, item)
    assert [result.state for result in office.said()] == ["queued", "done"]


def test_a_device_that_does_not_answer_is_asked_again_and_given_up(office: Office) -> None:
    device = office.device()
    office.take(office.command(device.dev_eui, exp_s=int(office.radio.clock.wall_s()) + 86400))
    asked = []
    for _ in range(30):
        item = office.sent(device)
        if item is not None:
            asked.append(item.payload)
        office.radio.clock.sleep(61)
        office.office.look()
    assert len(asked) == 4
    assert len(set(asked)) == 1, "the same request, which has the effect of one"
    assert [result.state for result in office.said()] == ["queued", "unanswered"]


def test_a_restart_is_asked_for_once(office: Office) -> None:
    device = office.device()
    office.take(office.command(device.dev_eui, verb="restart", arguments={}))
    assert office.sent(device) is not None
    office.radio.clock.sleep(590)
    office.office.look()
    assert office.sent(device) is None
    assert [result.state for result in office.said()] == ["queued", "unanswered"]


def test_what_cannot_be_sent_in_time_expires(office: Office) -> None:
    device = office.device()
    office.take(office.command(device.dev_eui))
    office.radio.clock.sleep(601)
    office.office.look()
    assert office.sent(device) is None
    office.office.fates(office.radio.server.fates())
    assert [result.state for result in office.said()] == ["queued", "expired"]


def test_a_device_that_refuses_says_why(office: Office) -> None:
    device = office.device()
    office.take(office.command(device.dev_eui))
    item = office.sent(device)
    assert item is not None
    office.done(device, item, requests.NOT_MEANT)
    result = office.said()[-1]
    assert (result.state, result.why) == ("failed", "the device says: not meant")


def test_an_answer_in_several_frames_is_one_result(office: Office) -> None:
    device = office.device()
    office.take(office.command(device.dev_eui, verb="settings.get", arguments=["interval_s", "low_v", "high_v"]))
    item = office.sent(device)
    assert item is not None
    number = requests.decode(item.payload)[requests.ID]
    frames: list[dict[int, Any]] = [{1: 5, 36: 1}, {34: 198}, {35: 265}]
    for values in frames:
        office.answer(device, 5, cbor.dumps({requests.ID: number, requests.STATUS_KEY: 0, requests.VALUES: values}))
    result = office.said()[-1]
    assert result.state == "done"
    assert result.answer["settings"] == {"interval_s": 5, "tilt_deg": 1, "low_v": 198, "high_v": 265}


def test_a_group_names_those_that_are_left_out(office: Office) -> None:
    devices = [office.device(number) for number in (1, 2)]
    absent = office.radio.city.device(3)
    office.take(office.command(*(each.dev_eui for each in devices), absent.dev_eui, bytes(8)))
    result = only(office.said())
    assert result.state == "queued"
    reasons = {eui: why.partition(":")[0] for eui, why in result.left_out.items()}
    assert reasons == {absent.dev_eui.hex(): "not_here", bytes(8).hex(): "unknown_device"}
    for device in devices:
        item = office.sent(device)
        assert item is not None
        office.done(device, item)
    assert {result.device for result in office.said()} == {each.dev_eui for each in devices}


def test_a_dry_run_does_nothing(office: Office) -> None:
    device = office.device()
    office.take(office.command(device.dev_eui, dry_run=True))
    assert only(office.said()).state == "allowed"
    assert office.sent(device) is None
    office.take(office.command(device.dev_eui, dry_run=True, verb="explode"))
    assert refusal(office) == "no_device"


def test_a_full_queue_refuses_and_a_disk_that_fails_takes_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = office.device()
    for _ in range(MAX_PER_DEVICE):
        office.take(office.command(device.dev_eui))
    assert {result.state for result in office.said()} == {"queued"}
    office.take(office.command(device.dev_eui))
    assert refusal(office) == "queue_full"
    office.sent(device)
    command = office.command(device.dev_eui)
    commit = SessionStore.commit
    monkeypatch.setattr(SessionStore, "commit", _fails)
    with pytest.raises(StoreUnavailable):
        office.take(command)
    monkeypatch.setattr(SessionStore, "commit", commit)
    assert office.said() == []
    office.take(command)
    assert only(office.said()).state == "queued"
    assert _waiting(office, command) == 1


def _fails(_store: SessionStore) -> None:
    raise StoreUnavailable("the disk is full")


def _waiting(office: Office, command: Command) -> int:
    rows = office.radio.store.read("SELECT request FROM command_device WHERE id = ?", command.command_id)
    payloads = [row[3] for row in office.radio.store.downlinks()]
    return sum(payloads.count(row[0]) for row in rows)
