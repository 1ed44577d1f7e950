# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The status page's server: what it answers, to whom, and what it refuses."""

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from gateway.cli import main
from gateway.operate.web.app import read_positions
from gateway.operate.web.settings import OperateSection
from tests.conftest import Mosquitto
from tests.gateway_rig import City, Daemon, until
from tests.status_page_rig import Page, in_trouble


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    (tmp_path / "token").write_bytes(b"open-sesame")
    made = Page(tmp_path, token="file:token", devices=5).start()
    yield made
    made.stop()


def get(
    page: Page | int, path: str, method: str = "GET", context: ssl.SSLContext | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    port = page if isinstance(page, int) else page.port
    connection = (
        http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        if context is None
        else http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    )
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_everything_that_the_page_needs_comes_from_here(page: Page) -> None:
    status, headers, body = get(page, "/")
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert b"://" not in body.replace(b"http://www.w3.org", b""), "no asset from elsewhere"
    for name, kind in (("page.js", "javascript"), ("page.css", "css"), ("lantern.svg", "svg")):
        status, headers, asset = get(page, f"/static/{name}")
        assert status == 200
        assert kind in headers["content-type"]
        assert b"://" not in asset.replace(b"http://www.w3.org", b"")
    status, headers, body = get(page, "/status.json")
    found = json.loads(body)
    assert (len(found["devices"]), found["devices_heard"]) == (5, 9)
    assert "no-store" in headers["cache-control"]
    assert get(page, "/static/../app.py")[0] == 404
    assert get(page, "/nothing")[0] == 404


def test_health_is_yes_or_no(page: Page) -> None:
    assert [get(page, path)[::2] for path in ("/healthz", "/readyz")] == [(200, b"ok\n"), (200, b"ok\n")]
    page.found["ready"] = False
    assert [get(page, path)[0] for path in ("/healthz", "/readyz")] == [200, 503]
    page.found["live"] = False
    assert get(page, "/healthz")[::2] == (503, b"no\n")


def test_metrics_are_prometheus_text(page: Page) -> None:
    status, headers, body = get(page, "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"lykta_ready 1.0" in body
    assert b"process_resident_memory_bytes" in body


def test_the_page_changes_nothing_without_the_token(page: Page) -> None:
    for method in ("PUT", "DELETE", "PATCH", "POST"):
        assert get(page, "/", method)[0] == 405
    assert get(page, "/reload")[0] == 405
    for given in ("", "Bearer", "Bearer wrong", "Basic open-sesame", "Bearer open-sesame-and-more"):
        assert get(page, "/reload", "POST", Authorization=given)[0] == 401
    assert page.reloads == 0
    assert get(page, "/reload", "POST", Authorization="Bearer open-sesame")[0] == 200
    assert get(page, "/reload", "POST", Authorization="Bearer open-sesame")[0] == 409, "refused"
    assert page.reloads == 2


def test_without_a_token_there_is_nothing_to_change(tmp_path: Path) -> None:
    page = Page(tmp_path).start()
    assert get(page, "/reload", "POST", Authorization="Bearer ")[0] == 403
    page.stop()


def test_a_foreign_page_cannot_ask_through_a_name_of_its_own(page: Page) -> None:
    ours = ("localhost:1", "127.0.0.1", "[::1]:8470")
    for host in (*ours, "evil.example", ""):
        assert get(page, "/status.json", Host=host)[0] == (200 if host in ours else 421), host


def test_events_come_and_streams_are_counted(page: Page) -> None:
    connections = []
    for _ in range(17):
        connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=20)
        connection.request("GET", "/events")
        answer = connection.getresponse()
        connections.append(connection)
        if answer.status == 200:
            assert answer.readline() == b"event: status\n"
            assert json.loads(answer.readline().removeprefix(b"data: "))["gateway"] == "aabbccddeeff0011"
        last = answer.status
    assert last == 503
    for connection in connections:
        connection.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"listen": "8470"}, "ADDRESS:PORT"),
        ({"listen": "localhost:8470"}, "not an IP address"),
        ({"listen": "127.0.0.1:99999"}, "ADDRESS:PORT"),
        ({"listen": "0.0.0.0:8470"}, "TLS|tls"),
        ({"listen": "[::]:8470", "password": "file:p"}, "tls"),
        ({"listen": "10.0.0.1:8470", "tls": {"cert": "c", "key": "k"}}, "password"),
    ],
)
def test_other_machines_reach_it_only_with_tls_and_login(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OperateSection.model_validate(settings)
    OperateSection(listen="[::1]:8470")


def certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "web.cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    options = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "web.key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *options))


