# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The register's short memory: what a flood of strangers cannot do, and the one form that refusals have."""

import contextlib
from dataclasses import dataclass, field

import pytest

from gateway import errors
from gateway.links.lora import errors as lora_errors
from gateway.network import register
from gateway.network.register import KnownDevices
from tests.outbox_rig import TestClock


@dataclass
class Entry:
    dev_eui: bytes
    join_eui: bytes = bytes(8)
    kind: str = "street_light"
    state: str = "registered"


@dataclass
class Listed:
    """A register that counts who asked."""

    devices: dict[bytes, Entry] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    changes: int | None = None
    """None: a database that cannot tell."""

    def device(self, dev_eui: bytes) -> Entry | None:
        self.asked.append(dev_eui)
        return self.devices.get(dev_eui)

    def app_key(self, dev_eui: bytes) -> bytes:
        raise AssertionError(dev_eui)

    def version(self) -> object | None:
        return self.changes


def eui(number: int) -> bytes:
    return number.to_bytes(8, "big")


def test_a_flood_of_strangers_neither_fills_the_memory_nor_displaces_who_is_known() -> None:
    listed = Listed({eui(number): Entry(eui(number)) for number in range(50)})
    known = KnownDevices(listed, TestClock())
    for number in range(50):
        known.active(eui(number))
    for number in range(1000, 6000):
        with pytest.raises(errors.UnknownDevice):
            known.active(eui(number))
    assert len(known) == 50 + register._MAX_UNKNOWN
    listed.asked.clear()
    for number in range(50):
        known.active(eui(number))
    with pytest.raises(errors.UnknownDevice):
        known.active(eui(5999))
    assert listed.asked == []


def test_both_answers_are_asked_for_again_in_time_and_at_once_when_told_to() -> None:
    clock, listed = TestClock(), Listed()
    known = KnownDevices(listed, clock)
    with pytest.raises(errors.UnknownDevice):
        known.active(eui(1))
    listed.devices[eui(1)] = Entry(eui(1))
    with pytest.raises(errors.UnknownDevice):
        known.active(eui(1))
    known.forget(eui(1))
    assert known.active(eui(1)).kind == "street_light"
    listed.devices[eui(1)].state = "retired"
    del listed.devices[eui(1)]
    clock.sleep(16)
    with pytest.raises(errors.UnknownDevice):
        known.active(eui(1))
    assert len(known) == 1
    listed.devices[eui(1)] = Entry(eui(1), state="retired")
    clock.sleep(16)
    with pytest.raises(errors.RetiredDevice):
        known.active(eui(1))


def test_what_has_not_changed_is_not_read_again() -> None:
    clock, listed = TestClock(), Listed({eui(number): Entry(eui(number)) for number in (1, 2)}, changes=1)
    known = KnownDevices(listed, clock)
    known.active(eui(1))
    known.active(eui(2))
    listed.asked.clear()
    for _ in range(100):
        clock.sleep(3600)
        known.active(eui(1))
        known.active(eui(2))
    assert listed.asked == []
    listed.devices[eui(1)], listed.changes = Entry(eui(1), state="retired"), 2
    clock.sleep(16)
    with pytest.raises(errors.RetiredDevice):
        known.active(eui(1))
    known.active(eui(2))
    assert listed.asked == [eui(1), eui(2)]
    listed.changes = None
    for _ in range(3):
        clock.sleep(16)
        known.active(eui(2))
    assert len(listed.asked) == 5, "whoever cannot tell is asked again"


def test_a_change_just_before_or_just_after_a_record_was_read_is_heard() -> None:
    for before in (True, False):
        clock, listed = TestClock(), Listed({eui(1): Entry(eui(1)), eui(2): Entry(eui(2))}, changes=1)
        known = KnownDevices(listed, clock)
        for _ in range(2):
            clock.sleep(16)
            known.active(eui(2))  # version 1 is known, and looked at just now
        for step in (before, not before):
            if step:
                listed.devices[eui(1)], listed.changes = Entry(eui(1), state="retired"), 2
            else:
                with contextlib.suppress(errors.RetiredDevice):
                    known.active(eui(1))
        clock.sleep(16)
        with pytest.raises(errors.RetiredDevice):
            known.active(eui(1))


def _kinds(root: type[errors.Refused]) -> list[type[errors.Refused]]:
    return [root, *(each for kind in root.__subclasses__() for each in _kinds(kind))]


def test_every_refusal_has_a_name_of_its_own_for_counters() -> None:
    kinds = _kinds(errors.Refused)
    assert lora_errors.WrongLength in kinds
    reasons = [kind.reason for kind in kinds]
    assert len(set(reasons)) == len(reasons)
    assert all(reason.replace("_", "").isalpha() and reason.islower() for reason in reasons)
    assert lora_errors.NotStrictJson.reason == "not_strict_json"
    assert errors.FrameNotAuthentic("x").reason == "not_authentic"
