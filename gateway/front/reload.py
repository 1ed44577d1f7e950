# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A running front takes another configuration, or refuses it and goes on as it was: packet forwarders and their rates.

The workers, which know the same forwarders, are reloaded before it: who is let in here finds a way down there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gateway import config
from gateway.errors import GatewayError, ReloadRefused
from gateway.operate import notify
from gateway.reload import refuse_what_needs_a_restart
from provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config import Loaded
    from gateway.front.line import Line
    from gateway.operate.counters import Counters
    from gateway.operate.logs import EventLog


async def reload(
    old: Loaded, lines: Sequence[Line], counters: Counters, log: EventLog
) -> tuple[Loaded, dict[str, Any]]:
    """Read everything again and take it, or nothing of it; return what holds now, ``ok`` and a ``message``."""
    notify.reloading()
    try:
        loaded = await asyncio.to_thread(config.load, old.path)
        _refuse(old, loaded, lines)
    except ProvisioningError as error:
        outcome = _refused("\n".join(error.lines()), counters, log)
    except (GatewayError, OSError, ValueError) as error:
        outcome = _refused(str(error), counters, log)
    else:
        for line, link in zip(lines, loaded.links, strict=True):
            line.adopt(link)  # type: ignore[arg-type]
        counters.add("reloads", "taken")
        log.info("reloaded", adopted=[line.name for line in lines])
        outcome = {"ok": True, "message": f"reloaded; the front goes on with {', '.join(each.name for each in lines)}"}
        old = loaded
    notify.ready(str(outcome["message"]).partition("\n")[0])
    return old, outcome


def _refuse(old: Loaded, new: Loaded, lines: Sequence[Line]) -> None:
    """Raise ReloadRefused for what takes a restart of workers and front together."""
    refuse_what_needs_a_restart(old, new)
    fits = len(lines) == len(new.links) and all(
        line.fits(link)  # type: ignore[arg-type]
        for line, link in zip(lines, new.links, strict=False)
    )
    if not fits or old.config.operate.listen != new.config.operate.listen:
        raise ReloadRefused(
            f"Links, their order, ports and buffers, and operate.listen cannot change while the front runs, so nothing "
            f"of {new.path} was taken: workers and front agree on their ports by the order of the links. Restart all "
            f"(systemctl restart lykta-gateway-workers.target); devices keep what has no receipt meanwhile."
        )


def _refused(why: str, counters: Counters, log: EventLog) -> dict[str, Any]:
    counters.add("reloads", "refused")
    log.error("reload_refused", why=why, effect="the front goes on with the configuration that it has")
    return {"ok": False, "message": why}
