# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Nothing that a running gateway says about itself holds a secret, in any of the ways in which one is written."""

import base64
import http.client
import json
import re
import signal
import socket
from contextlib import closing
from pathlib import Path

import pytest

from firmware.wire.crypto import derive_session_keys
from gateway.network.aes import ecb
from tests.conftest import Mosquitto
from tests.gateway_rig import City, Daemon, Device, Port, until

pytestmark = [pytest.mark.apart, pytest.mark.timeout(300)]
PASSWORD, TOKEN = "Sommarlov-i-Ryd", "en-nyckel-till-sidan"


def spellings(secret: bytes) -> set[str]:
    """As text, in hexadecimal digits either way round, in base64, and as Python writes bytes."""
    found = {secret.hex(), secret.hex(" "), base64.b64encode(secret).decode().rstrip("="), repr(secret)[2:-1]}
    return {each.lower() for each in found | {secret[::-1].hex(), secret.decode("latin-1")}}


def _config(city: City, port: Port, broker_port: int, page_port: int) -> Path:
    for name, secret in ("password", PASSWORD), ("token", TOKEN):
        city._secret(name, secret.encode())
    page = f'[operate]\nlisten = "127.0.0.1:{page_port}"\ntoken = "file:token"\n'
    login = 'username = "gw-1"\npassword = "file:password"'
    return city.config(port.path, broker_port, extra=page, platform=login)


def _page(port: int, path: str) -> str:
    """Ask as a browser does: again when a server that a reload ends just now took the connection with it."""

    def answer() -> str | None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            try:
                connection.request("GET", path)
                return connection.getresponse().read().decode()
            except (ConnectionResetError, BrokenPipeError):
                return None

    text: str = until(answer, path)
    return text


def test_secrets_are_in_no_log_and_on_no_page(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        page_port = probe.getsockname()[1]
    daemon = Daemon(_config(city, port, mosquitto.port, page_port), "--log-level", "debug").ready()
    daemons.append(daemon)
    nonce = device.dev_nonce + 1
    accept = port.join(device)
    nonces = range(nonce, device.dev_nonce + 1)
    sessions = [derive_session_keys(ecb(device.app_key), accept.join_nonce, accept.net_id, each) for each in nonces]
    port.send(device.readings(1, oldest=1))
    port.send(Device(device.dev_eui, device.join_eui, bytes(16), device.dev_nonce).join_request())
    daemon.wait_for("refused")
    until(lambda: daemon.stats().waiting == {"city": 0}, "the reading to be published")
    daemon.wait_for("status_page")
    good = daemon.config.read_text()
    for text in (good + "\n[nonsense]\n", good.replace("file:kek", "file:password"), good):
        daemon.config.write_text(text)
        before = len(daemon.saw("reloaded")) + len(daemon.saw("reload_refused"))
        daemon.process.send_signal(signal.SIGHUP)
        until(
            lambda before=before: len(daemon.saw("reloaded")) + len(daemon.saw("reload_refused")) > before,
            f"a reload: {daemon.events[-5:]}", 60,
        )  # fmt: skip
    said = "".join(_page(page_port, path) for path in ("/", "/status.json", "/metrics"))
    assert daemon.stop() == 0
    said += json.dumps(daemon.events, ensure_ascii=False) + (daemon.state_dir / "counters.json").read_text()
    said = said.lower()
    assert device.dev_eui.hex() in said, "there is something to find"
    kek = city.kek.strip()
    pem = (city.folder / "gateway.key.pem").read_text()
    (body,) = re.findall(r"-----\n(.*?)\n-----", pem, re.DOTALL)
    secrets = [
        device.app_key, kek, bytes.fromhex(kek.decode()), PASSWORD.encode(), TOKEN.encode(), body.encode(),
        base64.b64decode(body)[-32:], *(key for keys in sessions for key in keys),
    ]  # fmt: skip
    assert all(len(secret) >= 15 for secret in secrets)
    assert [secret for secret in secrets for each in spellings(secret) if each in said] == []
