# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Records that are not registered yet: one in a TOML file, many under `[[devices]]`, or one a line as JSON."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from provisioning import strict_toml
from provisioning.errors import ConfigError
from provisioning.model.base import Model
from provisioning.model.device import DeviceRecord

MAX_BYTES: Final = 64_000_000


class _Many(Model):
    devices: Annotated[tuple[DeviceRecord, ...], Field(min_length=1)]


def read(path: Path) -> list[DeviceRecord]:
    """The records of a file. Raises ConfigError that names every problem with its place."""
    text = _text(path)
    if path.suffix in {".jsonl", ".ndjson", ".json"}:
        return _lines(path, text)
    return _toml(path, text)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"The file of records cannot be read: {error.strerror}.", value=path) from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"The file of records is longer than {MAX_BYTES} bytes.", value=path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            "The file of records is not UTF-8 text.", value=f"{path}, byte {error.start}", next_step="save it as UTF-8"
        ) from error


def _toml(path: Path, text: str) -> list[DeviceRecord]:
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        table = {}  # strict_toml says it in full
    if "devices" in table:
        return list(strict_toml.loads(text, _Many, source=str(path)).devices)
    return [strict_toml.loads(text, DeviceRecord, source=str(path))]


def _lines(path: Path, text: str) -> list[DeviceRecord]:
    records, problems = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            records.append(DeviceRecord.model_validate_json(line, strict=True))
        except ValidationError as error:
            for each in error.errors(include_url=False):
                where = ".".join(str(part) for part in each["loc"]) or "(line)"
                problems.append(f"{path}: line {number}: {where}: {each['msg']}")
    if problems:
        raise ConfigError("\n".join(problems), next_step=f"correct {path} and try again")
    if not records:
        raise ConfigError("The file holds no record.", value=path)
    return records
