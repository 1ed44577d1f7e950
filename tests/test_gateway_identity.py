# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""When a gateway signs: never before its certificate begins, and not at all after its end."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import identity
from gateway.errors import CannotSign
from provisioning.city import create_city
from provisioning.enroll import enroll_gateway


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> identity.Identity:
    folder: Path = tmp_path_factory.mktemp("identity")
    out = folder / "gateway"
    enrolled = enroll_gateway(create_city(folder / "city", "Teststad"), "pole box", out)
    pems = (out / "gateway.key.pem").read_bytes(), (out / "gateway.cert.pem").read_bytes()
    return identity.load(enrolled.eui.hex(), *pems)


def test_a_clock_that_was_never_set_signs_at_the_certificates_first_moment(own: identity.Identity) -> None:
    for wall_s in (0.0, 946_684_800.0, own.not_before.timestamp() - 1):
        assert own.signing_time_s(wall_s) == int(own.not_before.timestamp())


def test_a_plausible_clock_is_believed(own: identity.Identity) -> None:
    now_s = datetime.now(UTC).timestamp()
    assert own.signing_time_s(now_s) == int(now_s)


def test_nothing_is_signed_after_the_certificates_end(own: identity.Identity) -> None:
    own.signing_time_s(own.not_after.timestamp())
    with pytest.raises(CannotSign, match="enrol"):
        own.signing_time_s(own.not_after.timestamp() + 1)
