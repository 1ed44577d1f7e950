# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Models of the chips on the board: one file per chip, found by the name that the board file gives."""

import importlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.pins import PinBank


class ModelConfig(BaseModel):
    """Base of each model's table in the board file; `model` names the file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: str

    def gpio(self) -> dict[str, int]:
        """Pins the chip is soldered to, by key."""
        return {}

    def place(self) -> tuple[str, int, int] | None:
        """(bus kind, bus id, address or chip select) that only one chip may hold."""
        return None


class Model(Protocol):
    """A running model."""

    def state(self) -> dict[str, float]:
        """What a test or a person may want to see."""


@runtime_checkable
class Powered(Protocol):
    """A model that must know when its supply comes and goes; it starts without."""

    def power(self, on: bool) -> None:
        """On or off, never the same twice."""


class HasModels(Protocol):
    """The part of a board file that lists models."""

    @property
    def models(self) -> Iterable[ModelConfig]:
        """Tables of [[virtual.models]]."""


def names() -> list[str]:
    """Names of the models there are."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def load(name: str) -> ModuleType:
    """The module of a model: it has Config (a ModelConfig) and Chip. LookupError if there is none."""
    if name not in names():
        raise LookupError(name)
    return importlib.import_module(f"{__name__}.{name}")


def build_models(board: HasModels, pins: PinBank, buses: Buses, environment: Environment) -> dict[str, Model]:
    """Make and attach every model of a board, keyed by its name."""
    made: dict[str, Any] = {}
    for config in board.models:
        key = config.model if config.model not in made else f"{config.model}_{len(made)}"
        made[key] = load(config.model).Chip(config, pins, buses, environment)
    return made
