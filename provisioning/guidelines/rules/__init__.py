# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The rules. A module here holds the logic of some rules, the `.toml` beside it their texts; both are found by name."""

from __future__ import annotations

import pkgutil
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from provisioning.guidelines.rule import Rule, marked, refuse_twice

FOLDER = Path(__file__).parent


@lru_cache(maxsize=1)
def all_rules() -> dict[str, Rule]:
    """Every rule of the program by id, in the order of their files."""
    names = sorted(info.name for info in pkgutil.iter_modules([str(FOLDER)]) if not info.name.startswith("_"))
    found = [each for name in names for each in marked(import_module(f"{__name__}.{name}"))]
    return refuse_twice(found)
