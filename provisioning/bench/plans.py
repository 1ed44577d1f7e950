# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A batch from a file: which port's board becomes which device. It is checked whole before a board is touched."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Final

from boards.build import FIRMWARE
from firmware.wire.kinds.terms import names as kind_names
from provisioning.bench.enrolment import Wanted
from provisioning.bench.errors import WrongPlan
from provisioning.errors import ProvisioningError
from provisioning.identities import parse_eui
from provisioning.images import LINKS

COLUMNS: Final = ("port", "kind", "device", "name", "board", "link", "serial")
MAX_BOARDS: Final = 1000
_ONCE: Final = ("port", "device", "name", "serial")


def board_kinds() -> tuple[str, ...]:
    """The kinds that a board of ours can become: those that have a role in its firmware."""
    return tuple(name for name in kind_names() if (FIRMWARE / "node" / "roles" / f"{name}.py").is_file())


def read(path: Path, common: Wanted) -> dict[str, Wanted]:
    """What each port's board is to become, in the order of the file; what a line leaves out is as in *common*.

    The file is CSV with a line of column names, as COLUMNS. Raises WrongPlan with the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, restkey="", strict=True)
            _check_head(path, rows.fieldnames)
            found = [(rows.line_num, row) for row in rows]
    except OSError as error:
        raise WrongPlan(
            f"The batch cannot be read: {error.strerror}.", value=path, next_step="name a CSV file that is there"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise WrongPlan(
            "The batch cannot be read.", value=path, reason=f"{error}.", next_step="save it as CSV in UTF-8"
        ) from error
    if not 1 <= len(found) <= MAX_BOARDS:
        raise WrongPlan(f"A batch has 1 to {MAX_BOARDS} boards.", value=f"{path}: {len(found)}")
    seen: dict[tuple[str, str], int] = {}
    plan = {}
    for number, row in found:
        if "" in row:
            raise _wrong(path, number, "more values than columns")
        given = {name: (row.get(name) or "").strip() for name in COLUMNS}
        for name in _ONCE:
            if given[name] and (first := seen.setdefault((name, given[name]), number)) != number:
                raise _wrong(path, number, f"{name} {given[name]} stands in line {first} already")
        plan[given["port"]] = _wanted(path, number, given, common)
    return plan


def _check_head(path: Path, names: object) -> None:
    found = list(names) if isinstance(names, list) else []
    unknown = [name for name in found if name not in COLUMNS]
    if "port" not in found or unknown:
        raise WrongPlan(
            "The first line of the batch does not name its columns.",
            value=f"{path}: {', '.join(map(str, found)) or 'empty'}",
            next_step=f"write port and any of: {', '.join(COLUMNS[1:])}",
        )


def _wanted(path: Path, number: int, given: dict[str, str], common: Wanted) -> Wanted:
    if not given["port"]:
        raise _wrong(path, number, "no port")
    if given["kind"] and given["kind"] not in board_kinds():
        raise _wrong(path, number, f"kind {given['kind']!r} is none of: {', '.join(board_kinds())}")
    if given["link"] and given["link"] not in LINKS:
        raise _wrong(path, number, f"link {given['link']!r} is none of: {', '.join(LINKS)}")
    try:
        dev_eui = parse_eui(given["device"]) if given["device"] else common.dev_eui
    except ProvisioningError as error:
        raise _wrong(path, number, str(error)) from error
    kind = given["kind"] or (None if given["device"] else common.kind)
    if kind is None and dev_eui is None:
        raise _wrong(path, number, "neither a kind nor a device")
    return replace(
        common,
        kind=kind,
        dev_eui=dev_eui,
        name=given["name"] or common.name,
        board=given["board"] or common.board,
        link=given["link"] or common.link,
        serial=given["serial"] or common.serial,
    )


def _wrong(path: Path, line: int, what: str) -> WrongPlan:
    return WrongPlan(
        "The batch cannot be done as it stands.",
        value=f"{path}, line {line}: {what}",
        reason="No board was touched: a batch is checked whole before it begins.",
        next_step="correct the line and give the same command again",
    )
