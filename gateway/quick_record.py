# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Frozen dataclasses that are made fast, for what is made for each frame: the type checker keeps them from changing.

``@dataclass(frozen=True)`` is kept from changing while it runs, too, and pays for it where it is made: each field by a
call of ``object.__setattr__``. 1.2 us become 0.3 for ten fields (benchmarks/bench_steps.py says it for this machine),
and a reading passes through nine such objects. Equal, hashed, copied and shown they are alike; the tests compare them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

_Class = TypeVar("_Class")


@dataclass_transform(frozen_default=True)
def record(cls: type[_Class]) -> type[_Class]:
    """As ``dataclass(frozen=True, slots=True)``, and assigned to only where nobody checks types."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