def test_with_tls_and_login_nobody_else_gets_in(tmp_path: Path) -> None:
    certificate(tmp_path)
    (tmp_path / "password").write_bytes(b"h\xc3\xa4mligt")
    page = Page(tmp_path, password="file:password", tls={"cert": "web.cert.pem", "key": "web.key.pem"}).start()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        for given in (b"", b"operator:", b"operator:hemligt", b"root:h\xc3\xa4mligt"):
            login = f"Basic {base64.b64encode(given).decode()}"
            status, headers, _ = get(page, "/", context=context, Authorization=login)
            assert (status, headers["www-authenticate"].split()[0]) == (401, "Basic")
        right = base64.b64encode(b"operator:h\xc3\xa4mligt").decode()
        assert get(page, "/", context=context, Authorization=f"Basic {right}")[0] == 200
        assert get(page, "/metrics", context=context)[0] == 401
        assert get(page, "/healthz", context=context)[0] == 200
        with pytest.raises((OSError, http.client.HTTPException)):
            get(page.port, "/healthz")
    finally:
        page.stop()


def test_places_are_read_and_wrong_ones_named() -> None:
    head = "dev_eui,latitude_deg,longitude_deg\n"
    assert read_positions(head + "70B3D57ED0000001, 58.4,15.6\n") == {"70b3d57ed0000001": (58.4, 15.6)}
    for wrong in ("1,2", "a,b,c", "a,91,0", "a,0,181", ",,"):
        with pytest.raises(ValueError, match="line 2"):
            read_positions(head + wrong)


def _unless_reset(port: int, path: str) -> int | None:
    """None when the server that a reload ends just now took the connection with it: a browser asks again."""
    with suppress(ConnectionResetError, BrokenPipeError):
        return get(port, path)[0]
    return None


def test_a_running_gateway_serves_its_page_and_ends_with_it_open(
    tmp_path: Path, mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free_port = probe.getsockname()[1]
    city = City(tmp_path / "city")
    config = city.config(tmp_path / "none", mosquitto.port, extra=f'[operate]\nlisten = "127.0.0.1:{free_port}"\n')
    daemon = Daemon(config).ready()
    try:
        assert daemon.wait_for("status_page")["listen"] == f"127.0.0.1:{free_port}"
        found = json.loads(get(free_port, "/status.json")[2])
        assert [each["what"] for each in found["problems"] if each["severity"] == "error"] == ["link bench is not open"]
        assert get(free_port, "/healthz")[0] == 200
        assert get(free_port, "/readyz")[0] == 503, "no link is open"
        assert b'lykta_link_open{link="bench",type="serial"} 0.0' in get(free_port, "/metrics")[2]
        stream = http.client.HTTPConnection("127.0.0.1", free_port, timeout=20)
        stream.request("GET", "/events")
        assert stream.getresponse().readline() == b"event: status\n"
        config.write_text(config.read_text().replace(f"127.0.0.1:{free_port}", "0.0.0.0:0"))
        assert main(["reload", "--config", str(config)]) == 1
        assert "reached from other machines" in capsys.readouterr().err
        assert get(free_port, "/healthz")[0] == 200
        began = until(lambda: daemon.saw("status_page"), "the page")
        assert len(began) == 1
        config.write_text(config.read_text().replace("0.0.0.0:0", f"127.0.0.1:{free_port}"))
        for _ in range(3):
            assert main(["reload", "--config", str(config)]) == 0
            assert until(lambda: _unless_reset(free_port, "/healthz"), "an answer") == 200, "refused during a reload"
        assert daemon.stop() == 0
        stream.close()
    finally:
        daemon.kill()
        city.registry.close()


def test_a_port_that_is_taken_stops_nothing_and_status_says_it(
    tmp_path: Path, mosquitto: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    city = City(tmp_path / "city")
    listen = f'[operate]\nlisten = "127.0.0.1:{mosquitto.port}"\n'
    daemon = Daemon(city.config(tmp_path / "none", mosquitto.port, extra=listen)).ready()
    try:
        assert "address already in use" in daemon.wait_for("status_page_absent")["why"].lower()
        daemon.wait_for("broker_connected")
        capsys.readouterr()
        assert main(["status", "--config", str(daemon.config), "--json"]) == 4, "nothing is plugged in"
        found = json.loads(capsys.readouterr().out)
        assert found["page"]["listen"] == f"127.0.0.1:{mosquitto.port}"
        (problem,) = [each for each in found["problems"] if "status page" in each["what"]]
        assert problem["severity"] == "warning", "no reading waits for it"
        assert problem["why"] == f"127.0.0.1:{mosquitto.port}: Address already in use"
        assert main(["status", "--config", str(daemon.config)]) == 4
        said = capsys.readouterr().out
        assert f" ! the status page is absent: {problem['why']}\n" in said
        assert f"   next: ss -ltnp 'sport = :{mosquitto.port}' names the program that has the port" in said
        config = daemon.config
        config.write_text(
            config.read_text().replace(f'listen = "127.0.0.1:{mosquitto.port}"', 'listen = "127.0.0.1:0"')
        )
        assert main(["reload", "--config", str(config)]) == 0
        daemon.wait_for("status_page")
        capsys.readouterr()
        assert main(["status", "--config", str(config)]) == 4
        assert "status page" not in capsys.readouterr().out
        assert daemon.stop() == 0
    finally:
        daemon.kill()
        city.registry.close()


def test_problems_are_told_worst_first() -> None:
    problems = in_trouble()["problems"]
    assert [each["severity"] for each in problems] == ["error", "error", "warning", "warning"]
    assert all(each["what"] and each["why"] and each["next_step"] for each in problems)
