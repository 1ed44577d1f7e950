# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The usual PUSH_DATA read fast: ``strict_json`` and ``radio_json`` say what is right.

Two steps, each left to the next for what it does not know. One packet, its keys in the order in which the packet
forwarders of Semtech and ours write them, is one regular expression: 13 us become 5. pydantic's JSON reader, in Rust,
takes what has another order or several packets: 13 us become 9 (benchmarks/bench_steps.py says it for this machine). It
lets through what is refused here: a key given twice, a number that is too long, infinity. Whatever could be one of
these, and whatever else is not plainly usual, is None here, and left to the plain one.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from functools import lru_cache
from typing import TYPE_CHECKING, Any

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
_TEXTS = ("modu", "datr", "codr", "data")
"""What has to be text; ``time`` may be."""


_WHOLE, _DECIMAL = r"(?:0|[1-9]\d{0,14})", r"-?(?:0|[1-9]\d{0,2})(?:\.\d{1,9})?"
_FORMS = {
    "tmst": _WHOLE, "tmms": _WHOLE, "size": _WHOLE, "freq": _DECIMAL, "rssi": _DECIMAL, "lsnr": _DECIMAL,
    "stat": "1", "modu": '"LORA"', "datr": r'"[A-Z0-9]{1,9}"', "codr": r'"\d/\d"', "data": r'"[A-Za-z0-9+/=]{1,400}"',
    "time": r'"[0-9TZ:.+-]{1,32}"',
}  # fmt: skip
_UNREAD = rf"-?{_WHOLE}"
"""Of what a packet may say besides."""


_GROUPS = ("tmst", "size", "freq", "rssi", "lsnr", "datr", "codr", "data", "time", "tmms")


def _shape(keys: str) -> tuple[Callable[[bytes], re.Match[bytes] | None], tuple[int, ...]]:
    """Return what one packet with these keys looks like, in this order, and where _GROUPS are in it.

    Those with a question mark may be missing. A pattern is no key of a cache: to hash it takes 5 us.
    """
    text = r'\{"rxpk":\[\{'
    for key in keys.split():
        name, form = key.rstrip("?"), _FORMS.get(key.rstrip("?"), _UNREAD)
        pair = rf'"{name}":(?P<{name}>{form})' if name in _FORMS else rf'"{name}":{form}'
        comma = "" if name in ("jver", "tmst") else ","
        text += rf"(?:{comma}{pair})?" if key != name else comma + pair
        text += "," if name == "jver" else ""
    shape = re.compile((text + r"\}\]\}").encode(), re.ASCII)
    return shape.fullmatch, tuple([shape.groupindex[name] for name in _GROUPS])


_SHAPES = list(
    map(
        _shape,
        (
            "tmst time? tmms? chan? rfch? freq mid? stat modu datr codr lsnr rssi size data",
            "jver tmst time? tmms? chan? rfch? freq mid? stat modu datr codr rssis? lsnr foff? rssi size data",
            "tmst time? tmms? freq chan? rfch? stat modu datr codr rssi rssis? lsnr size data",
        ),
    )
)
"""Of Semtech's forwarder for the SX1301, that for the SX1302, and our own in the virtual air; the last first."""


def packets(body: bytes, gateway_eui: bytes) -> tuple[Packet, ...] | None:
    """Return the packets in the body of a PUSH_DATA, all with a good CRC, or None when it is not of the usual form."""
    for number, (match, groups) in enumerate(_SHAPES):
        found = match(body)
        if found is not None:
            if number:  # a forwarder does not change: the next one looks like this one
                _SHAPES.insert(0, _SHAPES.pop(number))
            packet = _shaped(found.group(*groups), gateway_eui)
            return None if packet is None else (packet,)
    return _any_order(body, gateway_eui)


def _shaped(texts: tuple[Any, ...], gateway_eui: bytes) -> Packet | None:
    """Return the packet of whose values these are the texts, or None when it says what none can."""
    tmst, size, mhz, rssi, snr, datr, codr, data, at, tmms = texts
    tmst_us, rate, coding_rate = int(tmst), _rate(datr), _CODING_RATES.get(codr)
    rssi_dbm, snr_db, freq_hz = _level(rssi), _level(snr), _freq_hz(mhz)
    try:
        phy = a2b_base64(data[1:-1], strict_mode=True)
    except ValueError:
        return None
    usual = (
        tmst_us < radio.U32_MODULUS
        and _SIZES.get(size) == len(phy)
        and -300 <= rssi_dbm <= 100
        and -128 <= snr_db <= 128
        and (tmms is None or int(tmms) < 1 << 53)
    )
    if not usual or rate is None or coding_rate is None or freq_hz is None:
        return None
    time = None if at is None else time_s(at[1:-1].decode())
    gps_ms = None if tmms is None else int(tmms)
    reception = Reception(
        gateway_eui, tmst_us, freq_hz, rate[0], rate[1], rssi_dbm, snr_db, coding_rate, time, gps_ms
    )  # fmt: skip
    return Packet(phy, reception)


_SIZES = {str(size).encode(): size for size in range(1, radio.MAX_PHY_BYTES + 1)}
"""A frame's, as JSON has them: to look one up takes a third of what it takes to read it."""
_CODING_RATES = {f'"{name}"'.encode(): rate for name, rate in CODING_RATES.items()}


@lru_cache(maxsize=1024)
def _level(text: bytes) -> float:
    """Return a number as JSON has it: a whole one stays whole."""
    return float(text) if b"." in text else int(text)


@lru_cache(maxsize=256)
def _freq_hz(text: bytes) -> int | None:
    mhz = float(text)
    return round(mhz * 1e6) if _MIN_MHZ <= mhz <= _MAX_MHZ else None


@lru_cache(maxsize=64)
def _rate(text: bytes) -> tuple[int, int] | None:
    return lora_rate(text[1:-1].decode())


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
