# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Levels of frames at receivers: the link budget applied to radios, with what is random drawn from the seed."""

from boards.virtual.air.frames import Channel, Frame, Radio
from boards.virtual.air.link_budget import Chance, PathLoss, noise_floor_dbm, survives_at_db, unlike_chirps_db


def needed_ratio_db(wanted: Channel, other: Channel) -> float:
    """Least signal-to-interference ratio at which a frame survives an overlapping one."""
    if wanted.bw_hz == other.bw_hz and wanted.iq == other.iq:
        return survives_at_db(wanted.sf, other.sf)
    return unlike_chirps_db(wanted.sf)


class Levels:
    """Power of frames at receivers, each drawn once: asking again gives the same answer."""

    def __init__(self, seed: int, path_loss: PathLoss) -> None:
        self.path_loss = path_loss
        self._chance = Chance(seed)

    def level_dbm(self, frame: Frame, radio: Radio) -> float:
        """Power at the receiver: sender's power, antennas, path loss, shadowing and this frame's fading."""
        level = frame.levels_dbm.get(radio.id)
        if level is None:
            fading, drift = self._chance.normals(f"fading {frame.sender.id} {frame.nth} {radio.id}")
            level = frame.power_dbm + self._gain_db(frame.sender, radio) + self.path_loss.fading_db * fading
            frame.levels_dbm[radio.id] = level
            frame.drifts_db[radio.id] = min(self.path_loss.drift_db * drift, 0.0)
        return level

    def snr_db(self, frame: Frame, radio: Radio) -> float:
        """Signal-to-noise ratio in the frame's bandwidth."""
        return self.level_dbm(frame, radio) - noise_floor_dbm(frame.channel.bw_hz)

    def payload_snr_db(self, frame: Frame, radio: Radio) -> float:
        """The same at the worst of the payload: the level drifts between preamble and end."""
        return self.snr_db(frame, radio) + frame.drifts_db[radio.id]

    def damaged(self, frame: Frame, radio: Radio) -> bytes:
        """The frame's data with a burst of wrong bits in it."""
        if not frame.data:
            return b""
        noise = self._chance.noise(f"damage {frame.sender.id} {frame.nth} {radio.id}", 8)
        start = noise[0] % len(frame.data)
        burst = bytes(byte ^ (mask | 1) for byte, mask in zip(frame.data[start:], noise[1:], strict=False))
        return frame.data[:start] + burst + frame.data[start + len(burst) :]

    def _gain_db(self, sender: Radio, radio: Radio) -> float:
        gain = radio.gains_db.get(sender.id)
        if gain is None:
            distance_m = ((sender.x_m - radio.x_m) ** 2 + (sender.y_m - radio.y_m) ** 2) ** 0.5
            first, second = sorted((sender.id, radio.id))  # a path is the same both ways
            shadowing_db = self.path_loss.shadowing_db * self._chance.normals(f"shadow {first} {second}")[0]
            loss_db = self.path_loss.mean_loss_db(distance_m) + shadowing_db
            gain = sender.antenna_dbi + radio.antenna_dbi - loss_db
            radio.gains_db[sender.id] = gain
        return gain
