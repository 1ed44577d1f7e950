# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A running gateway takes another configuration, or refuses it and goes on as it was.

Everything is read and built before anything is touched. Platforms whose certificates may have changed stop first, so
that nothing is signed under a certificate that they have not published yet; meanwhile the outbox holds what comes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gateway import config
from gateway.errors import GatewayError, ReloadRefused
from gateway.operate import notify
from gateway.operate.logs import EventLog
from provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.clock import Clock
    from gateway.config import Loaded
    from gateway.ends import Built, Ends
    from gateway.identity import Identity
    from gateway.links import Sink
    from gateway.operate.counters import Counters
    from gateway.supervisor import Supervisor

    Swap = Callable[[Loaded, Identity], Awaitable[None]]

_FIXED = (
    ("gateway", "eui"),
    ("gateway", "state_dir"),
    ("register_", "url"),
    ("register_", "kek"),
    ("network", "net_id"),
    ("workers", "count"),
    ("workers", "port"),
)
"""What sessions, databases and the register are built on: it changes with a restart, in which devices lose nothing."""


class Reloader:
    """One reload at a time; who calls sees to that."""

    def __init__(self, ends: Ends, clock: Clock, counters: Counters) -> None:
        self._ends = ends
        self._clock = clock
        self._counters = counters
        self._log = EventLog("reload")

    async def reload(self, old: Loaded, tasks: Supervisor, swap: Swap, sink: Sink) -> dict[str, Any]:
        """Read everything again and take it; return ``ok`` and a ``message`` for a person."""
        notify.reloading()
        try:
            loaded, identity, built = await asyncio.to_thread(self._read_again, old)
        except ProvisioningError as error:
            outcome = self._refused("\n".join(error.lines()))
        except (GatewayError, OSError, ValueError) as error:
            outcome = self._refused(str(error))
        else:
            outcome = await self._take(tasks, loaded, identity, built, swap, sink)
        notify.ready(str(outcome["message"]).partition("\n")[0])
        return outcome

    def _read_again(self, old: Loaded) -> tuple[Loaded, Identity, Built]:
        loaded = config.load(old.path, old.worker)
        refuse_what_needs_a_restart(old, loaded)
        identity = config.load_identity(loaded)
        if self._clock.wall_s() > identity.not_after.timestamp():
            raise ReloadRefused(
                f"The certificate {loaded.certificate_path} ended on {identity.not_after.isoformat()}. Consumers would "
                f"refuse what it signs. Enrol the gateway again, or correct the clock."
            )
        return loaded, identity, self._ends.build(loaded, identity)

    async def _take(
        self, tasks: Supervisor, loaded: Loaded, identity: Identity, built: Built, swap: Swap, sink: Sink
    ) -> dict[str, Any]:
        stopped = await self._ends.stop_changed(tasks, built)
        await swap(loaded, identity)
        changes = await self._ends.change(tasks, built, sink, stopped)
        self._counters.add("reloads", "taken")
        fields = {"started": changes.started, "stopped": changes.stopped, "adopted": changes.adopted}
        self._log.info("reloaded", certificate_until=identity.not_after.isoformat(), **fields)
        said = "; ".join(f"{what}: {', '.join(names)}" for what, names in fields.items() if names)
        return {"ok": True, "message": f"reloaded; {said or 'links and platforms went on undisturbed'}"}

    def _refused(self, why: str) -> dict[str, Any]:
        self._counters.add("reloads", "refused")
        self._log.error("reload_refused", why=why, effect="the gateway goes on with the configuration that it has")
        return {"ok": False, "message": why}


def refuse_what_needs_a_restart(old: Loaded, new: Loaded) -> None:
    """Raise ReloadRefused, naming every key that cannot change while the gateway runs."""
    changed = []
    for section, key in _FIXED:
        before, after = (getattr(getattr(each.config, section), key) for each in (old, new))
        if before != after:
            shown = "" if key == "kek" else f" ({before} -> {after})"
            changed.append(f"{section.rstrip('_')}.{key}{shown}")
    if changed:
        raise ReloadRefused(
            f"{', '.join(changed)} cannot change while the gateway runs, so nothing of {new.path} was taken. "
            f"Restart the gateway (systemctl restart lykta-gateway); devices keep what has no receipt meanwhile."
        )
