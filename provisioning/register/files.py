# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Batches of device records as files: JSON Lines, and CSV with a column for each field (`streams.0.unit`).

A cell of CSV that begins with [, { or " is JSON; an empty one says nothing. Neither form ever holds a key.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final, Literal, NamedTuple

from pydantic import ValidationError

from provisioning import strict_toml
from provisioning.errors import ConfigError, ProvisioningError
from provisioning.model.device import DeviceRecord
from provisioning.register import records
from provisioning.register.spelling import canonical

Format = Literal["csv", "jsonl"]
MAX_LINE_BYTES: Final = 1_000_000
_MAX_INDEX: Final = 255
_SECRETS: Final = re.compile(r"app_?key|nwk_?key|root_?key|secret|password|psk", re.IGNORECASE)
_JSON_CELL: Final = ("[", "{", '"')


class Row(NamedTuple):
    """One record of a file, or why it is none. `number` counts lines of the file from 1."""

    number: int
    record: DeviceRecord | None
    error: ProvisioningError | None


def format_of(path: Path, asked: str | None = None) -> Format:
    """The format of a file by its name. Raises ConfigError."""
    name = asked or path.suffix.removeprefix(".").lower()
    if name == "csv":
        return "csv"
    if name in {"jsonl", "ndjson"}:
        return "jsonl"
    raise ConfigError(
        "A batch is CSV or JSON Lines.", value=path, next_step="name the file *.csv or *.jsonl, or add --format"
    )


def read(path: Path, form: Format) -> Iterator[Row]:
    """Read a batch row by row. A row that is no record comes with its error; a file that is no text ends with one."""
    try:
        with path.open("rb") as file:
            yield from _read_csv(file, path.name) if form == "csv" else _read_lines(file, path.name)
    except OSError as error:
        raise ConfigError(f"The file cannot be read: {error.strerror}.", value=path) from error


def _read_lines(file: IO[bytes], name: str) -> Iterator[Row]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        source = f"{name}, line {number}"
        if len(line) > MAX_LINE_BYTES:
            yield Row(number, None, ConfigError(f"{source}: longer than {MAX_LINE_BYTES} bytes; the rest is not read."))
            return
        if line.strip():
            yield _row(number, lambda line=line, source=source: _from_json(line, source))


def _row(number: int, parse: Any) -> Row:
    try:
        return Row(number, parse(), None)
    except ProvisioningError as error:
        return Row(number, None, error)


def _from_json(line: bytes, source: str) -> DeviceRecord:
    try:
        value = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: not UTF-8 text, byte {error.start + 1}.", next_step="save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source}: not JSON: {str(error)[:200]}") from error
    _refuse_secrets(value, source)
    return strict_toml.check(value, DeviceRecord, source)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number of JSON")


def _refuse_secrets(value: object, source: str) -> None:
    names = list(value) if isinstance(value, dict) else []
    secret = next((name for name in names if _SECRETS.search(str(name))), None)
    if secret is not None:
        raise ConfigError(
            f"{source}: {secret[:40]} does not belong into a record.",
            reason="Records are exported, mailed and printed; a key in one is no secret any more.",
            next_step="put the vendor's keys in a file of their own (dev_eui,app_key) and add --keys FILE",
        )


def _read_csv(file: IO[bytes], name: str) -> Iterator[Row]:
    lines = _Lines(file)
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, None)
        if header is None:
            raise ConfigError(f"{name}: the file is empty; its first line names the fields.")
        columns = _columns(header, name)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                source = f"{name}, line {reader.line_num}"
                yield _row(
                    reader.line_num,
                    lambda cells=cells, source=source: _from_cells(columns, cells, source),
                )
    except csv.Error as error:
        yield Row(reader.line_num, None, ConfigError(f"{name}, line {reader.line_num}: not CSV: {error}."))
    except UnicodeDecodeError as error:
        number = lines.number
        yield Row(
            number,
            None,
            ConfigError(
                f"{name}, line {number}: not UTF-8 text, byte {error.start + 1}; the rest is not read.",
                next_step="save it as CSV UTF-8",
            ),
        )


