# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The duty cycle: how long to be silent, by band, by order of the network, and while joining. Survives resets.

Air time of the last hour is kept per sub-band in slices of five minutes; a slice counts until its last moment is an
hour ago. Before air time is used, a record on flash says that it is: in steps ahead, so that few frames cost a write.
A board does not know how long it was off, so after a reset everything counts as if no time had passed.

While joining another budget holds as well (TS001 section 7): 36 s in the first hour, 36 s in the next ten, then 8.7 s a
day. Its hours are hours with power on: a board that is cut off again and again does not begin anew.
"""

from firmware.node.lazy import borrowed
from firmware.node.store import Slots
from firmware.wire import cbor, region

_SLICE_MS = 300000
_SLICES = region.DUTY_WINDOW_MS // _SLICE_MS + 1  # that many can still count
STEP_MS = 1800  # of air time noted ahead in one write; at least one frame's
_HOUR_MS = 3600000
JOIN_PHASES = ((_HOUR_MS, 36000), (11 * _HOUR_MS, 36000))  # (end, air time), then
_JOIN_DAY_MS = 24 * _HOUR_MS
_JOIN_DAY_AIR_MS = 8700
_SHORT_SILENCE_MS = 10000  # shorter ones are not worth a write: after a reset the board waits so long instead


class Duty:
    """*now_ms()* is monotonic since the boot. Air times are in milliseconds, rounded up by the caller.

    ``enforced``: False only while a certification test wants it (TS009 RegionalDutyCycleCtrlReq).
    """

    def __init__(self, files, now_ms) -> None:
        self._record = Slots(files, "duty")
        self._now_ms = now_ms
        self.enforced = True
        self._begun = now_ms()
        self._used = [{} for _ in region.BANDS]  # type: list[dict[int, int]]  # slice: ms; the boot is slice 0
        self._noted = [0] * len(region.BANDS)  # air time that the record on flash knows of in the current slice
        self._noted_slice = 0
        self._counting = False  # the record on flash holds air time, which time makes less
        self._silent_until = self._begun
        self._join_before_ms = 0  # time spent joining before this boot, or before the last join of this one
        self._join_begun = None  # type: int | None
        self._join_phase = 0
        self._join_used = 0
        self._restore()

    def wait_ms(self, freq_hz: int, air_ms: int) -> int:
        """Return how long to wait until *air_ms* may be sent on this frequency; 0 is now."""
        if not self.enforced:
            return 0
        now = self._now_ms()
        self._forget(now)
        wait = max(0, self._silent_until - now)
        band = _band_of(freq_hz)
        used = self._used[band]
        over = sum(used.values()) + air_ms - budget_ms(band)
        for begun in sorted(used):
            if over <= 0:
                break
            over -= used[begun]
            wait = max(wait, (begun + _SLICES) * _SLICE_MS + self._begun - now)
        return wait

    def join_wait_ms(self, air_ms: int) -> int:
        """Return how long to wait until a Join-Request of *air_ms* keeps the budget of joining; 0 is now."""
        if not self.enforced:
            return 0
        spent = self._join_elapsed()
        phase, end, budget = _join_phase(spent)
        used = self._join_used if phase == self._join_phase else 0
        return 0 if used + air_ms <= budget else end - spent

    def spend(self, freq_hz: int, air_ms: int, max_duty_cycle: int = 0, join: bool = False) -> None:
        """Use air time now. That it is used is on flash before this returns."""
        now = self._now_ms()
        self._forget(now)
        band = _band_of(freq_hz)
        at = self._slice(now + air_ms)
        self._used[band][at] = self._used[band].get(at, 0) + air_ms
        silence = air_ms * ((1 << max_duty_cycle) - 1)  # TS001 section 5.4
        if silence:
            self._silent_until = max(self._silent_until, now + air_ms + silence)
        if join:
            phase = _join_phase(self._join_elapsed())[0]
            self._join_used = air_ms + (self._join_used if phase == self._join_phase else 0)
            self._join_phase = phase
        if at != self._noted_slice or self._used[band][at] > self._noted[band] or join or silence >= _SHORT_SILENCE_MS:
            self._write(at)

    def joined(self) -> None:
        """A join has succeeded: the next one has its own first hour."""
        self._join_begun = None
        self._join_before_ms = self._join_phase = self._join_used = 0
        self._write(self._slice(self._now_ms()))

    def resume(self, max_duty_cycle: int) -> None:
        """After a reset, when the network has asked for silence: the last frame may have been a moment ago."""
        if max_duty_cycle:
            self._silent_until = max(self._silent_until, self._begun + _SHORT_SILENCE_MS)

    def tick(self) -> None:
        """Call it now and then: notes that time has passed, so that a reset does not make old air time young again."""
        now = self._now_ms()
        self._forget(now)
        at = self._slice(now)
        if at > self._noted_slice and (self._counting or self._join_begun is not None):
            self._write(at)

    def used_ms(self, band: int) -> int:
        """Return the air time that counts in a band now."""
        self._forget(self._now_ms())
        return sum(self._used[band].values())

    def _slice(self, at_ms: int) -> int:
        return (at_ms - self._begun) // _SLICE_MS

    def _join_elapsed(self) -> int:
        now = self._now_ms()
        if self._join_begun is None:
            self._join_begun = now
        return self._join_before_ms + now - self._join_begun

    def _forget(self, now: int) -> None:
        for used in self._used:
            for begun in [begun for begun in used if (begun + _SLICES) * _SLICE_MS + self._begun <= now]:
                del used[begun]

    def _write(self, at: int, ahead: bool = True) -> None:
        """Put on flash what counts, by its age in slices, and in slice *at* a step more than what was used."""
        now = self._now_ms()
        current = self._slice(now)
        bands = []
        for i, used in enumerate(self._used):
            self._noted[i] = used.get(at, 0) + (min(STEP_MS, budget_ms(i) // 16) if at in used and ahead else 0)
            ages = []
            for begun in sorted(used):
                ages += [max(0, current - begun), self._noted[i] if begun == at else used[begun]]
            bands.append(ages)
        self._noted_slice = at
        self._counting = any(bands)
        joining = self._join_before_ms if self._join_begun is None else self._join_elapsed()
        silence = max(0, self._silent_until - now)
        self._record.write(cbor.dumps([bands, silence, joining, self._join_phase, self._join_used]))

    def _restore(self) -> None:
        if self._record.fresh:
            return
        with borrowed("lorawan.duty_record") as record:
            found = record.read(self._record.payload, self._record.damaged)
        certain, self._used, silence, self._join_before_ms, self._join_phase, self._join_used = found
        self._silent_until = self._begun + silence
        self._counting = any(self._used)
        self._noted = [used.get(0, 0) for used in self._used]
        if not certain:
            self._write(0, ahead=False)


def _band_of(freq_hz: int) -> int:
    band = region.band_of(freq_hz)
    if band is None:
        raise ValueError("%d Hz is in no band; nothing may be sent there" % freq_hz)
    return band


def budget_ms(band: int) -> int:
    """Return the air time that a band has in an hour."""
    return region.DUTY_WINDOW_MS // region.BANDS[band][2]


def _join_phase(spent_ms: int) -> tuple[int, int, int]:
    """Return (number, end in ms, air time in ms) of the phase of joining at this time."""
    for i, (end, air_ms) in enumerate(JOIN_PHASES):
        if spent_ms < end:
            return i, end, air_ms
    days = (spent_ms - JOIN_PHASES[-1][0]) // _JOIN_DAY_MS
    end = JOIN_PHASES[-1][0] + (days + 1) * _JOIN_DAY_MS
    return len(JOIN_PHASES) + days, end, _JOIN_DAY_AIR_MS
