# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""``[workers]``: what of the one configuration is different for each worker, and what workers cannot have."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gateway import division
from gateway.network.share import Share, of_address
from gateway.operate.web.settings import OperateSection, parse_listen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.plugins import Settings

MAX_WORKERS = 8
_LOOPBACK = "127.0.0.1"
_UNLIMITED = {"rate_per_s": 1e6, "rate_burst": 1_000_000, "pin_s": 0.0}
"""The front holds forwarders to their rates and addresses; to a worker they are all one sender."""


class WorkersSection(BaseModel):
    """``[workers]``: several processes behind one front, where one core is not enough."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    count: Annotated[int, Field(ge=1, le=MAX_WORKERS)] = 1
    """1: one process, without a front."""
    port: Annotated[int, Field(ge=1024, le=65000)] = 17000
    """The first of the UDP ports on loopback that front and workers use between them: one for each link and worker."""


def refusals(section: WorkersSection, links: Sequence[Settings], platforms: Sequence[Settings]) -> list[str]:
    """Return what of a configuration several workers cannot have, in words."""
    if section.count == 1:
        return []
    found = [
        f"links: {link.name!r} is of type {link.type!r}, which one process opens for itself; with [workers] count = "
        f"{section.count} only links of type 'lora' are possible"
        for link in links
        if link.type != "lora"
    ]
    for platform in platforms:
        path = getattr(platform, "path", None)
        if platform.type == "files" and isinstance(path, str) and PurePosixPath(path).is_absolute():
            found.append(
                f"platforms: {platform.name!r} writes to {path}, which one process does for itself; with [workers] a "
                f"relative path gives each worker a folder in its state directory"
            )
    return found


def address(section: WorkersSection, worker: int, link: int, links: int) -> tuple[str, int]:
    """Return where a worker, from 1, listens for the front: one port for each link, counted from 0."""
    return _LOOPBACK, section.port + (worker - 1) * links + link


def share(section: WorkersSection, worker: int, root: Path) -> Share:
    """Return the devices of a worker, from 1. *root*: the state directory of all."""
    if section.count == 1 or not worker:
        return Share()
    index = worker - 1
    moved = division.routes(root) if division.read(root) is not None else {}
    mine = frozenset(each for each in moved if of_address(each, section.count) == index)
    return Share(section.count, index, mine)


def links_of(section: WorkersSection, worker: int, links: Sequence[Any]) -> list[Any]:
    """Return the links of a worker: the same forwarders, heard through the front."""
    found = []
    for number, link in enumerate(links):
        host, port = address(section, worker, number, len(links))
        forwarders = [each.model_copy(update={"allow": [f"{_LOOPBACK}/32"]}) for each in link.gateways]
        found.append(link.behind_front(bind=f"{host}:{port}", gateways=forwarders, **_UNLIMITED))
    return found


def operate_of(section: OperateSection, worker: int) -> OperateSection:
    """Return the status page of a worker: at as many ports above that of the front."""
    if not section.listen:
        return section
    host, port = parse_listen(section.listen)
    shown = f"[{host}]" if host.version == 6 else str(host)
    return section.model_copy(update={"listen": f"{shown}:{port + worker if port else 0}"})
