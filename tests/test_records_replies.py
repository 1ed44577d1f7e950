# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Answers of devices in words."""

import pytest

from firmware.wire import cbor, requests
from firmware.wire.errors import Malformed
from firmware.wire.readings import FPORT_COMMANDS, FPORT_SETTINGS
from firmware.wire.shapes import describe, fits
from gateway.records import replies


def test_settings_have_their_names() -> None:
    payload = cbor.dumps({requests.ID: 7, requests.STATUS_KEY: 0, requests.CRC: 99, requests.VALUES: {29: 1500, 77: 1}})
    assert replies.describe("street_light", FPORT_SETTINGS, payload) == {
        "request": 7,
        "answer": "done",
        "settings": {"fade_ms": 1500, "77": 1},
        "settings_crc": 99,
    }


def test_a_refused_setting_is_named() -> None:
    payload = cbor.dumps({requests.ID: 8, requests.STATUS_KEY: requests.INVALID, requests.CRC: 1, requests.REFUSED: 30})
    assert replies.describe("street_light", FPORT_SETTINGS, payload)["refused"] == "min_dim_pct"


def test_a_self_test_names_the_components() -> None:
    payload = cbor.dumps({requests.ID: 1, requests.STATUS_KEY: 0, requests.RESULTS: {0: 0, 10: 1}})
    found = replies.describe("street_light", FPORT_COMMANDS, payload)
    assert found == {"request": 1, "answer": "done", "results": {"flash": 0, "meter": 1}}


@pytest.mark.parametrize("payload", [b"", b"\xff", cbor.dumps([1]), cbor.dumps({1: 2}), cbor.dumps({0: -1})])
def test_what_is_no_answer_is_refused(payload: bytes) -> None:
    with pytest.raises(Malformed):
        replies.describe("street_light", FPORT_SETTINGS, payload)


def test_a_status_that_nobody_knows_is_shown_as_it_is() -> None:
    payload = cbor.dumps({requests.ID: 1, requests.STATUS_KEY: 250})
    assert replies.describe("street_light", FPORT_COMMANDS, payload)["answer"] == "250"


def test_shapes() -> None:
    row = ("row", (0, 2), ("list", "bool", 2))
    assert fits(row, [1, [True, False]]) and fits(row, [0, []])
    for wrong in ([1], [3, []], [1, [True] * 3], [1, [1]], [True, []], "ab", None, {0: 1}):
        assert not fits(row, wrong), wrong
    assert describe(row) == "[0 to 2, up to 2 of (true or false)]"
