# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The notice that a stream ended, at each consumer: the verifier, the ledger and its proof, and one of other hands."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from consumer.authenticate import Authenticator
from consumer.errors import Malformed
from consumer.ledger.prove import Proof, lines, prove
from consumer.report import EndedStream
from consumer.verify import Verifier
from provisioning.verification import Judgement
from tests.ledger_rig import CITY, Platform
from tests.signing_gateway import STREAM_ID, SigningGateway
from tests.test_independent_consumer import theirs

NEXT_STREAM = bytes(range(8, 16))
ENDED = -65539


def end(gateway: SigningGateway, said: list[Any]) -> bytes:
    """The notice that begins the gateway's next stream."""
    gateway.stream_id, gateway.next_record, gateway.previous = NEXT_STREAM, 1, b""
    notice = gateway.envelope(b"\xf6", [NEXT_STREAM, 1, 1, b""], {3: 60, ENDED: said})
    gateway.next_record, gateway.previous = 2, digest(notice)
    return notice


def digest(message: bytes) -> bytes:
    return hashlib.sha256(message).digest()


def verifier(gateway: SigningGateway, **options: Any) -> Verifier:
    made = Verifier([CITY.certificate], **options)
    made.add_certificate(gateway.pem)
    return made


def proof_of(platform: Platform) -> Proof:
    return prove(platform.ledger, Authenticator([CITY.certificate]), 0, 1 << 40)


def test_what_did_not_come_of_a_stream_that_ended_is_missing_wherever_the_notice_stands() -> None:
    gateway = CITY.gateway()
    old = [gateway.sign_next(2) for _ in range(4)]
    notice = end(gateway, [STREAM_ID, 8, 4, 2])
    new = gateway.sign_next(1)
    for messages in ([*old[:3], notice, new], [notice, new, *old[:3]], [new, old[2], notice, old[1], old[0], notice]):
        check = verifier(gateway)
        for message in messages:
            check.check(message)
        report = check.report()
        assert (report.missing, report.ended, report.unknown_ends, report.clean) == (2, 1, 0, False)
        assert {stream.stream_id: stream.missing_ranges for stream in report.streams} == {
            STREAM_ID.hex(): [(7, 8)],
            NEXT_STREAM.hex(): [],
        }
        check.check(old[3])
        assert check.report().clean, "all of it came in the end"
    text = "\n".join(Judgement(report, 0, 0).lines())
    assert "records 1-6, ended at 8 by damage to its gateway's store, missing 2: 7-8" in text


def test_who_asks_for_everything_misses_a_stream_of_which_nothing_came() -> None:
    gateway = CITY.gateway()
    check = verifier(gateway, from_start=True)
    found = check.check(end(gateway, [STREAM_ID, 8, 0, 8]))
    assert found.ended == EndedStream(STREAM_ID.hex(), 8, 0, 8)
    assert '"ended":{"stream_id":"0001020304050607","last":8,"saved":0,"lost":8}' in found.to_json()
    assert check.report().missing == 8


@pytest.mark.parametrize(
    ("said", "changes", "why"),
    [
        ([STREAM_ID, 8, 0], {}, "is not \\[stream id"),
        ("x", {}, "is not \\[stream id"),
        ([b"short", 8, 0, 0], {}, "neither empty nor 8 bytes"),
        ([b"", 8, 0, 0], {}, "no record number"),
        ([STREAM_ID, -1, 0, 0], {}, "no record number"),
        ([STREAM_ID, True, 0, 0], {}, "no record number"),
        ([STREAM_ID, 8, None, 0], {}, "does not count"),
        ([STREAM_ID, 8, 0, "2"], {}, "does not count"),
        ([NEXT_STREAM, 8, 0, 0], {}, "of another stream"),
        ([STREAM_ID, 8, 0, 0], {-65537: [NEXT_STREAM, 1, 2, b""]}, "of another stream"),
        ([STREAM_ID, 8, 0, 0], {3: 112}, "content type"),
        ([STREAM_ID, 8, 0, 0], {-65538: [bytes(32), "too_old"]}, "both"),
    ],
    ids=str,
)
def test_notices_that_are_refused(said: Any, changes: dict[int, Any], why: str) -> None:
    gateway = CITY.gateway()
    position = [NEXT_STREAM, 1, 1, b""]
    message = gateway.envelope(b"\xf6", position, {-65537: position, 3: 60, ENDED: said, **changes})
    with pytest.raises(Malformed, match=why):
        verifier(gateway).check(message)


def test_a_notice_with_readings_is_refused() -> None:
    gateway = CITY.gateway()
    message = gateway.envelope(b"\x80", [NEXT_STREAM, 1, 1, b""], {3: 60, ENDED: [STREAM_ID, 8, 0, 0]})
    with pytest.raises(Malformed, match="payload"):
        verifier(gateway).check(message)


def test_a_ledger_keeps_it_receipts_it_and_its_proof_names_the_gap(tmp_path: Path) -> None:
    platform = Platform(f"sqlite:{tmp_path / 'ledger'}", tmp_path)
    old = [platform.gateway.sign_next(2) for _ in range(4)]
    notice = end(platform.gateway, [STREAM_ID, 8, 4, 2])
    done = platform.take(*old[:3], notice, platform.gateway.sign_next(1))
    assert any(f"stream {STREAM_ID.hex()} ended at record 8" in problem for problem in done.problems)
    assert platform.ledger.held(2, 9) == [(1, 2)], "a platform signs for the notice as for a reading"
    assert platform.take(notice).redelivered == 1
    proof = proof_of(platform)
    assert [(each.kind, each.stream_id, each.first, each.last) for each in proof.findings] == [
        ("ended", NEXT_STREAM.hex(), 1, 1),
        ("gap", STREAM_ID.hex(), 7, 8),
    ]
    assert "not here, and the stream has ended" in "\n".join(lines(proof))
    assert not proof.whole
    platform.take(old[3])
    assert proof_of(platform).whole, "the end of a stream is no gap by itself"
    platform.ledger.close()


def test_the_proof_of_an_end_that_nobody_knows_is_not_whole(tmp_path: Path) -> None:
    platform = Platform(f"sqlite:{tmp_path / 'ledger'}", tmp_path)
    platform.take(platform.gateway.sign_next(2), end(platform.gateway, [b"", 0, 0, None]))
    proof = proof_of(platform)
    assert [each.kind for each in proof.findings] == ["ended", "gap"]
    assert not proof.whole
    platform.ledger.close()


def test_a_consumer_of_other_hands_finds_the_same(tmp_path: Path) -> None:
    gateway = CITY.gateway()
    old = [gateway.sign_next(2) for _ in range(4)]
    notice = end(gateway, [STREAM_ID, 8, 4, 2])
    found = theirs(tmp_path, CITY.pem, [gateway.pem], [*old[:3], notice, gateway.sign_next(1)])
    urn = f"urn:dev:mac:{gateway.eui.hex()}"
    assert found["refused"] == []
    assert found["streams"][f"{urn} {STREAM_ID.hex()}"]["missing"] == [[7, 8]]
    assert found["streams"][f"{urn} {NEXT_STREAM.hex()}"] == {"last": 2, "missing": [], "broken": []}
    assert len(found["readings"]) == 7
