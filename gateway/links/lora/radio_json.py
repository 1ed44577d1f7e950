# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The JSON objects ``rxpk`` and ``stat`` of PUSH_DATA and ``txpk`` of PULL_RESP. Pure: no I/O.

P = Semtech, "Basic communication protocol between LoRa gateway and Network Server" (PROTOCOL.TXT v1.4, PROTOCOL.md
v1.6).
Lenient only where real forwarders, or P's own examples, need it; each place says so.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from gateway import radio
from gateway.links.lora.errors import PacketRefused
from gateway.quick_record import record
from gateway.radio import RadioDownlink, Reception

MAX_DATR_CHARS = 9
_DATR = re.compile(r"SF([5-9]|1[0-2])BW(125|250|500)")
CODING_RATES = {"4/5": 5, "4/6": 6, "2/3": 6, "4/7": 7, "4/8": 8, "2/4": 8, "1/2": 8}
"""The unreduced names of P section 4; old forwarders write some of them reduced."""
_UNSUPPORTED = ("FSK", "LR-FHSS", "LR_FHSS")
_BASE64 = re.compile(r"([A-Za-z0-9+/_-]*)={0,2}")
_MAX_TIME_CHARS = 40
_PRINTABLE = re.compile(r"[ -~]*")


@record
class Packet:
    """One LoRa packet with a good CRC."""

    phy: bytes
    reception: Reception


@dataclass(frozen=True, slots=True)
class Stat:
    """A forwarder's own account of itself (P section 4). What it leaves out, or garbles, is None."""

    time: str | None = None
    """The machine's clock, as text: forwarders differ in how they write it."""
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    altitude_m: float | None = None
    received: float | None = None
    received_ok: float | None = None
    forwarded: float | None = None
    acknowledged_pct: float | None = None
    downlinks: float | None = None
    emitted: float | None = None
    temperature_c: float | None = None


_STAT_NUMBERS = {
    "lati": "latitude_deg",
    "long": "longitude_deg",
    "alti": "altitude_m",
    "rxnb": "received",
    "rxok": "received_ok",
    "rxfw": "forwarded",
    "ackr": "acknowledged_pct",
    "dwnb": "downlinks",
    "txnb": "emitted",
    "temp": "temperature_c",
}


def parse_rxpk(item: object, gateway_eui: bytes) -> Packet:
    """Return the packet in one element of ``rxpk``. Raises PacketRefused, which says which field was wrong."""
    if not isinstance(item, dict):
        raise PacketRefused("rxpk_not_object")
    _check_usable(item)
    sf, bw_hz = _datr(item)
    rssi_dbm, snr_db = _levels(item)
    tmms = item.get("tmms")
    reception = Reception(
        gateway_eui=gateway_eui,
        tmst_us=_integer(item.get("tmst"), 0, radio.U32_MODULUS - 1, "rxpk_tmst"),
        freq_hz=_freq_hz(item),
        sf=sf,
        bw_hz=bw_hz,
        rssi_dbm=rssi_dbm,
        snr_db=snr_db,
        coding_rate=_coding_rate(item),
        time_s=time_s(item.get("time")),
        gps_ms=None if tmms is None else _integer(tmms, 0, (1 << 53) - 1, "rxpk_tmms"),
    )
    return Packet(_payload(item), reception)


def _check_usable(item: dict[str, object]) -> None:
    """Look at CRC and modulation first: noise with a broken CRC is everyday, and its other fields mean nothing."""
    status = item.get("stat")
    if isinstance(status, bool) or status not in (1, 0, -1, None):
        raise PacketRefused("rxpk_stat")
    if status != 1:
        raise PacketRefused("crc_failed" if status == -1 else "no_crc")
    modulation = item.get("modu")
    if modulation in _UNSUPPORTED:
        raise PacketRefused("unsupported_modulation")
    if modulation != "LORA":
        raise PacketRefused("rxpk_modu")


