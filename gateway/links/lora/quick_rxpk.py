# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The usual PUSH_DATA read fast: ``strict_json`` and ``radio_json`` say what is right.

Two steps, each left to the next for what it does not know. One packet, its keys in the order in which the packet
forwarders of Semtech and ours write them, is one regular expression, which only cuts: what repeats from packet to
packet (channel and data rate, RSSI, SNR) is read when it is first seen, and then looked up by its text: 10.5 us become
2.6, where an expression that judges each of them takes 4.0. pydantic's JSON reader, in Rust, takes what has another
order or several packets: 13 us become 9 (benchmarks/bench_steps.py says it for this machine). It lets through what is
refused here: a key given twice, a number that is too long, infinity. Whatever could be one of these, and whatever else
is not plainly usual, is None here, and left to the plain one.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic_core import from_json

from gateway import radio
from gateway.links.lora.radio_json import CODING_RATES, MAX_DATR_CHARS, Packet, lora_rate, time_s
from gateway.links.lora.strict_json import MAX_NUMBER_CHARS
from gateway.radio import Reception

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_PACKETS = 4
"""More in one datagram is rare, and would nest deeper than counted here."""
_MIN_MHZ, _MAX_MHZ = radio.MIN_FREQ_HZ / 1e6, radio.MAX_FREQ_HZ / 1e6
_INFINITY = float("inf")
_LAST_TMST = radio.U32_MODULUS - 1
_TEXTS = ("modu", "datr", "codr", "data")
"""What has to be text; ``time`` may be."""

_WHOLE, _DECIMAL = r"(?:0|[1-9]\d{0,14})", r"-?(?:0|[1-9]\d{0,2})(?:\.\d{1,9})?"
_UNREAD = rf"-?{_WHOLE}"
"""Of what a packet may say besides."""
_JVER, _START = rf'(?:"jver":{_UNREAD},)?', r'"tmst":([1-9]\d{0,9}),([^/]*/\d"),'
"""Up to the coding rate, the only text with a slash: what stands before it from the channel on is of ``_SETTINGS``."""
_END = r'"size":(\d{1,3}),"data":"([^"]{1,400})"\}\]\}'
_SHAPES = [
    (re.compile((r'\{"rxpk":\[\{' + text + _END).encode(), re.ASCII).fullmatch, snr_first)
    for text, snr_first in (
        (rf'{_START}"rssi":([^,]{{1,14}}),(?:"rssis":{_UNREAD},)?"lsnr":([^,]{{1,14}}),', False),
        (
            rf'{_JVER}{_START}(?:"rssis":{_UNREAD},)?"lsnr":([^,]{{1,14}}),(?:"foff":{_UNREAD},)?"rssi":([^,]{{1,14}}),',
            True,
        ),
    )
]
"""Of our own forwarder in the virtual air; of Semtech's for the SX1301 and for the SX1302. The last first."""
_MOMENTS = re.compile(
    rf'(?:"time":"([0-9TZ:.+-]{{1,32}})",)?(?:"tmms":({_WHOLE}),)?(.*)'.encode(), re.ASCII | re.DOTALL
).fullmatch
_FIRST_OF_MOMENTS = ord("t")
_AFTER_FREQ = r'"stat":1,"modu":"LORA","datr":"([A-Z0-9]{1,9})","codr":"(\d/\d)"'
_SETTINGS_FORMS = (
    re.compile(rf'"freq":({_DECIMAL}),(?:"chan":{_UNREAD},)?(?:"rfch":{_UNREAD},)?{_AFTER_FREQ}'.encode(), re.ASCII),
    re.compile(
        rf'(?:"chan":{_UNREAD},)?(?:"rfch":{_UNREAD},)?"freq":({_DECIMAL}),(?:"mid":{_UNREAD},)?{_AFTER_FREQ}'.encode(),
        re.ASCII,
    ),
)
_LEVEL = re.compile(_DECIMAL.encode(), re.ASCII)
_Value = TypeVar("_Value")


class Known(dict[bytes, "_Value | None"], Generic[_Value]):
    """What texts mean, each read once; what means nothing usual is None, and not kept. Bounded."""

    def __init__(self, read: Callable[[bytes], _Value | None], most: int) -> None:
        super().__init__()
        self._read, self._most = read, most

    def __missing__(self, text: bytes) -> _Value | None:
        value = self._read(text)
        if value is not None:
            if len(self) >= self._most:
                self.clear()
            self[text] = value
        return value


def _settings(text: bytes) -> tuple[int, int, int, int] | None:
    """Return frequency, spreading factor, bandwidth and coding rate of the part that says them."""
    for form in _SETTINGS_FORMS:
        found = form.fullmatch(text)
        if found is not None:
            mhz, rate = float(found[1]), lora_rate(found[2].decode())
            coding_rate = CODING_RATES.get(found[3].decode())
            if rate is None or coding_rate is None or not _MIN_MHZ <= mhz <= _MAX_MHZ:
                return None
            return round(mhz * 1e6), *rate, coding_rate
    return None


def _level(text: bytes, low: float, high: float) -> float | None:
    """Return a number as JSON has it: a whole one stays whole."""
    if _LEVEL.fullmatch(text) is None:
        return None
    level = float(text) if b"." in text else int(text)
    return level if low <= level <= high else None


