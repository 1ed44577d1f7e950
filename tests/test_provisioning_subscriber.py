# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Signed messages through a standard broker: sessions, outages, versions, and the order in which things come."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from consumer.inbox import Inbox
from consumer.verify import Verifier
from provisioning.demo.broker import running_broker
from provisioning.enroll import Broker
from provisioning.errors import BrokerError
from provisioning.subscriber import Handlers, Subscriber
from provisioning.verification import Verification
from tests.conftest import Mosquitto
from tests.signing_gateway import EUI, City, SigningGateway

TOPIC = f"lykta/v1/{EUI.hex()}"
LIMIT_S = 30.0


class Received:
    """What handlers got."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.certificates: list[bytes] = []
        self.status: list[str] = []

    def handlers(self) -> Handlers:
        return Handlers(self.messages.append, self.certificates.append, self.status.append)


def within_limit(done: Callable[[], bool]) -> Callable[[], bool]:
    end_s = time.monotonic() + LIMIT_S

    def until() -> bool:
        assert time.monotonic() < end_s, "it took too long"
        return done()

    return until


@contextmanager
def publisher(port: int) -> Iterator[Callable[[str, bytes, bool], None]]:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    client.connect("127.0.0.1", port)
    client.loop_start()

    def publish(topic: str, payload: bytes, retain: bool = False) -> None:
        client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(LIMIT_S)

    try:
        yield publish
    finally:
        client.disconnect()
        client.loop_stop()


def publish_all(port: int, gateway: SigningGateway, messages: list[bytes], certificate: bool = True) -> None:
    with publisher(port) as publish:
        for message in messages:
            publish(f"{TOPIC}/records", message, False)
        if certificate:
            publish(f"{TOPIC}/certificate", gateway.pem, True)


def test_retained_certificate_and_records_arrive(mosquitto: Mosquitto) -> None:
    received = Received()
    subscriber = Subscriber(Broker("127.0.0.1", mosquitto.port), received.handlers())
    sent: list[bytes] = []

    def until() -> bool:
        if subscriber.subscribed and not sent:
            sent.extend([b"one", b"two"])
            publish_all(mosquitto.port, City().gateway(), sent)
        return len(received.messages) == 2 and len(received.certificates) == 1

    subscriber.run(within_limit(until))
    assert received.messages == sent
    assert "MQTT 5" in received.status[0]
    assert not subscriber.subscribed


def test_a_named_session_misses_nothing_while_away_and_while_the_broker_is_gone(mosquitto: Mosquitto) -> None:
    received = Received()
    broker = Broker("127.0.0.1", mosquitto.port)
    subscriber = Subscriber(broker, received.handlers(), client_id="city")
    subscriber.run(within_limit(lambda: subscriber.subscribed))
    publish_all(mosquitto.port, City().gateway(), [b"while away"], certificate=False)
    subscriber.run(within_limit(lambda: b"while away" in received.messages))
    assert "session resumed" in received.status[-1]
    outage = [False]

    def until() -> bool:
        if subscriber.subscribed and not outage[0]:
            outage[0] = True
            mosquitto.stop()
        elif outage[0] and any("cannot be reached" in text for text in received.status) and not mosquitto.process:
            mosquitto.start()
            publish_all(mosquitto.port, City().gateway(), [b"after the outage"], certificate=False)
        return b"after the outage" in received.messages

    subscriber.run(within_limit(until))
    assert received.messages == [b"while away", b"after the outage"]
    assert any("lost" in text for text in received.status)


def test_a_message_that_was_not_handled_is_delivered_again(mosquitto: Mosquitto) -> None:
    class Died(Exception):
        pass

    received = Received()
    calls = [0]

    def dies_once(message: bytes) -> None:
        calls[0] += 1
        if calls[0] == 1:
            raise Died
        received.messages.append(message)

    handlers = Handlers(dies_once, received.certificates.append, received.status.append)
    broker = Broker("127.0.0.1", mosquitto.port)
    subscriber = Subscriber(broker, handlers, client_id="city")
    subscriber.run(within_limit(lambda: subscriber.subscribed))
    publish_all(mosquitto.port, City().gateway(), [b"important"], certificate=False)
    with pytest.raises(Died):
        subscriber.run(within_limit(lambda: False))
    again = Subscriber(broker, handlers, client_id="city")
    again.run(within_limit(lambda: bool(received.messages)))
    assert received.messages == [b"important"]


def test_no_broker_is_waited_for_and_said_once(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    received, tries = Received(), []
    connect = Client.connect
    monkeypatch.setattr(Client, "connect", lambda *words, **options: tries.append(1) or connect(*words, **options))
    subscriber = Subscriber(Broker("127.0.0.1", free_port), received.handlers())
    subscriber.run(within_limit(lambda: len(tries) >= 3))
    (said,) = received.status
    assert "cannot be reached" in said
    unknown = Subscriber(Broker("name.invalid", 1883), received.handlers())
    unknown.run(within_limit(lambda: any("name.invalid" in text for text in received.status)))


def test_a_server_that_speaks_no_mqtt(free_port: int) -> None:
    received = Received()
    with socket.create_server(("127.0.0.1", free_port)) as server:
        server.settimeout(LIMIT_S)
        accepted = []

        def answer() -> None:
            for reply in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x7f", b"\xff\xff\xff\xff\xff", b""):
                connection, _ = server.accept()
                accepted.append(reply)
                with connection:
                    connection.recv(64)
                    connection.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        Subscriber(Broker("127.0.0.1", free_port), received.handlers()).run(within_limit(lambda: len(accepted) == 4))
        thread.join(LIMIT_S)
    assert received.messages == []


def test_a_broker_that_refuses_is_not_asked_for_ever(mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    mosquitto.config.write_text(mosquitto.config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    mosquitto.start()
    received = Received()
    with pytest.raises(BrokerError, match="Not authorized") as refused:
        Subscriber(Broker("127.0.0.1", mosquitto.port), received.handlers()).run(within_limit(lambda: False))
    assert str(mosquitto.port) in str(refused.value)


def test_the_fallback_broker_speaks_an_older_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_arguments, **_options: None)  # as if mosquitto were not installed
    received = Received()
    with running_broker(tmp_path, tmp_path, lambda: False) as (broker, _, program):
        assert program == "amqtt"
        subscriber = Subscriber(broker, received.handlers())
        sent: list[bytes] = []

        def until() -> bool:
            if subscriber.subscribed and not sent:
                sent.append(b"one")
                publish_all(broker.port, City().gateway(), sent)
            return bool(received.messages) and bool(received.certificates)

        subscriber.run(within_limit(until))
    assert received.messages == sent
    assert any("MQTT 3.1.1" in text for text in received.status)


def test_records_before_their_certificate_are_held(mosquitto: Mosquitto) -> None:
    city = City()
    gateway = city.gateway()
    problems: list[str] = []
    seqs: list[int] = []
    inbox = Inbox(Verifier([city.certificate], from_start=True))
    run = Verification(inbox, lambda _gateway, reading: seqs.append(reading.seq), problems.append)
    subscriber = Subscriber(Broker("127.0.0.1", mosquitto.port), run.handlers(problems.append), client_id="city")
    subscriber.run(within_limit(lambda: subscriber.subscribed))
    publish_all(mosquitto.port, gateway, [gateway.sign_next(2), gateway.sign_next(1)], certificate=False)
    subscriber.run(within_limit(lambda: inbox.held == 2))
    assert not run.judgement().ok
    publish_all(mosquitto.port, gateway, [])
    subscriber.run(within_limit(lambda: len(seqs) == 3))
    assert seqs == [1, 2, 3]
    assert run.judgement().ok
    with publisher(mosquitto.port) as publish:
        publish(f"{TOPIC}/certificate", b"", True)  # a certificate is withdrawn: no news
        publish(f"{TOPIC}/records", b"noise", False)
    subscriber.run(within_limit(lambda: any("Malformed" in text for text in problems)))
    assert run.judgement().report.refused == {"Malformed": 1}


def test_lykta_verify_as_a_process(mosquitto: Mosquitto, tmp_path: Path) -> None:
    city = City()
    gateway = city.gateway()
    (tmp_path / "ca.pem").write_bytes(city.pem)
    command = [sys.executable, "-m", "provisioning.cli", "-C", str(tmp_path), "verify", "--json", "--from-start"]
    command += ["--broker", f"127.0.0.1:{mosquitto.port}", "--ca", str(tmp_path / "ca.pem"), "--client-id", "platform"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "connected" in process.stderr.readline()
        publish_all(mosquitto.port, gateway, [gateway.sign_next(3)])
        readings = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
        process.wait(LIMIT_S)
    assert [(reading["seq"], reading["record"]) for reading in readings] == [(1, 1), (2, 2), (3, 3)]
    assert readings[0]["gateway"] == f"urn:dev:mac:{EUI.hex()}"
    assert json.loads(output)["summary"]["ok"] is True
    assert process.returncode == 0
