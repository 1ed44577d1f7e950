# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Queued downlinks over a restart: order, tries, expiry, and the disk that does not take them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailable
from gateway.network import downlinks
from gateway.network.downlinks import Item
from gateway.network.duty import Priority
from gateway.network.options import Options
from tests.gateway_rig import City, Device
from tests.test_gateway_network_mac import QUIET, Radio

CLASS_A = replace(QUIET, class_c=frozenset())


@pytest.fixture
def radio(tmp_path: Path) -> Iterator[Radio]:
    made = Radio(City(tmp_path / "city"), CLASS_A)
    yield made
    made.close()
    made.city.registry.close()


@pytest.fixture
def device(radio: Radio) -> Device:
    made = radio.city.device()
    radio.join(made)
    radio.up(made)
    return made


def put(radio: Radio, device: Device, payload: bytes, **options: object) -> None:
    radio.server.enqueue(Item(device.dev_eui, 3, payload, **options), radio.clock)  # type: ignore[arg-type]


def restart(radio: Radio, options: Options | None = None) -> int:
    radio.restart(options)
    return radio.server.restore_queue(radio.clock)


def answer(radio: Radio, device: Device, *, ack: bool = False, sent: bool = True) -> bytes | None:
    """An uplink of the device, and what goes to it."""
    opened = radio.hear(device.live.seal_uplink(None, b"", ack=ack))
    now_s = radio.clock.monotonic_s()
    item = radio.server.queue.take(device.dev_eui, 51, now_s)
    if item is None:
        return None
    phy = radio.server.carry(opened.session, item, now_s)
    radio.server.settle(radio.server.plan(opened, phy, item.priority, item), now_s, sent=sent)
    received = device.take(phy)
    assert received.confirmed == item.confirmed
    return received.payload


def fates(radio: Radio) -> list[tuple[bytes, str]]:
    return [(item.payload, fate) for item, fate in radio.server.fates()]


def test_what_waited_waits_in_its_order_and_what_was_sent_does_not_come_back(radio: Radio, device: Device) -> None:
    put(radio, device, b"1")
    put(radio, device, b"2")
    put(radio, device, b"urgent", priority=Priority.ALARM)
    assert answer(radio, device) == b"urgent"
    assert restart(radio) == 2
    assert [answer(radio, device) for _ in range(3)] == [b"1", b"2", None]
    assert fates(radio) == [(b"1", "sent"), (b"2", "sent")]
    assert restart(radio) == 0


def test_what_was_on_its_way_when_the_process_was_killed_goes_again(radio: Radio, device: Device) -> None:
    put(radio, device, b"1")
    assert answer(radio, device, sent=False) == b"1"
    assert radio.server.queue.take(device.dev_eui, 51, radio.clock.monotonic_s()) is not None
    assert restart(radio) == 1
    assert answer(radio, device) == b"1", "under a new counter: the device would refuse the old one"


def test_a_confirmed_one_is_tried_as_often_in_all_as_without_a_restart(radio: Radio, device: Device) -> None:
    put(radio, device, b"1", confirmed=True)
    for tries in range(downlinks.MAX_TRIES):
        assert answer(radio, device) == b"1", tries
        assert restart(radio) == 1
    radio.server.queue.take(device.dev_eui, 51, 0.0)
    assert radio.store.downlinks()[0][-1] == downlinks.MAX_TRIES
    assert restart(radio) == 1
    assert answer(radio, device) == b"1", "whether the last one was confirmed nobody knows"
    assert answer(radio, device) is None
    assert fates(radio) == [(b"1", "unconfirmed")]
    assert restart(radio) == 0


def test_a_confirmation_ends_it_on_disk_too(radio: Radio, device: Device) -> None:
    put(radio, device, b"1", confirmed=True)
    assert answer(radio, device) == b"1"
    assert answer(radio, device, ack=True) is None
    assert fates(radio) == [(b"1", "confirmed")]
    assert restart(radio) == 0


def test_it_expires_by_the_wall_clock_while_nobody_runs(radio: Radio, device: Device) -> None:
    put(radio, device, b"1", expires_at_s=radio.clock.monotonic_s() + 100)
    put(radio, device, b"2", expires_at_s=radio.clock.monotonic_s() + 1000)
    put(radio, device, b"3")
    radio.store.close()
    radio.clock.wall += 500
    radio.open(CLASS_A)
    assert radio.server.restore_queue(radio.clock) == 3
    assert answer(radio, device) == b"2"
    assert fates(radio) == [(b"1", "expired"), (b"2", "sent")]


def test_what_the_disk_does_not_take_is_not_queued(
    radio: Radio, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(radio.store, "commit", full)
    with pytest.raises(StoreUnavailable):
        put(radio, device, b"1")
    assert not radio.server.queue.waits(device.dev_eui)
    monkeypatch.undo()
    assert answer(radio, device) is None
    assert restart(radio) == 0
