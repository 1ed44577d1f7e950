# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Code that a board borrows stays loaded under CPython: thousands of examples would load it thousands of times."""

from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest

from firmware.node.lorawan import mac_engine


class _Kept:
    def __init__(self, name: str, *_also: str) -> None:
        self._module = import_module("firmware.node." + name)

    def __enter__(self) -> ModuleType:
        return self._module

    def __exit__(self, *_error: object) -> None:
        pass


@pytest.fixture(scope="module", autouse=True)
def code_stays_loaded() -> Iterator[None]:
    """MAC requests are obeyed by code that stays loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mac_engine, "borrowed", _Kept)
        yield
