# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Asks the city's guidelines about what is heard: once a minute, and soon after somebody new. Beside the data path.

A device that breaks a rule is counted and logged, once when it begins and once when it ends. It is not silenced: paper
never switches off a street light. Who may talk at all is decided by the register, in the network stage.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from firmware.wire.airtime import time_on_air_us
from gateway.network import state_files
from gateway.operate.airtime import AirtimeOfHour
from gateway.operate.logs import EventLog
from gateway.operate.sightings import MAX_DEVICES, Sightings
from provisioning.errors import ProvisioningError
from provisioning.guidelines.gatewatch import Event, Observed, keep_h, load_pack, watch

if TYPE_CHECKING:
    from collections.abc import Iterator, KeysView, Sequence
    from pathlib import Path

    from gateway.clock import Clock
    from gateway.network.live import Opened
    from gateway.network.quarantine import Quarantine
    from gateway.operate.counters import Counters
    from gateway.outbox.devices import Arrival
    from provisioning.reader import Reader

HEARD_FILE = "heard.json"
"""When each device was heard last, so that a restart does not forget who is silent."""
_SOON_S = 1.0
_SOON_SHARE = 0.05
"""Of the time, at most so much for newcomers: a city that comes back after a power cut is one after another."""
_SHARE = 0.25
"""Of the time, at most so much for judging: it computes beside those who take readings, who wait for it meanwhile."""
_LONGEST_PAUSE_S = 0.02
_UNKNOWN = "unknown_device"
_REJECTED = frozenset({"not_authentic", "replayed", "wrong_nonce"})
_EUI_DIGITS = 16


@dataclass(slots=True)
class _Heard:
    """One device, as far as the rules are interested."""

    last_at: float
    """Unix time."""
    fields: set[str] = field(default_factory=set)
    names: KeysView[str] | None = None
    """Of its last reading, all of them in ``fields``."""
    airtime: AirtimeOfHour | None = None
    """Over radio only."""


