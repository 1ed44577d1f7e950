# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""JSON from strangers: whatever the bytes, a dictionary that every reader reads alike, or one named refusal."""

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.links.lora import strict_json
from gateway.links.lora.errors import NotStrictJson

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-(10**38), 10**38) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=4)


def depth(value: Any) -> int:
    if isinstance(value, dict | list):
        return 1 + max((depth(each) for each in (value.values() if isinstance(value, dict) else value)), default=0)
    return 0


@given(OBJECTS, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_an_object_means_what_was_written(value: dict[str, Any], escaped: bool, indent: int | str | None) -> None:
    body = json.dumps(value, ensure_ascii=escaped, indent=indent).encode()
    if depth(value) > strict_json.MAX_DEPTH:
        with pytest.raises(NotStrictJson):
            strict_json.loads(body)
    else:
        assert strict_json.loads(body) == value


def _check(body: bytes) -> bool:
    """Whether *body* is accepted: then it is finite, bounded, can be written down again, and Python agrees."""
    try:
        found = strict_json.loads(body)
    except NotStrictJson:
        return False
    assert found == json.loads(body)
    assert depth(found) <= strict_json.MAX_DEPTH
    again = json.dumps(found, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert strict_json.loads(again) == found
    return True


@given(st.binary(max_size=80))
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    _check(body)


PIECES = [*'{}[]:," 1-\\\0é', '"a"', '"a":', '"\\u0061"', "\\ud800", "1e999", "NaN"]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_pieces_of_json_are_an_object_or_refused(pieces: list[str]) -> None:
    _check("".join(pieces).encode())


def test_ten_thousand_mutations(rng: random.Random) -> None:
    """One byte changed, left out or doubled: some are still JSON, and none is anything but read or refused."""
    body = json.dumps(
        {"rxpk": [{"tmst": 1, "freq": 868.1, "data": "QA==", "datr": "SF7", "x": ["\u00e9", None]}]}
    ).encode()
    accepted = 0
    for _ in range(10_000):
        at = rng.randrange(len(body))
        by = rng.choice([b"", bytes([rng.randrange(256)]), body[at : at + 1] * 2])
        accepted += _check(body[:at] + by + body[at + 1 :])
    assert 0 < accepted < 10_000


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":"\\ud800\\u0041"}',
        b"\xef\xbb\xbf{}",
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc0\x80"}',
        b'{"a":01}',
        b'{"a":.5}',
        b'{"a":+1}',
        b'{"a":0x10}',
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":1}//',
        b'{"a":1}{}',
        b'{"a":1}\x00',
        b'{"a":"\n"}',
        b'{"a":Infinity}',
        b'{"a":-1e400}',
        b'{"a":' + b"9" * 41 + b"}",
        b"[]",
        b'"{}"',
        b"",
        b"{" * 9,
        b'{"a":' * 9 + b"1" + b"}" * 9,
    ],
)
def test_what_two_readers_could_read_differently_is_refused(body: bytes) -> None:
    with pytest.raises(NotStrictJson):
        strict_json.loads(body)


def test_what_is_odd_and_unambiguous_is_read() -> None:
    found = strict_json.loads(b' \r\n{"a":"\\ud83d\\ude00","":-0.0,"b":1e-400,"c":"[[[[[[[[[[","d":"\\u0000"}\t')
    assert found["a"] == "\N{GRINNING FACE}"
    assert math.copysign(1, float(str(found[""]))) == -1
    assert (found["b"], found["c"], found["d"]) == (0.0, "[" * 10, "\0")
