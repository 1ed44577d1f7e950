# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Why a gateway does not work, by evidence: configuration, process, certificate, clock, platforms, whom it refuses.

It only looks, whether the gateway runs or not, and knows its files and its socket, not its code.
"""

from __future__ import annotations

import datetime
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from provisioning.bench import clocks, gateway_status, reach
from provisioning.bench.errors import NoGateway
from provisioning.bench.finding import Finding, Level
from provisioning.bench.gateway_parts import Part, front_of, workers
from provisioning.bench.line import holders

QUARANTINE_FILE: Final = "quarantine.json"
_SOON: Final = datetime.timedelta(days=30)
_SHOWN: Final = 5
_REFUSED: Final = {
    # why the network refuses, what that means, what to do
    "unknown_device": ("it is not in the register", "lykta register, or lykta enroll PORT for a board of ours"),
    "not_authentic": ("its key is not the register's", "enrol it again: lykta enroll PORT --device {dev_eui}"),
    "wrong_nonce": (
        "its join number was used before",
        "lykta-gateway forget-nonces {dev_eui}{option}, if it was wiped on purpose",
    ),
    "replayed": ("its counter went back", "have it join anew; a copy of the device, or a recording, may be in the air"),
    "retired_device": ("it is retired", "lykta show {dev_eui}; take it down, or register it anew"),
    "unknown_address": (
        "it has a session that this gateway does not know",
        "power it off and on, so that it joins anew",
    ),
}


def examine(path: Path, time_server: str | None = None, only: str | None = None) -> list[Finding]:
    """Look at the gateway of a configuration. *only*: of what it refuses, this DevEUI (hex)."""
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        text = "The gateway's configuration cannot be read."
        return [
            Finding(
                "config", "fault", text, str(error), "name its gateway.toml: lykta doctor --gateway PATH", str(path)
            )
        ]
    base = path.resolve().parent
    certificate, not_before_s = _certificate(told, base)
    parts, running = _parts(path)
    pids: set[object] = set()
    for part in parts:
        said, pid = _running(part, path)
        running += said
        pids.add(pid)
    found = [*running, *certificate, *clocks.examine(time_server, not_before_s), *_links(told, base, pids)]
    for platform in _tables(told, "platforms"):
        found += reach.examine(platform, base)
    return [*found, *_refused(parts, only)]


def _tables(told: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    tables = told.get(name)
    return [each for each in tables if isinstance(each, dict)] if isinstance(tables, list) else []


def _parts(path: Path) -> tuple[list[Part], list[Finding]]:
    """The processes of the gateway that have devices; and what is to be said before them."""
    try:
        parts, front = workers(path), front_of(path)
    except NoGateway as error:
        return [], [Finding("not_divided", "fault", error.state, error.reason, error.next_step, str(error.value))]
    return parts, _front(front, path) if front is not None else []


def _front(part: Part, path: Path) -> list[Finding]:
    """Whether the front of several workers runs, and reaches them."""
    told, wrong = _told(part, path)
    if told is None:
        return wrong
    found = [Finding("running", "ok", "the front runs")] if told.get("ready") else []
    away = {each.get("worker") for line in told.get("links", []) for each in line.get("workers", []) if each["away"]}
    for line in told.get("links", []):
        if not line.get("open"):
            text = f"The front has not opened {line.get('at')} for link {line.get('name')}."
            step = f"journalctl -u {part.unit} -n 30 says why; another program may have that port"
            found.append(Finding("front_closed", "fault", text, "No packet forwarder is heard there.", step))
    for worker in sorted(map(str, away)):
        text, why = f"Worker {worker} does not answer the front.", "Frames of its devices are acknowledged to nobody."
        step = f"journalctl -u lykta-gateway-worker@{worker} -n 30 says why"
        found.append(Finding("worker_away", "fault", text, why, step))
    return found


def _told(part: Part, path: Path) -> tuple[dict[str, Any] | None, list[Finding]]:
    """What a process says of itself, or why there is nothing."""
    try:
        return gateway_status.asked(part), []
    except NoGateway as error:
        if isinstance(error.__cause__, PermissionError):
            return None, [Finding("denied", "fault", error.state, error.reason, error.next_step, str(error.value))]
        step = f"lykta-gateway check-config --config {path} says whether it can; then: systemctl start {part.unit}"
        return None, [Finding("not_running", "fault", error.state, error.reason, step, str(error.value))]


def _running(part: Part, path: Path) -> tuple[list[Finding], object]:
    """Whether it runs and what it says of itself; its process id."""
    told, wrong = _told(part, path)
    if told is None:
        return wrong, None
    well = "takes readings" if told.get("ready") else "takes NO readings"
    found = [Finding("running", "ok", f"{part.name or 'it'} runs as process {told.get('pid', '?')} and {well}")]
    for problem in told.get("problems", []):
        level: Level = "fault" if problem.get("severity") == "error" else "warning"
        what, why, step = (str(problem.get(key, "")) for key in ("what", "why", "next_step"))
        begin = f"{part.name}: {what}" if part.name else what
        found.append(Finding("gateway", level, f"{begin[:1].upper()}{begin[1:]}.", "", step, why))
    return found, told.get("pid")


def _certificate(told: Mapping[str, Any], base: Path) -> tuple[list[Finding], float]:
    """The gateway's own certificate, and the Unix time from which it is valid."""
    gateway = told.get("gateway")
    path = base / str(gateway.get("certificate", "")) if isinstance(gateway, dict) else base
    again = "enrol it again: lykta gateway enroll; then lykta-gateway install, and restart"
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        text = "The gateway's certificate cannot be read."
        return [
            Finding("certificate", "fault", text, "Nobody could verify what it signs.", again, f"{path}: {error}")
        ], 0.0
    ends, now = found.not_valid_after_utc, datetime.datetime.now(datetime.UTC)
    shown = f"{path}: {found.not_valid_before_utc:%Y-%m-%d} to {ends:%Y-%m-%d %H:%M} UTC"
    begins_s = found.not_valid_before_utc.timestamp()
    if ends < now:
        text = "The gateway's certificate has expired."
        why = "It takes no readings: consumers would refuse what is signed now. Devices keep theirs."
        return [
            Finding("certificate_expired", "fault", text, why, f"{again}; or set the clock, if it is ahead", shown)
        ], begins_s
    if ends - now < _SOON:
        text = f"The gateway's certificate ends in {(ends - now).days} days."
        return [
            Finding("certificate_ends", "warning", text, "After that it takes no readings.", again, shown)
        ], begins_s
    return [Finding("certificate", "ok", f"its certificate is valid until {ends:%Y-%m-%d}")], begins_s


