# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The usual PUSH_DATA read fast: ``strict_json`` and ``radio_json`` say what is right, this does it in two thirds.

13 us become 8.8 for one packet (benchmarks/bench_steps.py says it for this machine). pydantic's JSON reader, in Rust,
is eight times as fast as the standard one with its hooks, but lets through what is refused here: a key given twice, a
number that is too long, infinity. Whatever could be one of these, and whatever else is not plainly usual, is None here,
and left to the plain one.
"""

from __future__ import annotations

from binascii import a2b_base64
from typing import Any

from pydantic_core import from_json

from gateway import radio
from gateway.links.lora.radio_json import CODING_RATES, MAX_DATR_CHARS, Packet, lora_rate, time_s
from gateway.links.lora.strict_json import MAX_NUMBER_CHARS
from gateway.radio import Reception

_MAX_PACKETS = 4
"""More in one datagram is rare, and would nest deeper than counted here."""
_MIN_MHZ, _MAX_MHZ = radio.MIN_FREQ_HZ / 1e6, radio.MAX_FREQ_HZ / 1e6
_INFINITY = float("inf")
_TEXTS = ("modu", "datr", "codr", "data")
"""What has to be text; ``time`` may be."""


def packets(body: bytes, gateway_eui: bytes) -> tuple[Packet, ...] | None:
    """Return the packets in the body of a PUSH_DATA, all with a good CRC, or None when it is not of the usual form."""
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
