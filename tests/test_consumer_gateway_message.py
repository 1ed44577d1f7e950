# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Results and released readings are checked alike: the same fault, the same refusal, whatever the message is about."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cbor2
import pytest

from consumer import cose, released, results
from consumer.certificates import TrustStore
from consumer.errors import ConsumerError, Malformed, NotAuthentic, UnknownGateway, UntrustedCertificate
from tests.signing_gateway import City, SigningGateway

CITY = City()
GATEWAY = CITY.gateway()
COMMAND = bytes(16)


@dataclass(frozen=True)
class Sort:
    """One sort of message, and a good one of it."""

    read: Callable[[bytes, TrustStore], Any]
    headers: dict[Any, Any]
    payload: bytes
    max_bytes: int


RESULT = Sort(
    results.read,
    results.headers("urn:dev:mac:x", "room", COMMAND, 0),
    cbor2.dumps({results.DEVICE: bytes(8), results.STATE: "done"}),
    results.MAX_BYTES,
)
RELEASED = Sort(
    released.read,
    {**released.headers(bytes(8), 7), cose.CWT_CLAIMS: {}},
    released.payload("urn:ngsi-ld:Device:TRK-1:", 1.5, {"power": 4.0}, {"power": "W"}),
    released.MAX_BYTES,
)
SORTS = pytest.mark.parametrize("sort", [RESULT, RELEASED], ids=["result", "released"])


def sealed(sort: Sort, gateway: SigningGateway = GATEWAY, claims: dict[int, Any] | None = None, **change: Any) -> bytes:
    """A good message in every respect that is not given."""
    given = {cose.ALG: cose.ED25519, cose.X5T: gateway.headers([])[cose.X5T], **sort.headers}
    who = {1: f"urn:dev:mac:{gateway.eui.hex()}", 6: gateway.iat_s}
    given[cose.CWT_CLAIMS] = {**sort.headers[cose.CWT_CLAIMS], **who, **(claims or {})}
    given |= change.get("changed", {})
    return gateway.sign_raw(cbor2.dumps(given), change.get("payload", sort.payload))


def trust() -> TrustStore:
    made = TrustStore([CITY.certificate])
    made.add(GATEWAY.pem)
    return made


@SORTS
def test_a_good_one_is_read(sort: Sort) -> None:
    found = sort.read(sealed(sort), trust())
    assert (found.gateway, found.iat_s) == (f"urn:dev:mac:{GATEWAY.eui.hex()}", GATEWAY.iat_s)


@SORTS
@pytest.mark.parametrize(
    ("made", "error", "said"),
    [
        (lambda sort: b"\xd2" + bytes(sort.max_bytes), Malformed, "at most"),
        (lambda sort: b"", Malformed, "tag 18"),
        (lambda sort: sealed(sort, changed={cose.CRIT: [-70000], -70000: 1}), Malformed, "critical"),
        (lambda sort: sealed(sort, changed={cose.TYP: "application/lykta-command+cbor"}), Malformed, "is expected"),
        (lambda sort: sealed(sort, changed={cose.X5T: [cose.SHA_256, 7]}), Malformed, "x5t"),
        (lambda sort: sealed(sort, CITY.gateway()), UnknownGateway, "fingerprint"),
        (lambda sort: sealed(sort)[:-1] + bytes([sealed(sort)[-1] ^ 1]), NotAuthentic, "signature"),
        (lambda sort: sealed(sort, payload=b"\xff"), Malformed, "simple value|SenML"),
        (lambda sort: sealed(sort, claims={1: "urn:dev:mac:0000000000000001"}), UntrustedCertificate, "is for"),
        (lambda sort: sealed(sort, claims={6: GATEWAY.iat_s - 10**8}), UntrustedCertificate, "valid from"),
        (lambda sort: sealed(sort, claims={6: 10**12}), Malformed, "calendar"),
    ],
)
def test_the_same_fault_is_the_same_refusal(
    sort: Sort, made: Callable[[Sort], bytes], error: type[ConsumerError], said: str
) -> None:
    with pytest.raises(error, match=said):
        sort.read(made(sort), trust())


@SORTS
def test_what_nobody_signed_is_not_looked_into(sort: Sort) -> None:
    """Who has no key is told that the signature is wrong, whatever the payload is."""
    whole: Any = cbor2.loads(sealed(sort))
    forged = cbor2.dumps(cbor2.CBORTag(18, [whole.value[0], {}, b"\xff", whole.value[3]]))
    with pytest.raises(NotAuthentic):
        sort.read(forged, trust())
