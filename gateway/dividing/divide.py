# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The whole division, from the locks to the one step that makes it count."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway import division
from gateway.dividing import databases
from gateway.errors import NotDivided, StoreCorrupt
from gateway.guidelines import HEARD_FILE
from gateway.network import state_files
from gateway.network.share import of_address, of_device
from gateway.operate.control import SOCKET_FILE
from gateway.operate.lock import FILE_NAME as LOCK_FILE
from gateway.operate.lock import only_one
from gateway.outbox.schema import prepare
from gateway.sqlite_files import open_database

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.config import Config

OUTBOX_FILE, SESSIONS_FILE = "outbox.db", "sessions.db"
_BUILDING, _OLD = "dividing", "old"
_PREFIX = "divided-"
_NOT_COPIED = (
    LOCK_FILE, SOCKET_FILE, "counters.json", state_files.DUTY_FILE, HEARD_FILE, division.MARKER, division.ROUTES,
    division.FRONT, "taken", _BUILDING,
)  # fmt: skip
_US = 1_000_000


@dataclass(frozen=True)
class Divided:
    """What was done."""

    folder: Path
    before: list[Path]
    """Where the state was; nothing of it was removed."""
    sessions: list[int]
    """By worker."""
    moved: int
    """Sessions whose address leads to another worker than they have: the front is told."""


def needed(root: Path, count: int) -> bool:
    """Tell whether the state is divided otherwise than among *count*. Raises NotDivided."""
    found = division.read(root)
    return count != (1 if found is None else found.count)


def divide(root: Path, config: Config) -> Divided:
    """Divide the state among the workers of a configuration. Nobody may use it meanwhile.

    Raises AlreadyRunning, NotDivided, StoreCorrupt, StoreUnavailable, OSError; then nothing has changed.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    before, count = division.sources(root), config.workers.count
    with ExitStack() as locks:
        for each in (*before, root / division.FRONT):
            if each.is_dir():
                locks.enter_context(only_one(each))
        building = root / _BUILDING
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(mode=0o700)
        try:
            _refuse_undelivered(before[count:], config)
            done = _build(building, before, count)
        except sqlite3.Error as error:
            raise StoreCorrupt(
                f"the state in {root} cannot be copied: {error}. Start the gateway as it was, which sets aside what is "
                f"damaged, stop it, and divide again"
            ) from error
        _own(building, root)
        folder = root / f"{_PREFIX}{_next_number(root)}"
        building.rename(folder)
        _on_disk(root)
        division.write(root, division.Division(count, folder.name))
        _own(root / division.MARKER, root)
        _on_disk(root)
    return Divided(folder, before, *done)


def _refuse_undelivered(ended: Sequence[Path], config: Config) -> None:
    """A worker that ends takes its stream with it: everything in it must have arrived. Raises NotDivided."""
    names = [each.name for each in config.platforms]
    for folder in ended:
        outbox = folder / OUTBOX_FILE
        waits = databases.not_delivered(outbox, names, config.limits().receipts_from) if outbox.is_file() else []
        if waits:
            raise NotDivided(
                f"{folder.name} would end, and its outbox holds readings that {', '.join(waits)} has not got. Let it "
                f"deliver them first: put [workers] count back, start the gateway, and wait until `lykta-gateway stats "
                f"--worker {folder.name.rpartition('-')[2]}` says waiting: 0; then stop it and divide again"
            )


def _build(building: Path, before: Sequence[Path], count: int) -> tuple[list[int], int]:
    """Make the new state below *building*; return sessions by worker, and how many addresses lead elsewhere."""
    old: dict[str, list[Path]] = {SESSIONS_FILE: [], OUTBOX_FILE: []}
    for number, source in enumerate(before):
        (building / f"{_OLD}-{number}").mkdir(mode=0o700)
        for name, copies in old.items():
            if (source / name).is_file():
                databases.copy(source / name, building / f"{_OLD}-{number}" / name)
                copies.append(building / f"{_OLD}-{number}" / name)
    made: list[int] = []
    routes: dict[int, int] = {}
    for index in range(count):
        target = building / f"worker-{index + 1}"
        target.mkdir(mode=0o700)
        if index < len(before) and before[index].is_dir():
            _copy_rest(before[index], target)
        _share_outbox(building, target, old[OUTBOX_FILE], count, index)
        found = _share_sessions(building, target, old[SESSIONS_FILE], count, index)
        made.append(len(found))
        routes |= {address: index for address in found if of_address(address, count) != index}
        _share_small(before, target, count, index)
        _on_disk(target)
    state_files.save(building / division.ROUTES, routes)
    for number in range(len(before)):
        shutil.rmtree(building / f"{_OLD}-{number}")
    _on_disk(building)
    return made, len(routes)


def _copy_rest(source: Path, target: Path) -> None:
    """Whatever outputs keep beside the databases."""
    for each in source.iterdir():
        name = each.name
        known = name in _NOT_COPIED or name.startswith((OUTBOX_FILE, SESSIONS_FILE, _PREFIX)) or name.endswith(".new")
        if not known and each.is_dir():
            shutil.copytree(each, target / name)
        elif not known and each.is_file():
            shutil.copy2(each, target / name)


def _share_outbox(building: Path, target: Path, old: Sequence[Path], count: int, index: int) -> None:
    own = building / f"{_OLD}-{index}" / OUTBOX_FILE
    path = target / OUTBOX_FILE
    if own in old:
        databases.copy(own, path)
    elif old:
        open_database(path, prepare).close()
        path.chmod(0o600)
    else:
        return
    databases.share_outbox(path, [each for each in old if each != own], count, index)


def _share_sessions(building: Path, target: Path, old: Sequence[Path], count: int, index: int) -> list[int]:
    """Return the addresses of a worker's sessions."""
    if not old:
        return []
    own = building / f"{_OLD}-{index}" / SESSIONS_FILE
    begun = own if own in old else old[0]
    path = target / SESSIONS_FILE
    databases.copy(begun, path)
    # Answers stay with their worker; those of workers that end go out with the first one's.
    answers = [each for each in old if index == 0 and int(each.parent.name.rpartition("-")[2]) >= count]
    keeps = [path] if own in old else []
    databases.share_sessions(path, [each for each in old if each != begun], count, index, [*keeps, *answers])
    return databases.addresses(path)


