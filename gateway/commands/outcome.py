# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What becomes of commands on their way to devices: answered, asked again, expired, given up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from firmware.wire import errors as wire_errors
from firmware.wire import requests
from firmware.wire.readings import FPORT_SETTINGS
from gateway.errors import CannotSign, QueueFull
from gateway.network.downlinks import Item
from gateway.operate.logs import EventLog
from gateway.records import replies

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gateway.clock import Clock
    from gateway.commands.results import ResultSigner
    from gateway.network.downlinks import Fate
    from gateway.network.kept_commands import KeptCommands, Pending
    from gateway.network.server import NetworkServer
    from gateway.operate.counters import Counters

_ANSWER_WITHIN_S = 60.0
"""Of a device that has a request; doubled each time it is asked again. An answer at DR0 waits for its duty cycle."""
_MAX_TRIES = 3
_ONCE = frozenset({"restart"})
"""Asked again, these would have a second effect."""
_PRUNE_EVERY_S = 3600.0


class Outcomes:
    """Follows commands until they are over. Nothing is durable before the commit of whoever calls."""

    def __init__(
        self, server: NetworkServer, kept: KeptCommands, sign: ResultSigner, clock: Clock, counters: Counters
    ) -> None:
        self._server = server
        self._kept = kept
        self._sign = sign
        self._clock = clock
        self._counters = counters
        self._log = EventLog("commands")
        self._pruned_s = float("-inf")
        self.asked_again = False
        """Whether there is something new to send, since whoever looks set this back."""

    @staticmethod
    def wanted(keys: Collection[int]) -> str:
        """Return what is noted of the settings that an answer will name."""
        return json.dumps(sorted(keys))

    @staticmethod
    def tries_of(verb: str) -> int:
        """Return how often a command counts as asked from its beginning."""
        return _MAX_TRIES if verb in _ONCE else 0

    def resume(self, downlinks: Sequence[tuple[Any, ...]]) -> None:
        """After a start: what is on its way in no queue was sent by the last process, which did not note it."""
        waiting = {(row[1], row[3]) for row in downlinks}
        for pending in self._kept.unasked():
            if (pending.dev_eui, pending.request) not in waiting:
                pending.asked_at = self._clock.wall_s()
                self._kept.update(pending)

    def heard(self, dev_eui: bytes, kind: str, fport: int, payload: bytes) -> bool:
        """Take a device's answer; tell whether that is the end of a command. Raises StoreUnavailable."""
        try:
            raw = requests.decode(payload)
            said = replies.describe(kind, fport, payload)
        except wire_errors.Malformed:
            return False  # intake refuses and counts it
        pending = self._kept.pending(dev_eui, raw[requests.ID])
        if pending is None or pending.fport != fport:
            self._counters.add("commands", "answers_to_nothing")
            return False
        before = json.loads(pending.said)
        answer = before | {name: value for name, value in said.items() if name != "request"}
        answer["settings"] = before.get("settings", {}) | said.get("settings", {})
        failed = before.get("answer", "done") if said["answer"] == "done" else said["answer"]
        answer["answer"] = failed
        wanted = set(json.loads(pending.wanted)) - _named(raw, fport)
        asks = requests.GET in requests.decode(pending.request) and fport == FPORT_SETTINGS
        pending.wanted, pending.said = self.wanted(wanted), json.dumps(answer)
        if wanted and (asks or said["answer"] == "done"):
            pending.asked_at = self._clock.wall_s()
            self._kept.update(pending)
            return False
        if not answer["settings"]:
            del answer["settings"]
        state = "done" if failed == "done" else "failed"
        self._finish(pending, state, "" if state == "done" else f"the device says: {failed}", answer)
        return True

    def fates(self, fates: Sequence[tuple[Item, Fate]]) -> bool:
        """Note what became of downlinks; tell whether a command ended."""
        ended = False
        for item, fate in fates:
            if item.fport not in replies.FPORTS:
                continue
            try:
                number = requests.decode(item.payload)[requests.ID]
            except wire_errors.Malformed:
                continue
            pending = self._kept.pending(item.dev_eui, number)
            if pending is None or pending.request != item.payload:
                continue
            if fate in ("sent", "confirmed"):
                pending.asked_at = self._clock.wall_s()
                self._kept.update(pending)
            elif fate == "expired":
                ended = self._finish(pending, "expired", "it could not be sent in time") or ended
            else:
                ended = self._finish(pending, "unanswered", "the device never confirmed that it has it") or ended
        return ended

    def look(self) -> bool:
        """Ask again, give up, forget; tell whether a command ended."""
        wall_s, ended = self._clock.wall_s(), False
        for pending in self._kept.expired(wall_s):
            why = "it could not be sent in time" if pending.asked_at is None else "the device did not answer in time"
            ended = self._finish(pending, "expired" if pending.asked_at is None else "unanswered", why) or ended
        for pending in self._kept.asked_before(wall_s - _ANSWER_WITHIN_S):
            patience_s = _ANSWER_WITHIN_S * 2 ** min(pending.tries, _MAX_TRIES)
            if pending.asked_at is None or wall_s - pending.asked_at < patience_s:
                continue
            if pending.tries >= _MAX_TRIES or not self._ask_again(pending, wall_s):
                ended = self._finish(pending, "unanswered", "the device has it and does not answer") or ended
        if self._clock.monotonic_s() - self._pruned_s > _PRUNE_EVERY_S:
            self._pruned_s = self._clock.monotonic_s()
            self._kept.prune(wall_s)
        return ended

    def _ask_again(self, pending: Pending, wall_s: float) -> bool:
        until_s = self._clock.monotonic_s() + pending.expires_at - wall_s
        item = Item(pending.dev_eui, pending.fport, pending.request, confirmed=True, expires_at_s=until_s)
        try:
            self._server.queue_up(item, self._clock)
        except QueueFull:
            return False
        pending.tries, pending.asked_at = pending.tries + 1, None
        self._kept.update(pending)
        self._counters.add("commands", "asked_again")
        self.asked_again = True
        return True

    def _finish(self, pending: Pending, state: str, why: str, answer: dict[str, Any] | None = None) -> bool:
        try:
            message = self._sign.device(pending.commander, pending.id, pending.dev_eui, state, why, answer or {})
        except CannotSign as error:
            self._log.error("result_not_signed", command=pending.id, dev_eui=pending.dev_eui, why=error)
            return False  # it stays open, and is looked at again
        self._kept.finish(pending, state, message)
        self._counters.add("commands", state)
        fields = {"why": why} if why else {}
        self._log.info(
            "command_over",
            commander=pending.commander,
            command=pending.id,
            dev_eui=pending.dev_eui,
            state=state,
            answer=answer or {},
            **fields,
        )
        return True


def _named(raw: dict[int, Any], fport: int) -> set[int]:
    """Return the settings that an answer is about."""
    if fport != FPORT_SETTINGS:
        return set()
    values = raw.get(requests.VALUES)
    named = set(values) if isinstance(values, dict) else set()
    refused = raw.get(requests.REFUSED)
    return named | {refused} if isinstance(refused, int) else named
