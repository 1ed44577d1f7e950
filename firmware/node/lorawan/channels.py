# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The channel plan of EU863-870 (RP002 section 2.4): which channels exist, which are on, where RX1 listens. Pure."""

from firmware.wire import macdevice, region

_DEFAULTS = len(region.DEFAULT_CHANNELS_HZ)
_DEFAULT_MASK = (1 << _DEFAULTS) - 1
_MASK_SINGLE = 0  # ChMaskCntl: ChMask holds channels 0 to 15
_MASK_ALL = 6  # ChMaskCntl: every channel that exists
_LOWEST_HZ = 863000000
_HIGHEST_HZ = 870000000
_FREQUENCY_OK = 1  # bits of the answers to NewChannelReq and DlChannelReq
_SECOND_OK = 2


def downlink_possible(freq_hz: int) -> bool:
    """Tell whether a device may listen on this frequency; the network has its own rules for sending there."""
    return _LOWEST_HZ <= freq_hz <= _HIGHEST_HZ


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

    def masked(self, mask: int, control: int, chmask: int) -> int | None:
        """Return *mask* as one LinkADRReq changes it, None where it asks for a channel that does not exist."""
        existing = self._existing()
        if control == _MASK_ALL:
            return existing
        if control != _MASK_SINGLE or chmask & ~existing:
            return None
        return chmask

    def new_channel(self, index: int, freq_hz: int, min_dr: int, max_dr: int) -> int:
        """Make, change or (frequency 0) remove a channel; return the status of the answer (TS001 section 5.7)."""
        if not _DEFAULTS <= index < region.MAX_CHANNELS:  # the default channels are read-only
            return 0
        if freq_hz == 0:
            self._put(index, None)
            return _FREQUENCY_OK | _SECOND_OK
        status = _FREQUENCY_OK if region.band_of(freq_hz) is not None else 0
        if min_dr <= max_dr <= region.MAX_DR:
            status |= _SECOND_OK
        if status == _FREQUENCY_OK | _SECOND_OK:
            self._put(index, (freq_hz, min_dr, max_dr, freq_hz))
        return status

    def dl_channel(self, index: int, rx1_hz: int) -> int:
        """Move RX1 of a channel; return the status of the answer (TS001 section 5.10)."""
        channel = self.channels[index] if index < region.MAX_CHANNELS else None
        status = (_FREQUENCY_OK if downlink_possible(rx1_hz) else 0) | (0 if channel is None else _SECOND_OK)
        if channel is not None and status & _FREQUENCY_OK:
            self.channels[index] = (channel[0], channel[1], channel[2], rx1_hz)
        return status

    def apply_cf_list(self, cf_list: bytes) -> None:
        """Add the channels of a Join-Accept, as NewChannelReq would (RP002 section 2.4.2). Other types mean nothing."""
        if len(cf_list) != 16 or cf_list[15] != 0:
            return
        for i in range(5):
            freq_hz = macdevice.frequency_hz(cf_list[3 * i : 3 * i + 3])
            self.new_channel(_DEFAULTS + i, freq_hz, region.MIN_DR, region.MAX_DEFAULT_DR)

    def enable_defaults(self) -> None:
        """Switch the default channels on, others stay as they are (TS001 section 4.3.1.1, end of the back-off)."""
        self.mask |= _DEFAULT_MASK

    def state(self) -> list[int]:
        """Return what ``restore`` takes, a flat list of numbers: the mask, then five for each channel to remember."""
        values = [self.mask]
        for i, channel in enumerate(self.channels):
            if channel is not None and (i >= _DEFAULTS or channel[3] != channel[0]):
                values += (i,) + channel
        return values

    def restore(self, state) -> None:
        """Take over a ``state``. Raises ValueError, TypeError, IndexError for one that was never made."""
        self._make_defaults()
        for at in range(1, len(state), 5):
            i, freq_hz, min_dr, max_dr, rx1_hz = state[at : at + 5]
            self.channels[i] = (freq_hz, min_dr, max_dr, rx1_hz)
        self.mask = state[0] & self._existing()
        self._never_empty()

    def _make_defaults(self) -> None:
        self.channels = [None] * region.MAX_CHANNELS
        for i, freq_hz in enumerate(region.DEFAULT_CHANNELS_HZ):
            self.channels[i] = (freq_hz, region.MIN_DR, region.MAX_DEFAULT_DR, freq_hz)
        self.mask = _DEFAULT_MASK

    def _existing(self) -> int:
        mask = 0
        for i, channel in enumerate(self.channels):
            if channel is not None:
                mask |= 1 << i
        return mask

    def _put(self, index: int, channel: tuple[int, int, int, int] | None) -> None:
        self.channels[index] = channel
        if channel is None:
            self.mask &= ~(1 << index)
            self._never_empty()
        else:
            self.mask |= 1 << index

    def _never_empty(self) -> None:
        if not self.mask:  # the only one that was on is gone: a device that cannot speak cannot be told to
            self.enable_defaults()