class Guard(Sightings):
    """Sightings that the guidelines look at, too. ``note`` is the writer's thread's; the rest runs beside it."""

    def __init__(self, counters: Counters, clock: Clock, quarantine: Quarantine, gateway: str) -> None:
        super().__init__()
        self._counters, self._clock, self._quarantine, self._gateway = counters, clock, quarantine, gateway
        self._log = EventLog("guidelines")
        self._heard: OrderedDict[str, _Heard] = OrderedDict()
        self._by_eui: dict[bytes, _Heard] = {}
        """Of those since the start: to write an EUI in hex takes as long as all that is noted of a frame."""
        self._open: dict[tuple[str, str, str], Event] = {}
        self._rejected: dict[tuple[str, str], int] = {}
        self._someone_new = False
        self._ending = False
        self._state = "asked"

    def open(self, registry: Reader, state_dir: Path, pack: Path | None, every_s: float) -> None:
        """Take what is needed; remember who was heard before the last stop."""
        self._registry, self._file, self._pack, self._every_s = registry, state_dir / HEARD_FILE, pack, every_s
        saved = state_files.load(self._file)
        for dev_eui, last_at in saved.items() if isinstance(saved, dict) else ():
            if isinstance(dev_eui, str) and len(dev_eui) == _EUI_DIGITS and isinstance(last_at, (int, float)):
                self._heard[dev_eui] = _Heard(float(last_at))

    def note(self, opened: Sequence[Opened], arrivals: Sequence[Arrival | None]) -> None:
        """See Sightings."""
        super().note(opened, arrivals)
        known = self._by_eui
        for frame, arrival in zip(opened, arrivals, strict=True):
            uplink, dev_eui = frame.uplink, frame.session.dev_eui
            at, radio = uplink.received_at, uplink.radio
            heard = known.get(dev_eui) or self._begin(dev_eui, at)
            heard.last_at = at
            if radio is not None:
                airtime = heard.airtime
                if airtime is None:
                    airtime = heard.airtime = AirtimeOfHour()
                airtime.add(at, _time_on_air_us(radio.sf, radio.bw_hz, len(uplink.phy)))
            if arrival is not None:
                for reading in arrival.payload.readings:
                    names = reading.values.keys()
                    if names is not heard.names:  # of readings that look alike it is the same object
                        heard.names = names
                        heard.fields |= names

    def _begin(self, dev_eui: bytes, at: float) -> _Heard:
        heard = self._heard.get(dev_eui.hex())
        if heard is None:
            heard = self._heard[dev_eui.hex()] = _Heard(at)
            self._someone_new = True
            if len(self._heard) > MAX_DEVICES:
                gone, _ = self._heard.popitem(last=False)
                self._by_eui.pop(bytes.fromhex(gone), None)
        self._by_eui[dev_eui] = heard
        return heard

    async def watch(self) -> None:
        """Ask until cancelled: every ``every_s`` seconds, and soon after somebody new was heard, if that is cheap."""
        asked_s, took_s = float("-inf"), 0.0
        while True:
            await asyncio.sleep(min(_SOON_S, self._every_s))
            since_s = self._clock.monotonic_s() - asked_s
            if since_s >= self._every_s or (self._someone_new and since_s * _SOON_SHARE >= took_s):
                self._someone_new, asked_s = False, self._clock.monotonic_s()
                try:
                    await asyncio.to_thread(self._ask)
                except asyncio.CancelledError:
                    self._ending = True
                    raise
                took_s = self._clock.monotonic_s() - asked_s

    def _ask(self) -> None:
        now_s = self._clock.wall_s()
        try:
            state_files.save(self._file, {each: heard.last_at for each, heard in list(self._heard.items())})
            seen = self._observed(now_s)
            pack = load_pack(self._pack)
            self._quarantine.forget(now_s - keep_h(pack) * 3600.0)
            events = watch(self._registry, pack, self._gently(seen), datetime.fromtimestamp(now_s, UTC))
        except (ProvisioningError, OSError) as error:
            self._say("not_asked", error)
            return
        self._say("asked", None)
        self._tell({(event.dev_eui, event.rule, event.case): event for event in events})

    def _gently(self, seen: Sequence[Observed]) -> Iterator[Observed]:
        """Go through them, with a pause after each for as long as that one took three times; at the end without."""
        for each in seen:
            began_s = time.perf_counter()
            yield each
            if not self._ending:
                time.sleep(min((time.perf_counter() - began_s) * (1 / _SHARE - 1), _LONGEST_PAUSE_S))

    def _observed(self, now_s: float) -> list[Observed]:
        strangers, rejected = self._refused()
        seen = []
        for dev_eui, heard in list(self._heard.items()):
            seen.append(
                Observed(
                    self._gateway,
                    dev_eui,
                    fields=frozenset(heard.fields),
                    airtime_s_per_h=None if heard.airtime is None else heard.airtime.total_s(now_s),
                    silent_s=max(0.0, now_s - heard.last_at),
                    rejected=rejected.pop(dev_eui, 0),
                )
            )
        seen += [Observed(self._gateway, dev_eui, rejected=count) for dev_eui, count in rejected.items()]
        return seen + [Observed(self._gateway, dev_eui, registered=False) for dev_eui in strangers]

    def _refused(self) -> tuple[list[str], dict[str, int]]:
        """Who is not registered, and how many frames of others were rejected since the last time."""
        strangers: list[str] = []
        rejected: dict[str, int] = {}
        before = self._rejected
        self._rejected = {}
        for entry in self._quarantine.entries():
            if len(entry.device) != _EUI_DIGITS:
                continue
            if entry.reason == _UNKNOWN:
                strangers.append(entry.device)
            elif entry.reason in _REJECTED:
                key = (entry.device, entry.reason)
                self._rejected[key] = entry.frames
                new = entry.frames - before.get(key, 0)
                if new > 0:
                    rejected[entry.device] = rejected.get(entry.device, 0) + new
        return strangers, rejected

    def _tell(self, found: dict[tuple[str, str, str], Event]) -> None:
        for key, event in found.items():
            if key not in self._open:
                self._counters.add("guidelines", event.rule)
                what: dict[str, Any] = {"rule": event.rule, "case": event.case, "severity": event.severity}
                self._log.warning(
                    "rule_broken", dev_eui=event.dev_eui, device=event.device, why=event.text, ask=event.ask, **what
                )
        for key in self._open.keys() - found.keys():
            self._log.info("rule_kept_again", dev_eui=key[0], rule=key[1], case=key[2])
        self._open = found

    def _say(self, state: str, why: Exception | None) -> None:
        if why is not None:
            self._counters.add("guidelines", state)
        if state != self._state:
            self._state = state
            if why is None:
                self._log.info("guidelines_asked_again")
            else:
                self._log.warning("guidelines_not_asked", why=why, effect="readings are taken as before")


_time_on_air_us = lru_cache(maxsize=4096)(time_on_air_us)
"""There are 6 x 3 data rates and 256 lengths at most."""
