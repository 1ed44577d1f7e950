# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The proof of a period: whole when it is, and every way in which it may not be whole is named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.authenticate import Authenticator
from consumer.ledger.prove import Proof, lines, prove
from tests.ledger_rig import CITY, Platform, loss
from tests.signing_gateway import DEVICE, pack

FOREVER = (0, 1 << 40)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    made = Platform(f"sqlite:{tmp_path / 'ledger'}", tmp_path)
    yield made
    made.ledger.close()


def proof_of(platform: Platform, from_s: int = FOREVER[0], to_s: int = FOREVER[1]) -> Proof:
    return prove(platform.ledger, Authenticator([CITY.certificate]), from_s, to_s)


def kinds(proof: Proof) -> list[tuple[str, int, int]]:
    return [(finding.kind, finding.first, finding.last) for finding in proof.findings]


def test_a_whole_period(platform: Platform) -> None:
    platform.take(*(platform.gateway.sign_next(3) for _ in range(5)))
    proof = proof_of(platform)
    (stream,) = proof.streams
    assert (stream.first, stream.last, stream.records, stream.envelopes, stream.devices) == (1, 15, 15, 5, 1)
    assert proof.whole
    assert not stream.closed
    text = "\n".join(lines(proof))
    assert "15 proven in 5 messages of 1 devices" in text
    assert text.endswith("WHOLE: every record of the period is here, signed and unbroken")


def test_nothing_proves_nothing(platform: Platform) -> None:
    assert not proof_of(platform).whole
    assert "nothing is proven" in "\n".join(lines(proof_of(platform)))


def test_each_hole_is_named(platform: Platform) -> None:
    messages = [platform.gateway.sign_next(2) for _ in range(3)]
    notice = loss(platform.gateway, 4)
    after = [platform.gateway.sign_next(1) for _ in range(3)]
    platform.take(messages[0], messages[2], notice, after[0], after[2])
    proof = proof_of(platform)
    assert kinds(proof) == [("gap", 3, 4), ("lost", 7, 10), ("gap", 12, 12)]
    assert not proof.whole
    assert "given up by the gateway: outbox_full" in "\n".join(lines(proof))


def test_late_records_and_clocks_are_named_and_do_no_harm(platform: Platform) -> None:
    first = platform.gateway.sign_next(2)
    position = [platform.gateway.stream_id, 3, 3, platform.gateway.previous]
    earlier = {15: {1: f"urn:dev:mac:{platform.gateway.eui.hex()}", 6: platform.gateway.iat_s - 60}}
    second = platform.gateway.envelope(pack([(DEVICE, 3)]), position, earlier)
    platform.take(second, first)
    proof = proof_of(platform)
    assert sorted(kinds(proof)) == [("clock", 3, 3), ("late", 2, 2)]
    assert proof.whole
    assert "signed 60 s before" in "\n".join(lines(proof))


def test_duplicates_and_two_stories(platform: Platform) -> None:
    first = platform.gateway.sign([(DEVICE, 1)])
    other = platform.gateway.envelope(pack([(DEVICE, 5)]), [platform.gateway.stream_id, 1, 1, b""])
    platform.take(first, platform.gateway.sign([(DEVICE, 1)]), other)
    assert sorted(kinds(proof_of(platform))) == [("duplicate", 2, 2), ("forked", 1, 1)]


@given(st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_database_is_found_out(platform: Platform, data: st.DataObject) -> None:
    """Whoever can write to the ledger cannot make up, change or hide a record in the middle of a period."""
    if not platform.rows("SELECT * FROM envelope"):
        platform.take(*(platform.gateway.sign_next(2) for _ in range(6)))
    first = 1 + 2 * data.draw(st.integers(1, 4))
    ((message,),) = platform.ledger.database.rows("SELECT message FROM envelope WHERE first = ?", (first,))
    changed = bytearray(message)
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    deletes = data.draw(st.booleans())
    try:
        if deletes:
            platform.ledger.database.execute("UPDATE envelope SET first = -1, last = -1 WHERE first = ?", (first,))
        else:
            platform.ledger.database.execute("UPDATE envelope SET message = ? WHERE first = ?", (bytes(changed), first))
        assert not proof_of(platform).whole
    finally:
        platform.ledger.database.execute(
            "UPDATE envelope SET first = ?, last = ?, message = ? WHERE first IN (-1, ?)",
            (first, first + 1, bytes(message), first),
        )
    assert proof_of(platform).whole


def test_a_period_inside_a_stream_is_closed_by_its_neighbours(platform: Platform) -> None:
    gateway = platform.gateway
    messages = []
    for minute in range(6):
        position = [gateway.stream_id, minute + 1, minute + 1, gateway.previous]
        claims = {15: {1: f"urn:dev:mac:{gateway.eui.hex()}", 6: gateway.iat_s + 60 * minute}}
        messages.append(gateway.envelope(pack([(DEVICE, minute + 1)]), position, claims))
        gateway.previous = hashlib.sha256(messages[-1]).digest()
    period = (gateway.iat_s + 60, gateway.iat_s + 240)
    platform.take(*messages)
    proof = proof_of(platform, *period)
    assert [(s.first, s.last, s.closed) for s in proof.streams] == [(2, 4, True)]
    assert proof.whole
    platform.ledger.database.execute("DELETE FROM envelope WHERE first = 1")
    assert kinds(proof_of(platform, *period)) == [("gap", 1, 1)]
    platform.ledger.database.execute("DELETE FROM envelope WHERE first = 5")
    assert not proof_of(platform, *period).streams[0].closed


def test_of_many_findings_the_first_are_shown_and_all_are_counted(platform: Platform) -> None:
    messages = [platform.gateway.sign_next(1) for _ in range(260)]
    platform.take(*messages[::2])
    proof = proof_of(platform)
    assert (proof.counts, len(proof.findings)) == ({"gap": 129}, 100)
    assert re.search(r"gap: 129 in all, the first 100 are shown", "\n".join(lines(proof)))
