# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which level the lamp should have now, and why. In doubt it shines: after dusk always, without a clock or an eye too.

The order of who decides: a person at the pole, a command that has not expired, the schedule. The schedule is left for
plain light from dusk to dawn when something makes it doubtful: no clock, no contact for too long, damaged settings, or
a reset by the watchdog that the network has not heard of yet.
"""

from firmware.node.lamp.plan import Plan

MAINTENANCE, OVERRIDE, SCHEDULE, SAFETY, PHOTOCELL = range(5)
_PLAN_EVERY_S = 5
_WATCHDOG = 3  # wire.kinds.common.WATCHDOG, without the rest of it


class Control:
    """*service* is the node's, which see in node/service.py."""

    def __init__(self, service) -> None:
        self._service = service
        self.plan = Plan(service.settings)
        self._override_pct = 100
        self._override_until_s = 0
        self._override_fade_ms = None  # type: int | None
        self._doubt = service.boots[0] == _WATCHDOG
        self._planned_s = None  # type: int | None
        self._planned = (100, SAFETY)

    def override(self, pct: int, minutes: int, fade_ms: "int | None" = None) -> None:
        """Hold a level for so long; *fade_ms* None: as the settings have it."""
        self._override_pct = pct
        self._override_fade_ms = fade_ms
        self._override_until_s = self._service.clock.uptime_s() + 60 * minutes

    def release(self) -> None:
        """End an override."""
        self._override_until_s = 0

    def overridden(self) -> bool:
        """Tell whether a command holds the lamp."""
        return self._service.clock.uptime_s() < self._override_until_s and not self._service.contact_lost()

    def fade_ms(self, by: int) -> int:
        """Return how slowly to go to a level that was decided so."""
        if by == OVERRIDE and self._override_fade_ms is not None:
            return self._override_fade_ms
        return self._service.settings["fade_ms"]

    def changed(self) -> None:
        """The settings are others now."""
        self.plan.changed()
        self._planned_s = None

    def decide(self, dark) -> tuple:
        """Return (level, who decided). *dark* is what the photocell says, None when there is none or it is blind."""
        service = self._service
        if service.maintained():
            return 100, MAINTENANCE
        if self.overridden():
            return self._override_pct, OVERRIDE
        now_s = service.clock.uptime_s()
        if self._planned_s is None or now_s - self._planned_s >= _PLAN_EVERY_S or self._planned[1] == PHOTOCELL:
            self._planned_s = now_s
            self._planned = self._schedule(dark, service.clock.unix_s(now_s))
        return self._planned

    def _schedule(self, dark, unix_s) -> tuple:
        service, plan = self._service, self.plan
        if self._doubt and service.contact_s() < service.clock.uptime_s():
            self._doubt = False  # the network is heard again
        mode = service.settings["photocell_mode"]
        if unix_s is None or not plan.usable(unix_s):
            if dark is None or not mode:
                return 100, SAFETY
            return (100 if dark else 0), PHOTOCELL
        night = plan.is_night(unix_s)
        if self._doubt or service.contact_lost() or service.settings.damaged:
            if night is None:
                night = dark is not False
            return (100 if night or dark else 0), SAFETY
        level = plan.level_pct(unix_s)
        if mode == 2 and dark and night is False:
            level = 100
        return level, SCHEDULE