_SETTINGS = Known(_settings, 1024)
_RSSI = Known(lambda text: _level(text, -300, 100), 1024)
_SNR = Known(lambda text: _level(text, -128, 128), 1024)
_SIZES = {str(size).encode(): size for size in range(1, radio.MAX_PHY_BYTES + 1)}
"""A frame's, as JSON has them: to look one up takes a third of what it takes to read it."""


def packets(body: bytes, gateway_eui: bytes) -> tuple[Packet, ...] | None:
    """Return the packets in the body of a PUSH_DATA, all with a good CRC, or None when it is not of the usual form."""
    found = one(body, 0, gateway_eui)
    return _any_order(body, gateway_eui) if found is None else (Packet(*found),)


def one(datagram: bytes, body_at: int, gateway_eui: bytes) -> tuple[bytes, Reception] | None:
    """Return the only packet in a PUSH_DATA whose body begins at *body_at*, or None when its form is not known here."""
    match, snr_first = _SHAPES[0]
    found = match(datagram, body_at)
    if found is None:
        match, snr_first = _SHAPES[1]
        found = match(datagram, body_at)
        if found is None:
            return None
        _SHAPES.reverse()  # a forwarder does not change: the next one looks like this one
    tmst, settings, rssi, snr, size, data = found.groups()
    time = tmms = None
    if settings[1] == _FIRST_OF_MOMENTS and (timed := _MOMENTS(settings)) is not None:
        time, tmms, settings = timed.groups()
    if snr_first:
        rssi, snr = snr, rssi
    said, rssi_dbm, snr_db, tmst_us = _SETTINGS[settings], _RSSI[rssi], _SNR[snr], int(tmst)
    try:
        phy = a2b_base64(data, strict_mode=True)
    except ValueError:
        return None
    if said is None or rssi_dbm is None or snr_db is None or tmst_us > _LAST_TMST or _SIZES.get(size) != len(phy):
        return None
    freq_hz, sf, bw_hz, coding_rate = said
    if time is None and tmms is None:
        return phy, Reception(gateway_eui, tmst_us, freq_hz, sf, bw_hz, rssi_dbm, snr_db, coding_rate)
    gps_ms = None if tmms is None else int(tmms)
    time_at_s = None if time is None else time_s(time.decode())
    return phy, Reception(
        gateway_eui, tmst_us, freq_hz, sf, bw_hz, rssi_dbm, snr_db, coding_rate, time_at_s, gps_ms
    )  # fmt: skip


def _any_order(body: bytes, gateway_eui: bytes) -> tuple[Packet, ...] | None:
    """As ``packets``."""
    try:
        text = body.decode("ascii")
        if "\\" in text or not text.isprintable():
            return None
        root = from_json(body, allow_inf_nan=False, cache_strings="keys")
        items = root["rxpk"]
        if len(root) != 1 or type(items) is not list or not 1 <= len(items) <= _MAX_PACKETS:
            return None
        if text.count("{") != 1 + len(items) or text.count("[") != 1 or _has_long_number(text):
            return None
        # Of a key that was given twice one is left, so there are more quotation marks than these account for.
        quotes = 2 + sum(2 * (len(item) + len(_TEXTS) + (type(item.get("time")) is str)) for item in items)
        if text.count('"') != quotes:
            return None
        return tuple([_packet(item, gateway_eui) for item in items])
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def _has_long_number(text: str) -> bool:
    """Tell whether there is one. A piece between commas that ends with a text has none: no comma stands in a number."""
    long = [piece for piece in text.split(",") if len(piece) > MAX_NUMBER_CHARS]
    return any(piece.rstrip("]}")[-1:] != '"' for piece in long)


def _packet(item: dict[str, Any], gateway_eui: bytes) -> Packet:
    """Return one packet. Raises ValueError, TypeError, LookupError: it is not of the usual form."""
    tmst_us, size, tmms = item["tmst"], item["size"], item.get("tmms")
    mhz, rssi_dbm, snr_db = item["freq"], item["rssi"], item["lsnr"]
    phy = a2b_base64(item["data"], strict_mode=True)
    datr, stat = item["datr"], item["stat"]
    rate = lora_rate(datr) if len(datr) <= MAX_DATR_CHARS else None
    usual = (
        type(stat) is int
        and stat == 1
        and item["modu"] == "LORA"
        and type(tmst_us) is int
        and 0 <= tmst_us < radio.U32_MODULUS
        and type(size) is int
        and size == len(phy)
        and 1 <= size <= radio.MAX_PHY_BYTES
        and type(mhz) is not bool
        and _MIN_MHZ <= mhz <= _MAX_MHZ
        and type(rssi_dbm) is not bool
        and -300 <= rssi_dbm <= 100
        and type(snr_db) is not bool
        and -128 <= snr_db <= 128
        and (tmms is None or (type(tmms) is int and 0 <= tmms < 1 << 53))
        and _INFINITY not in (values := item.values())
        and -_INFINITY not in values
    )
    if rate is None or not usual:
        raise ValueError
    sf, bw_hz = rate
    at = item.get("time")
    return Packet(
        phy,
        Reception(
            gateway_eui, tmst_us, round(mhz * 1e6), sf, bw_hz, rssi_dbm, snr_db, CODING_RATES[item["codr"]],
            None if at is None else time_s(at), tmms,
        ),
    )  # fmt: skip
