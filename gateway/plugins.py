# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Links and platforms are found by file name: ``type = "serial"`` is ``links/serial.py``. There is no list to keep.

A plugin module defines ``Settings`` (a strict pydantic model with ``type: Literal["<file name>"]``) and ``build``.
"""

from __future__ import annotations

import pkgutil
from functools import reduce
from importlib import import_module
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from gateway.errors import UnknownPlugin

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


class Settings(BaseModel):
    """What every link and platform has. An unknown key is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    type: str
    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")

    def located(self, base: Path) -> Self:
        """Return the settings with their relative paths taken from *base*, the directory of the file."""
        del base
        return self


class PlatformSettings(Settings):
    """What every platform has besides."""

    priority: Annotated[int, Field(ge=0, le=9)] = 0
    """While a platform with a higher one has something to take, what an outage left for this one waits."""


def names(package: ModuleType) -> tuple[str, ...]:
    """Return the plugin names in *package*, sorted: its modules that define ``Settings``."""
    found = (info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_"))
    return tuple(sorted(name for name in found if hasattr(import_module(f"{package.__name__}.{name}"), "Settings")))


def load(package: ModuleType, name: str) -> ModuleType:
    """Import the plugin. Raises UnknownPlugin."""
    if name not in names(package):
        raise UnknownPlugin(f"{package.__name__} has no type {name!r}; there are: {', '.join(names(package))}")
    return import_module(f"{package.__name__}.{name}")


def settings_type(package: ModuleType) -> Any:
    """Return a type for pydantic that is any plugin's settings, chosen by the key ``type``."""
    models = [load(package, name).Settings for name in names(package)]
    if len(models) == 1:
        return models[0]
    return Annotated[reduce(or_, models), Field(discriminator="type")]
