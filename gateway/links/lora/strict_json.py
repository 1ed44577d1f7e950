# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""JSON from strangers: bounded before it is parsed, and refused where two readers could differ (RFC 8259 section 4)."""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from gateway.links.lora.errors import NotStrictJson

MAX_DEPTH = 8
MAX_NUMBER_CHARS = 40
# One pass: a string without its end takes the rest, so that no text makes the search start over and over.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def loads(body: bytes) -> dict[str, object]:
    """Return the JSON object in *body*.

    Raises NotStrictJson: not UTF-8, not an object, deeper than MAX_DEPTH, a key twice, NaN, a number out of range,
    half a surrogate pair.
    """
    try:
        text = body.decode("utf-8")
        if text.count("{") + text.count("[") > MAX_DEPTH:  # else it cannot be deeper: saves 15 us of 40
            _check_depth(text)
        found = _DECODER.decode(text)
        if "\\u" in text:  # may hold half a surrogate pair, which no text is (RFC 8259 section 8.2)
            json.dumps(found, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        if isinstance(error, NotStrictJson):
            raise
        raise NotStrictJson(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise NotStrictJson(f"a JSON {type(found).__name__} where an object is expected")
    return found


def _check_depth(text: str) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        first = text[match.start()]
        if first in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotStrictJson(f"nested deeper than {MAX_DEPTH} levels")
        elif first in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictJson("a key is given twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise NotStrictJson(f"{name} is not a JSON number")


def _float(digits: str) -> float:
    value = float(digits) if len(digits) <= MAX_NUMBER_CHARS else math.inf
    if not math.isfinite(value):
        raise NotStrictJson(f"a number out of range: {digits[:MAX_NUMBER_CHARS]}")
    return value


def _integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_CHARS:
        raise NotStrictJson(f"a number out of range: {digits[:MAX_NUMBER_CHARS]}")
    return int(digits)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_integer)