def _links(told: Mapping[str, Any], base: Path, pids: set[object]) -> Iterator[Finding]:
    """A serial port that is not there, or that somebody else has. What the daemon itself holds is as it should be."""
    for link in _tables(told, "links"):
        port = link.get("port")
        if link.get("type") != "serial" or not isinstance(port, str):
            continue
        port = str(base / port)
        name = link.get("name", "serial")
        others = [each for each in holders(port) if not any(each.endswith(f"({pid})") for pid in pids)]
        if not Path(port).exists():
            text = f"The port of link {name} is not there."
            yield Finding(
                "no_port", "fault", text, "Its board is unplugged, or has another name now.", "lykta ports", port
            )
        elif others:
            text = f"Another program has the port of link {name} open: {', '.join(others)}."
            yield Finding("busy", "fault", text, "Each gets half of what the board says.", "end it", port)


def _refused(parts: list[Part], only: str | None) -> Iterator[Finding]:
    """Who knocked and was not let in, the last first."""
    entries = []
    for part in parts:
        try:
            refused = json.loads((part.folder / QUARANTINE_FILE).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        entries += [(each, part) for each in refused]
    if len(parts) > 1:
        entries.sort(key=lambda each: float(each[0].get("last_at", 0)))
    wanted = [each for each in reversed(entries) if only in (None, each[0].get("device"))]
    for entry, part in wanted[:_SHOWN]:
        yield _refusal(entry, part, "warning" if only is None else "fault")
    if len(wanted) > _SHOWN:
        text = f"{len(wanted) - _SHOWN} other devices are refused."
        them = "shows them all" if len(parts) == 1 else "--worker N shows those of each worker"
        yield Finding("refused", "warning", text, "", f"lykta-gateway quarantine {them}")


def _refusal(entry: Mapping[str, Any], part: Part, level: Level) -> Finding:
    dev_eui, reason = str(entry.get("device")), str(entry.get("reason"))
    why, step = _REFUSED.get(reason, (reason.replace("_", " "), "lykta-gateway quarantine{option}"))
    text = f"Device {dev_eui} is refused: {why}."
    evidence = f"{entry.get('why')} ({entry.get('frames')} frames, last by {entry.get('link')})"
    next_step = step.format(dev_eui=dev_eui, option=part.option)
    return Finding(f"refused_{reason}", level, text, "None of its readings is taken.", next_step, evidence)
