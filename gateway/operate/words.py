# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An overview in words, for a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MEGABYTE = 1_000_000


def describe(found: Mapping[str, Any], max_devices: int) -> Iterator[str]:
    """Yield lines."""
    state = "takes readings" if found["ready"] else "TAKES NO READINGS"
    yield f"gateway {found['gateway']}: {state}, up {duration(found['uptime_s'])}, process {found['pid']}"
    for problem in found["problems"]:
        mark = "!!" if problem["severity"] == "error" else " !"
        yield f"{mark} {problem['what']}: {problem['why']}"
        yield f"   next: {problem['next_step']}"
    yield from _pipeline(found)
    yield from _ends(found)
    for gauge in found["duty"]:
        share = 100 * gauge["used_ms"] / gauge["limit_ms"]
        band = f"{gauge['low_hz'] / 1e6:.2f}-{gauge['high_hz'] / 1e6:.2f} MHz"
        yield f"duty cycle {gauge['gateway']} {band}: {share:.1f} % of what the law allows in an hour"
    refused = found["counters"].get("refused", {})
    if refused:
        yield "refused since the start: " + ", ".join(f"{reason} {count}" for reason, count in refused.items())
    for device in found["devices"][:max_devices]:
        yield _device(device, found["now"])
    if len(found["devices"]) > max_devices:
        yield f"and {len(found['devices']) - max_devices} devices more (--devices N, --json)"


def _pipeline(found: Mapping[str, Any]) -> Iterator[str]:
    frames, readings = (found["counters"].get(group, {}) for group in ("frames", "readings"))
    yield (
        f"frames heard {frames.get('heard', 0)}, waiting {found['queue']['frames']} of {found['queue']['limit']}; "
        f"readings stored {readings.get('new', 0)}, receipts given {frames.get('receipts', 0)}"
    )
    outbox = found["outbox"]
    yield (
        f"outbox: {outbox['used_bytes'] / _MEGABYTE:.1f} of {outbox['max_bytes'] / _MEGABYTE:.0f} MB, "
        f"stream {outbox['stream']}"
    )


def _ends(found: Mapping[str, Any]) -> Iterator[str]:
    for link in found["links"]:
        gateways = link.get("gateways", [])
        near = sum(not gateway["away"] for gateway in gateways)
        heard = f", {near} of {len(gateways)} packet forwarders there" if gateways else ""
        yield f"link {link['name']} ({link['type']}, {link.get('at', '')}): {_open(link)}{heard}"
    for platform in found["platforms"]:
        state = "connected" if platform["connected"] else "NOT CONNECTED"
        oldest = platform["oldest_waiting_s"]
        since = "" if oldest is None else f", the oldest for {duration(oldest)}"
        yield (
            f"platform {platform['name']} ({platform['type']}): {state}, {platform['in_flight']} on their way, "
            f"{platform['waiting_envelopes']} envelopes waiting{since}"
        )


def _open(link: Mapping[str, Any]) -> str:
    return "open" if link.get("open", True) else "NOT OPEN"


def _device(device: Mapping[str, Any], now: float) -> str:
    parts = [f"device {device['name'] or device['dev_eui']} ({device['kind']}): heard"]
    parts.append(f"{duration(max(0.0, now - device['heard_at']))} ago by {device['link']}")
    if "rssi_dbm" in device:
        parts.append(f"at {device['rssi_dbm']:.0f} dBm, SNR {device['snr_db']:.0f} dB, SF{device['sf']}")
    if device["battery"] is not None:
        parts.append(f"battery {device['battery']}" + ("" if device["battery"] == "mains" else " %"))
    if "seq" in device:
        at = datetime.fromtimestamp(device["time_s"], UTC).strftime("%Y-%m-%d %H:%M:%S")
        parts.append(f"reading {device['seq']} of {at} UTC")
    return ", ".join([" ".join(parts[:2]), *parts[2:]])


def duration(seconds: float) -> str:
    """Return a length of time as a person says it."""
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"


def describe_front(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines about the front of several workers."""
    absent = found.get("page", {}).get("absent")  # a front of before says nothing of it
    if absent is not None:
        yield f" ! its metrics are absent: {absent['why']}"
        yield f"   next: {absent['next_step']}"
    for link in found["links"]:
        state = "open" if link["open"] else "NOT open"
        there = sum(not each["away"] for each in link["gateways"])
        yield f"link {link['name']}: {link['at']} {state}, {there} of {len(link['gateways'])} packet forwarders there"
        for each in link["workers"]:
            if each["away"]:
                yield (
                    f"  worker {each['worker']} does not answer: frames of its devices are not acknowledged; next: "
                    f"journalctl -u lykta-gateway-worker@{each['worker']} -n 30"
                )