class _Lines:
    """The lines of a file as text, none of them without end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_LINE_BYTES + 1)
        self.number += 1
        if not line:
            raise StopIteration
        if len(line) > MAX_LINE_BYTES:
            raise csv.Error(f"a line is longer than {MAX_LINE_BYTES} bytes; the rest is not read")
        return line.decode("utf-8-sig" if self.number == 1 else "utf-8")


def _columns(header: list[str], name: str) -> list[list[str | int]]:
    stripped = [column.strip() for column in header]
    _refuse_secrets(dict.fromkeys(stripped), name)
    if len(set(stripped)) < len(stripped) or "" in stripped:
        raise ConfigError(
            f"{name}: the first line names a field twice, or not at all.", value=", ".join(stripped)[:200]
        )
    return [[int(part) if part.isdecimal() else part for part in column.split(".")] for column in stripped]


def _from_cells(columns: list[list[str | int]], cells: list[str], source: str) -> DeviceRecord:
    if len(cells) != len(columns):
        raise ConfigError(
            f"{source}: {len(cells)} cells under {len(columns)} names.",
            next_step="fields are separated by commas; text with a comma stands in quotes",
        )
    tree: dict[str | int, Any] = {}
    for path, cell in zip(columns, cells, strict=True):
        if cell.strip():
            _put(tree, path, _value(cell.strip(), source), source)
    try:
        # Cells are texts: numbers and truth values are taken from them here, and only here.
        return DeviceRecord.model_validate(_listed(tree, source), strict=False)
    except ValidationError as error:
        raise strict_toml.problems(error, DeviceRecord, source) from error


def _value(cell: str, source: str) -> Any:
    if not cell.startswith(_JSON_CELL):
        return cell
    try:
        return json.loads(cell, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source}: {cell[:60]!r} looks like JSON and is not: {str(error)[:100]}") from error


def _put(tree: dict[str | int, Any], path: list[str | int], value: Any, source: str) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{source}: {'.'.join(map(str, path))} is given twice.")
    if path[-1] in tree:
        raise ConfigError(f"{source}: {'.'.join(map(str, path))} is given twice.")
    tree[path[-1]] = value


def _listed(tree: Any, source: str) -> Any:
    """Turn tables whose keys are numbers into lists."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(isinstance(key, int) for key in tree):
        if sorted(tree) != list(range(len(tree))) or len(tree) > _MAX_INDEX:
            raise ConfigError(f"{source}: the numbers of a list run from 0 without gaps.", value=sorted(tree)[:10])
        return [_listed(tree[index], source) for index in range(len(tree))]
    return {str(key): _listed(value, source) for key, value in tree.items()}


def write(found: Iterable[DeviceRecord], out: IO[str], form: Format) -> int:
    """Write records; return how many. What is read back is what was written."""
    if form == "jsonl":
        count = 0
        for record in found:
            out.write(canonical(records.dump(record)) + "\n")
            count += 1
        return count
    flat = [dict(_flattened("", records.dump(record))) for record in found]
    names = sorted({name for row in flat for name in row}, key=_order)
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return len(flat)


def flattened(record: DeviceRecord) -> list[tuple[str, str]]:
    """The fields of a record by their names in CSV, in the order of the record."""
    return sorted(_flattened("", records.dump(record)), key=lambda each: _order(each[0]))


def _flattened(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flattened(f"{name}.{key}" if name else key, inner)
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for index, inner in enumerate(value):
            yield from _flattened(f"{name}.{index}", inner)
    elif isinstance(value, list):
        if value:
            yield name, json.dumps(value, ensure_ascii=False)
    elif isinstance(value, str):
        plain = value == value.strip() and not value.startswith(_JSON_CELL)
        yield name, value if plain else json.dumps(value, ensure_ascii=False)
    else:
        yield name, json.dumps(value)


def _order(name: str) -> tuple[int, list[tuple[int, str]]]:
    first, *rest = name.split(".")
    order = list(DeviceRecord.model_fields)
    return order.index(first), [(int(part), "") if part.isdecimal() else (0, part) for part in rest]


def read_keys(path: Path) -> dict[str, bytes]:
    """The vendor's keys of a CSV file with the columns `dev_eui` and `app_key`. Raises ConfigError; shows no key."""
    keys: dict[str, bytes] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                eui = re.sub(r"[-: ]", "", row.get("dev_eui") or "").lower()
                text = re.sub(r"[-: ]", "", row.get("app_key") or "")
                if not re.fullmatch(r"[0-9a-f]{16}", eui) or not re.fullmatch(r"[0-9a-fA-F]{32}", text) or eui in keys:
                    raise ConfigError(
                        "This line of the key file is not a DevEUI (16 digits) and an AppKey (32), or stands twice.",
                        value=f"{path.name}, line {len(keys) + 2}",
                        next_step="its first line is dev_eui,app_key; one line for each device",
                    )
                keys[eui] = bytes.fromhex(text)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError("The key file cannot be read.", value=path, reason=type(error).__name__) from error
    return keys
