# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Settings that a board is made with: judged as the board judges them.

That it obeys them, hil_tests/roles/test_light_far_end.py shows.
"""

import pytest

from firmware.node import slots
from firmware.wire import cbor
from provisioning.errors import BoardError
from provisioning.presets import record


def test_they_are_a_record_as_the_board_keeps_its_settings() -> None:
    made = record("street_light", ["rated_w=60", "positioned=true", "clo=[[0, 80], [50, 100]]", "fade_ms=3000"])
    assert made is not None
    held = slots.unpack(made)
    assert held is not None
    assert cbor.loads(held[1]) == {22: True, 32: [[0, 80], [50, 100]], 33: 60}  # a default is not written


def test_nothing_given_is_nothing_written() -> None:
    assert record("waste_bin", []) is None
    assert record("street_light", ["rated_w=0"]) is None


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("rated_kw=1", "not known"),
        ("rated_w=lots", "0 to 2000"),
        ("rated_w=9999", "0 to 2000"),
        ("positioned=1", "true or false"),
        ("off_above_lx=20", "contradicts"),
    ],
)
def test_what_the_board_would_refuse_is_refused(pair: str, words: str) -> None:
    with pytest.raises(BoardError, match=words):
        record("street_light", [pair])
