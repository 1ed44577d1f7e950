# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The channel plan of EU863-870 (RP002 section 2.4): which channels exist, which are on, where RX1 listens. Pure."""

from firmware.wire import region

DEFAULTS = len(region.DEFAULT_CHANNELS_HZ)
_DEFAULT_MASK = (1 << DEFAULTS) - 1


class ChannelPlan:
    """Channels by index: None, or ``(frequency, lowest data rate, highest data rate, RX1 frequency)``; Hz.

    Whatever is asked of it, at least one channel that exists is on.
    """

    def __init__(self) -> None:
        self.channels = [None] * region.MAX_CHANNELS  # type: list[tuple[int, int, int, int] | None]
        self.mask = 0
        self._make_defaults()

    def enabled(self, dr: int, mask: int | None = None) -> list[int]:
        """Return the indexes of the channels that are on and take this data rate."""
        mask = self.mask if mask is None else mask
        found = []
        for i, channel in enumerate(self.channels):
            if mask >> i & 1 and channel is not None and channel[1] <= dr <= channel[2]:
                found.append(i)
        return found

    def best_dr(self, dr: int) -> int:
        """Return *dr*, else the next lower one that some channel takes, else the lowest that one takes."""
        for candidate in list(range(dr, region.MIN_DR - 1, -1)) + list(range(dr + 1, region.MAX_DR + 1)):
            if self.enabled(candidate):
                return candidate
        return region.MIN_DR

    def enable_defaults(self) -> None:
        """Switch the default channels on, others stay as they are (TS001 section 4.3.1.1, end of the back-off)."""
        self.mask |= _DEFAULT_MASK

    def state(self) -> list[int]:
        """Return what ``restore`` takes, a flat list of numbers: the mask, then five for each channel to remember."""
        values = [self.mask]
        for i, channel in enumerate(self.channels):
            if channel is not None and (i >= DEFAULTS or channel[3] != channel[0]):
                values += (i,) + channel
        return values

    def restore(self, state) -> None:
        """Take over a ``state``. Raises ValueError, TypeError, IndexError for one that was never made."""
        self._make_defaults()
        for at in range(1, len(state), 5):
            i, freq_hz, min_dr, max_dr, rx1_hz = state[at : at + 5]
            self.channels[i] = (freq_hz, min_dr, max_dr, rx1_hz)
        self.mask = state[0] & self.existing()
        self._never_empty()

    def _make_defaults(self) -> None:
        self.channels = [None] * region.MAX_CHANNELS
        for i, freq_hz in enumerate(region.DEFAULT_CHANNELS_HZ):
            self.channels[i] = (freq_hz, region.MIN_DR, region.MAX_DEFAULT_DR, freq_hz)
        self.mask = _DEFAULT_MASK

    def existing(self) -> int:
        """Return the mask of all channels that exist."""
        mask = 0
        for i, channel in enumerate(self.channels):
            if channel is not None:
                mask |= 1 << i
        return mask

    def put(self, index: int, channel: tuple[int, int, int, int] | None) -> None:
        """Make, change or remove a channel; a new one is on."""
        self.channels[index] = channel
        if channel is None:
            self.mask &= ~(1 << index)
            self._never_empty()
        else:
            self.mask |= 1 << index

    def _never_empty(self) -> None:
        if not self.mask:  # the only one that was on is gone: a device that cannot speak cannot be told to
            self.enable_defaults()
