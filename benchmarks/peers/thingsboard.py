# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""ThingsBoard IoT Gateway with its SQLite store: its MQTT connector on one broker, the platform on another.

Two traps. It sends nothing until its question for the session's limits is answered, and a plain broker would bring it
its own question as a command: the platform's broker keeps that from it by a list of rights, and ``_Answerer`` answers.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.load.rig import free_port, mosquitto
from benchmarks.peers.contestant import ROOT, Contestant, Reading, place_of, plain, values_of
from benchmarks.peers.plain_mqtt import Publisher, publication

PYTHON = ROOT / "build" / "peers" / "thingsboard" / "bin" / "python"
_TOKEN = "GWTOKEN"  # noqa: S105 - the name of a user that has no password
_ASKED, _ANSWERED = "v1/devices/me/rpc/request/", "v1/devices/me/rpc/response/"
_RIGHTS = f"""topic readwrite #
user {_TOKEN}
topic write #
topic read v1/gateway/#
topic read v1/devices/me/attributes/#
topic read {_ANSWERED}+
"""
_NO_LIMITS = {"messages": "", "telemetryMessages": "", "telemetryDataPoints": ""}
_LIMITS = {
    "maxPayloadSize": 65536,
    "maxInflightMessages": 100,
    "rateLimits": _NO_LIMITS,
    "gatewayRateLimits": _NO_LIMITS,
}
_TYPES = {bool: "boolean", int: "integer", float: "double"}


def _device(key: str, value: str, source: str) -> dict[str, str]:
    return {f"device{key}ExpressionSource": source, f"device{key}Expression": value}


def connector(port: int) -> dict[str, Any]:
    """Its mqtt.json: each value of a reading is a time series, at the reading's own time."""
    keys = {"seq": 1, **values_of(1)}
    series = [{"type": _TYPES[type(value)], "key": key, "value": f"${{{key}}}"} for key, value in keys.items()]
    about = _device("Name", "(?<=sensor/)(.*?)(?=/data)", "topic") | _device("Profile", "light", "constant")
    converter = {"type": "json", "deviceInfo": about, "timeout": 60000, "attributes": [], "timeseries": series}
    mapping = {"topicFilter": "sensor/+/data", "subscriptionQos": 1, "converter": converter}
    return {
        "broker": {
            "host": "127.0.0.1", "port": port, "clientId": "connector", "version": 5, "maxMessageNumberPerWorker": 10,
            "maxNumberOfWorkers": 100, "security": {"type": "anonymous"},
        },
        "mapping": [mapping],
        "requestsMapping": {
            "connectRequests": [], "disconnectRequests": [], "attributeRequests": [], "attributeUpdates": [],
            "serverSideRpc": [],
        },
    }  # fmt: skip


def service(port: int, data: Path) -> dict[str, Any]:
    """Its tb_gateway.json: as shipped, but for the SQLite store and nothing that asks the platform for more."""
    return {
        "thingsboard": {
            "host": "127.0.0.1", "port": port, "remoteShell": False, "remoteConfiguration": False,
            "latencyDebugMode": False, "statistics": {"enable": False}, "deviceFiltering": {"enable": False},
            "maxPayloadSizeBytes": 8196, "minPackSendDelayMS": 50, "minPackSizeToSend": 500,
            "checkConnectorsConfigurationInSeconds": 60, "handleDeviceRenaming": True,
            "security": {"type": "accessToken", "accessToken": _TOKEN}, "qos": 1,
            "reportStrategy": {"type": "ON_RECEIVED"}, "checkingDeviceActivity": {"checkDeviceInactivity": False},
            **dict.fromkeys(
                ("rateLimits", "dpRateLimits", "messagesRateLimits", "deviceMessagesRateLimits", "deviceRateLimits",
                 "deviceDpRateLimits"), "0:0,"),
        },
        "storage": {
            "type": "sqlite", "data_file_path": f"{data}/", "max_read_records_count": 1000, "writing_batch_size": 1000,
            "messages_ttl_check_in_hours": 1, "messages_ttl_in_days": 7,
        },
        "grpc": {"enabled": False},
        "connectors": [{"type": "mqtt", "name": "devices", "configuration": "mqtt.json"}],
    }  # fmt: skip


class _Answerer:
    """The platform's side of what the gateway asks when it connects."""

    def __init__(self, port: int) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "limits")
        self._client.on_connect = lambda client, *_: client.subscribe(_ASKED + "+", qos=1)
        self._client.on_message = self._answer
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _answer(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        number = message.topic.removeprefix(_ASKED)
        client.publish(_ANSWERED + number, json.dumps(_LIMITS), qos=1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class ThingsBoard(Contestant):
    """One reading as JSON in one message with QoS 1."""

    name = "ThingsBoard gateway"
    keeps = "what is 0.2 s old, not flushed (SQLite, synchronous=NORMAL)"
    window = 10_000
    """It takes at once what its broker has."""

    def _start(self, stack: ExitStack) -> None:
        port, platform_port = free_port(), free_port()
        (self._folder / "rights").write_text(_RIGHTS)
        (self._folder / "rights").chmod(0o700)
        for number, more in (port, ""), (platform_port, f"acl_file {self._folder}/rights\n"):
            folder = self._folder / str(number)
            folder.mkdir()
            process = mosquitto(folder, number, more)
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)
        self.prepare(1)
        self._publisher = Publisher(port)
        stack.callback(self._publisher.close)
        self._hears(stack, platform_port, "v1/gateway/telemetry", b'"seq"')
        stack.callback(_Answerer(platform_port).close)
        environment = {**os.environ, "TB_GW_CONFIG_DIR": str(self._configured(port, platform_port))}
        # It is not asked to end: that takes it ten seconds.
        self._run(stack, str(PYTHON), "-m", "thingsboard_gateway.tb_gateway", kill=True, **environment)
        # Its connector keeps no session: what is sent before it is there is gone.
        self._until_it_answers(lambda: self._publisher.send(self._made[:1]), quiet_s=2.0)

    def _configured(self, port: int, platform_port: int) -> Path:
        """Return its folder of settings."""
        config, data = self._folder / "config", self._folder / "data"
        config.mkdir()
        data.mkdir()
        installed = next(
            (PYTHON.parents[1] / "lib").glob("python3*/site-packages/thingsboard_gateway/config/logs.json")
        )
        (config / "logs.json").write_text(installed.read_text())
        (config / "mqtt.json").write_text(json.dumps(connector(port)))
        (config / "tb_gateway.json").write_text(json.dumps(service(platform_port, data)))
        return config

    def _make(self, first: int, last: int) -> list[bytes]:
        return [_reading(index) for index in range(first, last)]

    def offer(self, first: int, last: int) -> None:
        """One reading in one message."""
        self._publisher.send(self._made[first:last])

    def came(self, message: bytes) -> list[Reading]:
        """Look into one telemetry message."""
        said = json.loads(message)
        return [(place_of(name), entry["values"]["seq"]) for name, entries in said.items() for entry in entries]


def _reading(index: int) -> bytes:
    said = plain(index)
    return publication(f"sensor/{said['device']}/data", json.dumps(said).encode(), index % 65535 + 1)