def _share_small(before: Sequence[Path], target: Path, count: int, index: int) -> None:
    """Airtime of the last hour, an equal part of the sum for each; when each device was heard last."""
    saved = [found for each in before if isinstance(found := state_files.load(each / state_files.DUTY_FILE), dict)]
    at = max((float(each["at"]) for each in saved), default=0.0)
    spent = [
        [gateway, band, int(age_us + (at - each["at"]) * _US), -(-airtime_us // count)]
        for each in saved
        for gateway, band, age_us, airtime_us in each["spent"]
    ]
    if saved:
        state_files.save(target / state_files.DUTY_FILE, {"at": at, "spent": spent})
    heard: dict[str, float] = {}
    for each in before:
        found = state_files.load(each / HEARD_FILE)
        heard |= found if isinstance(found, dict) else {}
    if heard:
        ours = {dev_eui: at for dev_eui, at in heard.items() if of_device(bytes.fromhex(dev_eui), count) == index}
        state_files.save(target / HEARD_FILE, ours)


def _next_number(root: Path) -> int:
    numbers = [each.name.removeprefix(_PREFIX) for each in root.glob(f"{_PREFIX}*")]
    return 1 + max((int(each) for each in numbers if each.isdigit()), default=0)


def _own(path: Path, root: Path) -> None:
    """For root: what was made belongs to whom the state directory belongs to."""
    if os.geteuid() != 0:
        return
    owner = root.stat()
    for each in (path, *(path.rglob("*") if path.is_dir() else ())):
        os.chown(each, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _on_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
