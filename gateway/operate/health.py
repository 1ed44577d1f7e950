# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is wrong, judged from an overview: for people, with what to do about it, and for whoever only asks yes or no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Severity = Literal["error", "warning"]
_DAY_S = 86400
CERTIFICATE_WARNING_S = 30 * _DAY_S
OUTBOX_WARNING = 0.8
WAITING_WARNING_S = 900
QUEUE_WARNING = 0.5
_INTAKE = {
    "store_unavailable": "make room on the disk, or replace it; the gateway goes on by itself",
    "outbox_full": "bring the platform back, or raise outbox.max_bytes and reload",
    "certificate_ended": "enrol the gateway again, or correct the clock",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be."""

    severity: Severity
    what: str
    why: str
    next_step: str


def problems(found: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong, errors first."""
    every = [*_pipeline(found), *_links(found), *platform_problems(found["platforms"]), *_rest(found)]
    return sorted(every, key=lambda problem: problem.severity != "error")


def ready(found: Mapping[str, Any]) -> bool:
    """Tell whether readings that come now are taken."""
    return (
        found["intake"]["state"] == "accepting"
        and not any(stage["stuck"] for stage in found["stages"])
        and any(link.get("open", True) for link in found["links"])
    )


def _pipeline(found: Mapping[str, Any]) -> Iterator[Problem]:
    for stage in found["stages"]:
        if stage["stuck"]:
            yield Problem(
                "error",
                f"{stage['name']} is stuck",
                f"no progress for {stage['silent_s']:.0f} s; {stage['limit_s']:.0f} s are the limit",
                "systemd restarts the gateway; nothing that has a receipt is lost",
            )
    state = found["intake"]["state"]
    if state != "accepting":
        yield Problem(
            "error",
            f"no readings are taken: {state.replace('_', ' ')}",
            found["intake"]["why"] or "devices keep their readings and send them again",
            _INTAKE.get(state, "see the log"),
        )
    elif found["intake"]["why"]:
        yield Problem("error", "the outbox cannot be read", found["intake"]["why"], _INTAKE["store_unavailable"])
    queue = found["queue"]
    if queue["frames"] > QUEUE_WARNING * queue["limit"]:
        yield Problem(
            "warning",
            "frames come faster than they are stored",
            f"{queue['frames']} of {queue['limit']} places of the queue are taken",
            "see whether the disk is slow; devices send again what gets no receipt",
        )


def _links(found: Mapping[str, Any]) -> Iterator[Problem]:
    for link in found["links"]:
        if not link.get("open", True) and not link.get("runs", True):
            continue  # the start is not complete; what is in its way is said
        if not link.get("open", True):
            yield Problem(
                "error",
                f"link {link['name']} is not open",
                f"{link.get('at', link['type'])} cannot be had at the moment",
                "plug the device in, or correct the link and reload; it is tried again every two seconds",
            )
            continue
        for gateway in link.get("gateways", ()):
            if gateway["away"]:
                heard = "was never heard" if gateway["heard_s"] is None else f"was heard {_age(gateway['heard_s'])} ago"
                yield Problem(
                    "warning",
                    f"packet forwarder {gateway['eui']} is away",
                    f"it {heard}; it gets no downlinks",
                    "see that it runs, and that it sends to this gateway's address and port",
                )


def platform_problems(platforms: Iterable[Mapping[str, Any]]) -> Iterator[Problem]:
    """Yield what is wrong with the platforms of an overview."""
    for platform in platforms:
        waiting_s = platform["oldest_waiting_s"] or 0
        if platform.get("set_aside"):
            yield Problem(
                "warning",
                f"platform {platform['name']} refused readings",
                f"{platform['set_aside']} were set aside since the start",
                f"{platform['name']}.set-aside.jsonl in the state directory says which and why",
            )
        if platform.get("lacks_gone"):
            yield Problem(
                "error",
                f"platform {platform['name']} lacks records that are gone",
                f"by its receipts it lacks {platform['lacks_gone']} that this gateway does not have any more",
                "restore them there from a backup; lykta prove names them",
            )
        if platform.get("refused_subscriptions"):
            yield Problem(
                "error",
                f"platform {platform['name']} refuses a subscription",
                f"nothing comes from {', '.join(platform['refused_subscriptions'])}",
                "let the gateway read there by the access rules of the broker, then systemctl reload lykta-gateway",
            )
        if platform.get("refused"):
            yield Problem(
                "error",
                f"platform {platform['name']} may not have what it asks for",
                platform["refused"],
                "correct the register or [platforms.release]; what was not sent waits in the outbox",
            )
        elif not platform["connected"]:
            since = f"; the oldest reading has waited {_age(waiting_s)}" if waiting_s else ""
            yield Problem(
                "error" if waiting_s > WAITING_WARNING_S else "warning",
                f"platform {platform['name']} is not connected",
                f"{platform['waiting_envelopes']} envelopes wait in the outbox{since}{_because(platform)}",
                "nothing is lost; lykta doctor --gateway takes it step by step: name, port, certificates, password",
            )
        elif waiting_s > WAITING_WARNING_S:
            yield Problem(
                "warning",
                f"platform {platform['name']} lags behind",
                f"the oldest reading has waited {_age(waiting_s)}",
                "it catches up by itself where the line is fast enough",
            )


def _because(platform: Mapping[str, Any]) -> str:
    return f"; at the last try: {platform['absent']}" if platform.get("absent") else ""


def _rest(found: Mapping[str, Any]) -> Iterator[Problem]:
    outbox = found["outbox"]
    if outbox["used_bytes"] > OUTBOX_WARNING * outbox["max_bytes"]:
        yield Problem(
            "warning",
            "the outbox is nearly full",
            f"{100 * outbox['used_bytes'] // outbox['max_bytes']} % of outbox.max_bytes",
            "bring the platform back, or raise outbox.max_bytes and reload",
        )
    left_s = found["certificate"]["not_after"] - found["now"]
    if left_s < CERTIFICATE_WARNING_S:
        ends = f"in {left_s / _DAY_S:.0f} days" if left_s > 0 else "already"
        yield Problem(
            "error" if left_s <= 0 else "warning",
            "the gateway's certificate ends",
            f"it ends {ends}; consumers refuse what is signed after that",
            "enrol the gateway again and reload",
        )
    if not found["clock"]["plausible"]:
        yield Problem("warning", "the clock was never set", "times of readings may be wrong", "start NTP, or set it")
    absent = found["page"]["absent"]
    if absent is not None:
        yield Problem("warning", "the status page is absent", absent["why"], absent["next_step"])
    reload = found["reload"]
    if reload is not None and not reload["ok"]:
        yield Problem("warning", "the last reload was refused", reload["message"], "correct the file and reload again")


def _age(seconds: float) -> str:
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