def _integer(value: object, low: int, high: int, why: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise PacketRefused(why)
    return value


def _number(value: object, low: float, high: float, why: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise PacketRefused(why)
    return value


def _freq_hz(item: dict[str, object]) -> int:
    mhz = _number(item.get("freq"), radio.MIN_FREQ_HZ / 1e6, radio.MAX_FREQ_HZ / 1e6, "rxpk_freq")
    return round(mhz * 1e6)  # 868.1 has no exact binary form: truncating would give 868099999


def _datr(item: dict[str, object]) -> tuple[int, int]:
    datr = item.get("datr")
    rate = lora_rate(datr) if isinstance(datr, str) and len(datr) <= MAX_DATR_CHARS else None
    if rate is None:
        raise PacketRefused("rxpk_datr")
    return rate


@lru_cache(maxsize=256)
def lora_rate(datr: str) -> tuple[int, int] | None:
    """Return spreading factor and bandwidth in Hz of at most MAX_DATR_CHARS, or None when it is no LoRa data rate."""
    match = _DATR.fullmatch(datr)
    return None if match is None else (int(match[1]), int(match[2]) * 1000)


def _coding_rate(item: dict[str, object]) -> int:
    codr = item.get("codr", "4/5")
    rate = CODING_RATES.get(codr) if isinstance(codr, str) else None
    if rate is None:
        raise PacketRefused("rxpk_codr")
    return rate


def _levels(item: dict[str, object]) -> tuple[float, float]:
    """Return RSSI and SNR. Forwarders of gateways with several antennas put them into ``rsig``: the best counts."""
    antennas = item.get("rsig")
    if "rssi" in item or not isinstance(antennas, list):
        return _level(item, "rssi")
    best: tuple[float, float] | None = None
    for antenna in antennas:
        if not isinstance(antenna, dict):
            raise PacketRefused("rxpk_rsig")
        level = _level(antenna, "rssic")
        if best is None or level[1] > best[1]:
            best = level
    if best is None:
        raise PacketRefused("rxpk_rsig")
    return best


def _level(item: dict[str, object], rssi: str) -> tuple[float, float]:
    return (
        _number(item.get(rssi), -300, 100, "rxpk_rssi"),
        _number(item.get("lsnr"), -128, 128, "rxpk_lsnr"),
    )


def time_s(value: object) -> float | None:
    """Return Unix seconds. A clock that a forwarder writes in its own way is no reason to lose a reading: None."""
    if not isinstance(value, str) or len(value) > _MAX_TIME_CHARS:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _payload(item: dict[str, object]) -> bytes:
    size = _integer(item.get("size"), 1, radio.MAX_PHY_BYTES, "rxpk_size")
    phy = decode_base64(item.get("data"))
    if phy is None:
        raise PacketRefused("rxpk_data")
    if len(phy) != size:
        raise PacketRefused("size_mismatch")
    return phy


def decode_base64(value: object) -> bytes | None:
    """Decode either alphabet, even mixed, with or without padding (P's first example needs all three); else None."""
    if not isinstance(value, str):
        return None
    with suppress(ValueError):
        return binascii.a2b_base64(value, strict_mode=True)  # the usual case
    match = _BASE64.fullmatch(value)
    if match is None:
        return None
    digits = match[1].replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))
    except binascii.Error:  # one digit too many is no byte
        return None


def parse_stat(item: dict[str, object]) -> Stat:
    """Return what can be read of a ``stat`` object."""
    time = item.get("time")
    if not isinstance(time, str) or len(time) > _MAX_TIME_CHARS or not _PRINTABLE.fullmatch(time):
        time = None
    numbers = {name: _stat_number(item.get(key)) for key, name in _STAT_NUMBERS.items()}
    return Stat(time=time, **numbers)


def _stat_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.fabs(value) < 1e15:
        return None
    return value


def build_txpk(phy: bytes, when: RadioDownlink) -> bytes:
    """Return ``{"txpk": ...}`` (P section 6). Raises ValueError when *phy* does not fit a LoRa frame.

    Written by hand because the frequency needs its six decimals, exactly; every other value is a number, a
    boolean or Base64, so nothing has to be escaped.
    """
    if not 1 <= len(phy) <= radio.MAX_PHY_BYTES:
        raise ValueError(f"a LoRa frame has 1 to {radio.MAX_PHY_BYTES} bytes, this one {len(phy)}")
    if when.tmst_us is not None:
        moment = f'"imme":false,"tmst":{when.tmst_us}'
    elif when.gps_ms is not None:
        moment = f'"imme":false,"tmms":{when.gps_ms}'
    else:
        moment = '"imme":true'
    mhz, hz = divmod(when.freq_hz, 1_000_000)
    return (
        f'{{"txpk":{{{moment},"freq":{mhz}.{hz:06d},"rfch":{when.rf_chain},"powe":{when.power_dbm},'
        f'"modu":"LORA","datr":"SF{when.sf}BW{when.bw_hz // 1000}","codr":"4/{when.coding_rate}",'
        f'"ipol":{_json_bool(when.inverted_iq)},"prea":{when.preamble_symbols},"ncrc":{_json_bool(not when.crc)},'
        f'"size":{len(phy)},"data":"{base64.b64encode(phy).decode("ascii")}"}}}}'
    ).encode("ascii")


def _json_bool(value: bool) -> str:
    return "true" if value else "false"
