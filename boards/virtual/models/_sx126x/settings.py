# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a driver has set with commands: checked when it comes, lost with a reset or a cold sleep.

DS = SX1261/2 data sheet rev. 2.1, chapter 13.
"""

from dataclasses import dataclass, field

from boards.virtual.models._lora_modem import Tuning
from boards.virtual.protocol import Misuse, UnknownPart

BANDWIDTHS_HZ = {4: 125_000, 5: 250_000, 6: 500_000}  # narrower ones are not simulated
TCXO_MV = (1600, 1700, 1800, 2200, 2400, 2700, 3000, 3300)
LORA = 1
# DS table 13-21: (duty cycle, hpMax) -> dBm at the highest power byte
PA_SX1262 = {(2, 2): 14, (2, 3): 17, (3, 5): 20, (4, 7): 22}
PA_SX1261 = {(1, 0): (10, 13), (4, 0): (14, 14), (6, 0): (15, 14)}


def require(ok: bool, what: str) -> None:
    """UnknownPart unless ok: a parameter that the data sheet does not have."""
    if not ok:
        raise UnknownPart(f"SX126x: {what}")


@dataclass
class Settings:
    """Values after a reset."""

    packet_type: int = 0
    freq_hz: int = 0
    sf: int = 0
    bw_hz: int = 0
    cr: int = 0
    ldro: int = 0
    preamble: int = 0
    length: int = 0
    crc: bool = False
    iq: bool = False
    pa: tuple[int, int, int] | None = None
    power: int | None = None
    symbols: int = 0
    stop_at_preamble: bool = False
    tx_base: int = 0
    rx_base: int = 0
    fallback: int = 0x20
    tcxo_mv: int = 0
    tcxo_us: int = 0
    rf_switch: bool = False
    dcdc: bool = False
    irq_mask: int = 0
    dio1_mask: int = 0
    image_mhz: tuple[int, int] = field(default=(902, 928))  # what the chip calibrates by itself, DS 9.2.1

    def frequency(self, data: bytes) -> None:
        """SetRfFrequency."""
        self.freq_hz = round(int.from_bytes(data, "big") * 15625 / 16384)
        require(150_000_000 <= self.freq_hz <= 960_000_000, f"frequency {self.freq_hz} Hz is not 150 to 960 MHz")

    def modulation(self, data: bytes) -> None:
        """SetModulationParams for LoRa."""
        self._needs_lora("SetModulationParams")
        sf, bw, cr, ldro = data
        require(5 <= sf <= 12, f"spreading factor {sf}")
        require(bw in BANDWIDTHS_HZ, f"bandwidth code {bw:#04x}; this model has {sorted(BANDWIDTHS_HZ)}")
        require(1 <= cr <= 4, f"coding rate code {cr}")
        require(ldro <= 1, f"low data rate optimisation {ldro}")
        self.sf, self.bw_hz, self.cr, self.ldro = sf, BANDWIDTHS_HZ[bw], cr + 4, ldro

    def packet(self, data: bytes) -> None:
        """SetPacketParams for LoRa."""
        self._needs_lora("SetPacketParams")
        preamble = int.from_bytes(data[:2], "big")
        header, length, crc, iq = data[2:]
        require(preamble >= 1, f"preamble of {preamble} symbols")
        require(header == 0, f"header type {header}: implicit headers are not simulated")
        require(crc <= 1 and iq <= 1, f"CRC {crc}, I/Q {iq}: 0 or 1")
        self.preamble, self.length, self.crc, self.iq = preamble, length, bool(crc), bool(iq)

    def pa_config(self, data: bytes) -> None:
        """SetPaConfig; only the data sheet's own rows, because others may destroy the chip."""
        duty, hp_max, device, lut = data
        require(lut == 1 and device <= 1, f"PA device {device}, paLut {lut}")
        known: dict[tuple[int, int], object] = {**(PA_SX1261 if device else PA_SX1262)}
        require((duty, hp_max) in known, f"PA duty cycle {duty}, hpMax {hp_max}: not in table 13-21")
        self.pa = duty, hp_max, device

    def tx_params(self, data: bytes) -> None:
        """SetTxParams."""
        power = data[0] - 256 if data[0] > 127 else data[0]
        require(data[1] <= 7, f"ramp time code {data[1]}")
        if self.pa is None:
            raise Misuse("SX126x: SetTxParams before SetPaConfig: what the number means is not known yet")
        low, high = (-17, 14) if self.pa[2] else (-9, 22)
        require(low <= power <= high, f"power {power}: {low} to {high} with this power amplifier")
        self.power = power

    @property
    def power_dbm(self) -> int:
        """At the antenna pin."""
        if self.pa is None or self.power is None:
            raise Misuse("SX126x: SetTx before SetPaConfig and SetTxParams")
        duty, hp_max, device = self.pa
        if device:
            full_dbm, full = PA_SX1261[duty, hp_max]
            return full_dbm - full + self.power
        return PA_SX1262[duty, hp_max] - 22 + self.power

    def tcxo(self, data: bytes) -> None:
        """SetDio3AsTcxoCtrl."""
        require(data[0] < len(TCXO_MV), f"TCXO voltage code {data[0]}")
        self.tcxo_mv, self.tcxo_us = TCXO_MV[data[0]], timer_us(data[1:])

    def ready(self, what: str) -> None:
        """Misuse when something that the radio needs was never set."""
        self._needs_lora(what)
        missing = [name for name in ("freq_hz", "sf", "preamble") if not getattr(self, name)]
        if missing:
            raise Misuse(f"SX126x: {what} before {', '.join(missing)} was set")
        slow = (1_000_000 << self.sf) // self.bw_hz >= 16_000
        if slow != bool(self.ldro):
            raise Misuse(f"SX126x: {what} at SF{self.sf}/{self.bw_hz} with low data rate optimisation {self.ldro}")

    def tuning(self, sync: int) -> Tuning:
        """For the modem; frequencies to the nearest 100 Hz, because the synthesizer's step is 0.95 Hz."""
        return Tuning(round(self.freq_hz, -2), self.sf, self.bw_hz, self.iq, sync)

    def _needs_lora(self, what: str) -> None:
        if self.packet_type != LORA:
            raise Misuse(f"SX126x: {what} for LoRa, but the packet type is {self.packet_type} (0: GFSK after a reset)")


def timer_us(data: bytes) -> int:
    """A time-out in steps of 15.625 us."""
    return int.from_bytes(data, "big") * 125 // 8
