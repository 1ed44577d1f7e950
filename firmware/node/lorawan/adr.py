# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The device's half of adaptive data rate: does the network still hear us? (TS001 section 4.3.1.1, table 9). Pure."""

from firmware.wire import region

_POWER_AT = region.ADR_ACK_LIMIT + region.ADR_ACK_DELAY


class AdrBackoff:
    """Counts the uplinks since the last class A downlink and makes *engine* louder when nobody answers."""

    def __init__(self, engine) -> None:
        self._engine = engine
        self._stepped_at = None  # type: int | None  # one step for one count, however often it is asked
        self.count = 0

    def restore(self, count: int) -> None:
        """Go on at the count of the last step, which was taken before a reboot."""
        self.count = self._stepped_at = count

    def before_uplink(self) -> bool:
        """Adapt the engine to what the next uplink needs; return whether it carries ADRACKReq.

        From 64 unanswered uplinks on ADRACKReq asks for a sign. At 96 the power goes up, at 128, 160 and so on the data
        rate goes down; where it is the lowest already, NbTrans goes back to 1 and the default channels on again.
        """
        if not self._engine.adr_on:
            return False
        steps, rest = divmod(self.count - _POWER_AT, region.ADR_ACK_DELAY)
        if steps >= 0 and rest == 0 and self._stepped_at != self.count:
            self._stepped_at = self.count
            self._back_off(steps)
        return self.count >= region.ADR_ACK_LIMIT

    def after_uplink(self) -> None:
        """One more frame counter value was used; copies of one frame do not count."""
        if self._engine.adr_on:
            self.count += 1

    def on_downlink(self) -> None:
        """A class A downlink: the network hears us."""
        if self.count >= region.ADR_ACK_LIMIT:
            self._engine.changed = True  # flash may hold the count of the last step
        self.count = 0
        self._stepped_at = None

    def _back_off(self, steps: int) -> None:
        engine = self._engine
        if steps == 0:
            engine.tx_power = 0
        elif engine.dr > region.MIN_DR:
            engine.dr = region.lower_dr(engine.dr)
            if not engine.plan.enabled(engine.dr):  # TS001: an impossible combination brings the default channels back
                engine.plan.enable_defaults()
        else:
            engine.nb_trans = 1
            engine.plan.enable_defaults()
        engine.changed = True
