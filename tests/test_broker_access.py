# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta verify`, `receive` and `monitor` get in at a broker with TLS, client certificates, names and passwords."""

import base64
import hashlib
import json
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from provisioning.cli.app import main
from tests.conftest import Mosquitto
from tests.gateway_rig import PATIENCE_S
from tests.mqtt_rig import Authority
from tests.signing_gateway import City

PASSWORD = "köttbulle 7"


@pytest.fixture
def guarded(tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mosquitto]:
    """A broker that wants TLS, a certificate, a name and a password, with one signed reading retained."""
    authority = Authority(tmp_path)
    for name in ("broker", "client"):
        authority.issue(name)
    salt = bytes(range(12))
    digest = hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), salt, 1000)
    encoded = (base64.b64encode(each).decode() for each in (salt, digest))
    (tmp_path / "passwords").write_text("city:$7$1000$" + "$".join(encoded) + "\n")
    (tmp_path / "passwords").chmod(0o600)
    mosquitto.stop()
    lines = [
        f"certfile {tmp_path}/broker.pem",
        f"keyfile {tmp_path}/broker.key",
        f"cafile {authority.path}",
        "require_certificate true",
        f"password_file {tmp_path}/passwords",
    ]
    text = mosquitto.config.read_text().replace("allow_anonymous true", "allow_anonymous false")
    mosquitto.config.write_text(text + "\n".join(lines) + "\n")
    mosquitto.start()
    _publish(tmp_path, mosquitto)
    monkeypatch.setenv("BROKER_PASSWORD", PASSWORD)
    monkeypatch.chdir(tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield mosquitto
    for number, handler in before.items():
        signal.signal(number, handler)


def _publish(folder: Path, mosquitto: Mosquitto) -> None:
    city = City()
    gateway = city.gateway()
    (folder / "city.pem").write_bytes(city.pem)
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("city", PASSWORD)
    context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    context.load_cert_chain(folder / "client.pem", folder / "client.key")
    client.tls_set_context(context)
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    for name, payload in (("certificate", gateway.pem), ("records", gateway.sign_next(3))):
        topic = f"lykta/v1/{gateway.eui.hex()}/{name}"
        client.publish(topic, payload, 1, retain=True).wait_for_publish(PATIENCE_S)
    client.disconnect()
    client.loop_stop()


def options(mosquitto: Mosquitto) -> list[str]:
    return [
        *("--broker", f"mqtts://127.0.0.1:{mosquitto.port}", "--ca", "city.pem", "--broker-ca", "authority.pem"),
        *("--broker-cert", "client.pem", "--broker-key", "client.key"),
        *("--username", "city", "--password-ref", "env:BROKER_PASSWORD"),
    ]


def test_verify_receive_and_monitor_get_in(guarded: Mosquitto, capsys: pytest.CaptureFixture[str]) -> None:
    ends = ["--count", "3", "--for", str(PATIENCE_S), "--json"]
    assert main(["verify", *options(guarded), *ends]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["summary"]["readings"] == 3
    assert main(["receive", *options(guarded), *ends, "--name", "office", "--store", "sqlite:kept.sqlite"]) == 0
    assert Path("kept.sqlite").exists()
    capsys.readouterr()
    assert main(["monitor", *options(guarded), *ends]) == 0
    assert [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("--broker-ca", "city.pem"), "not one to trust"),
        (("--password-ref", "env:CITY_NAME"), "refuses this client"),
        (("--password-ref", "secret"), "not a reference"),
        (("--broker-key", "city.pem"), "do not load"),
    ],
)
def test_who_does_not_get_in_is_told_why(
    guarded: Mosquitto,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str],
    said: str,
) -> None:
    monkeypatch.setenv("CITY_NAME", "Lyktby")
    words = options(guarded)
    words[words.index(change[0]) + 1] = change[1]
    assert main(["verify", *words, "--for", str(PATIENCE_S)]) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert PASSWORD not in captured.err
