# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Requests from the network: settings on FPort 5, commands on FPort 3. Loaded when the first one comes."""

from firmware.node import tables
from firmware.node.log import log, log_error
from firmware.wire import cbor, kinds, requests
from firmware.wire.errors import Malformed
from firmware.wire.kinds import common_controls
from firmware.wire.readings import FPORT_SETTINGS
from firmware.wire.shapes import fits

_ANSWER_BYTES = 46  # fits the smallest frame of EU868 beside MAC commands
_RESTART_MS = 20000  # the answer goes first


class Refused(Exception):
    """A request that is not obeyed; its one argument is the status."""


class Desk:
    """*node* has ``settings``, ``role``, ``kind``, ``clock``, and what the common commands call."""

    def __init__(self, node) -> None:
        self._node = node

    async def answer(self, fport: int, payload: bytes) -> list[bytes]:
        """Do what a request asks; return the payloads that answer it, none when nobody can be answered."""
        try:
            request = requests.decode(payload)
        except Malformed as error:
            log_error("request", error)
            return []
        number = request[requests.ID]
        if fport == FPORT_SETTINGS:
            return self._settings(number, request)
        try:
            results = await self._command(request)
            status = requests.DONE
        except Refused as error:
            results, status = {}, error.args[0]
        log("request", "%d: %s" % (number, requests.STATUS[status]))
        answer = {requests.ID: number, requests.STATUS_KEY: status}
        if results:
            answer[requests.RESULTS] = results
        return [cbor.dumps(answer)]

    def _settings(self, number: int, request: dict) -> list[bytes]:
        settings = self._node.settings
        changes, keys = request.get(requests.SET), request.get(requests.GET)
        refused = None
        status = requests.DONE
        if isinstance(changes, dict):
            status, refused = tables.apply(settings, self._node.kind, changes)
            keys = list(changes) if status == requests.DONE else []
        elif request.get(requests.RESET) is True:
            status, keys = tables.reset(settings, self._node.kind), []
        elif isinstance(keys, list):
            keys = keys or settings.changed()
        else:
            status, keys = requests.MALFORMED, []
        log("settings", "request %d: %s" % (number, requests.STATUS[status]))
        answers = []
        values = {}
        for key in keys:
            try:
                value = tables.value(settings, self._node.kind, key)
            except (KeyError, TypeError):
                status, refused = requests.UNKNOWN, key if isinstance(key, int) else None
                continue
            values[key] = value
            if len(values) > 1 and len(self._report(number, status, refused, values)) > _ANSWER_BYTES:
                del values[key]
                answers.append(self._report(number, status, refused, values))
                values = {key: value}
        answers.append(self._report(number, status, refused, values))
        return answers

    def _report(self, number: int, status: int, refused, values: dict) -> bytes:
        answer = {requests.ID: number, requests.STATUS_KEY: status, requests.CRC: self._node.settings.crc()}
        if values:
            answer[requests.VALUES] = values
        if refused is not None:
            answer[requests.REFUSED] = refused
        return cbor.dumps(answer)

    async def _command(self, request: dict):
        name, table = self._find(request.get(requests.COMMAND))
        given = request.get(requests.ARGUMENTS, {})
        if not isinstance(given, dict):
            raise Refused(requests.MALFORMED)
        values = {}
        for key in given:
            for argument, own, shape in table + common_controls.MODIFIERS:
                if own == key:
                    if not fits(shape, given[key]):
                        raise Refused(requests.INVALID)
                    values[argument] = given[key]
                    break
            else:
                raise Refused(requests.UNKNOWN)
        self._meant(values)
        return await self._obey(name, values)

    def _find(self, key):
        for module in kinds.controls(self._node.kind):
            for name, own, table in module.COMMANDS:
                if own == key:
                    return name, table
        raise Refused(requests.UNKNOWN)

    def _meant(self, values: dict) -> None:
        group, not_after_s = values.pop("group", None), values.pop("not_after_s", None)
        if group is not None and group not in self._node.settings["groups"]:
            raise Refused(requests.NOT_MEANT)
        if not_after_s is not None:
            unix_s = self._node.clock.unix_s(self._node.clock.uptime_s())
            if unix_s is None or unix_s > not_after_s:  # without a clock nobody can know that it is still meant
                raise Refused(requests.EXPIRED)

    async def _obey(self, name: str, values: dict):
        node = self._node
        if name == "report_status":
            node.report_status()
        elif name == "self_test":
            return await node.self_test()
        elif name == "maintenance":
            node.maintain(values.get("minutes", 60))
        elif name == "restart":
            node.restart(_RESTART_MS)
        else:
            command = getattr(node.role, "command", None)
            status = requests.UNKNOWN if command is None else command(name, values)
            if status != requests.DONE:
                raise Refused(status)
        return {}
