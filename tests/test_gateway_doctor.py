# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The doctor of a gateway: each cause is made, with real brokers, certificates and a real daemon, and named."""

import datetime
import http.server
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from provisioning.bench import clocks, gateway_doctor
from provisioning.bench.finding import Finding
from provisioning.cli import main
from tests.conftest import Mosquitto
from tests.gateway_rig import City, Daemon, Port, until

pytestmark = pytest.mark.timeout(300)
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


def named(found: list[Finding]) -> dict[str, Finding]:
    """What is not well, by name: each says why or shows it, and what to do."""
    wrong = {each.name: each for each in found if each.level != "ok"}
    assert all(each.next_step and (each.reason or each.evidence) for each in wrong.values()), wrong
    return wrong


def configured(city: City, broker: int, platform: str = "", host: str = "127.0.0.1") -> Path:
    """The configuration of a gateway without a port."""
    (city.folder / "port").touch()
    path = city.config(city.folder / "port", broker, platform=platform)
    path.write_text(path.read_text().replace('host = "127.0.0.1"', f'host = "{host}"'))
    return path


def certificate(folder: Path, begins: datetime.datetime, ends: datetime.datetime, name: str = "localhost") -> None:
    """A broker's certificate that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "broker.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "broker.key").write_bytes(key.private_bytes(*form))


def over_tls(mosquitto: Mosquitto, folder: Path, more: str = "") -> None:
    mosquitto.stop()
    lines = f"certfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n{more}"
    mosquitto.config.write_text(mosquitto.config.read_text() + lines)
    mosquitto.start()


def test_a_broker_that_answers_is_well_and_one_that_does_not_is_told_apart(city: City, mosquitto: Mosquitto) -> None:
    config = configured(city, mosquitto.port)
    found = gateway_doctor.examine(config)
    assert "MQTT 5" in next(each.what for each in found if each.name == "broker")
    assert "systemctl start lykta-gateway" in named(found)["not_running"].next_step
    nameless = named(gateway_doctor.examine(configured(city, mosquitto.port, host="no-such-broker.invalid")))
    assert "getent hosts no-such-broker.invalid" in nameless["broker_name"].next_step
    mosquitto.stop()
    refused = named(gateway_doctor.examine(configured(city, mosquitto.port)))["broker_refused"]
    assert refused.evidence == f"127.0.0.1:{mosquitto.port}"
    assert "outbox" in refused.reason


def test_a_port_is_looked_for_beside_the_configuration_as_the_gateway_does(city: City, mosquitto: Mosquitto) -> None:
    config = configured(city, mosquitto.port)
    beside = config.read_text().replace(f'"{city.folder / "port"}"', '"port"')
    assert 'port = "port"' in beside
    config.write_text(beside)
    assert "no_port" not in named(gateway_doctor.examine(config))
    (city.folder / "port").unlink()
    assert named(gateway_doctor.examine(config))["no_port"].evidence == str(city.folder / "port")


def test_a_broker_that_refuses_this_gateway_is_named(city: City, mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    mosquitto.config.write_text(mosquitto.config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    mosquitto.start()
    found = named(gateway_doctor.examine(configured(city, mosquitto.port)))
    assert "Not authorized" in found["broker_refuses"].what
    (city.folder / "password").write_text("secret")
    (city.folder / "password").chmod(0o644)
    open_to_all = configured(city, mosquitto.port, 'username = "gw"\npassword = "file:password"')
    assert "chmod 600" not in named(gateway_doctor.examine(open_to_all))["broker_not_tried"].evidence


def test_a_port_that_speaks_something_else_is_named(city: City) -> None:
    with serving(lambda line: line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        found = named(gateway_doctor.examine(configured(city, port)))
        assert "add [platforms.tls]" in found["broker_no_mqtt"].next_step
        tls = named(gateway_doctor.examine(configured(city, port, "[platforms.tls]")))
        assert f"127.0.0.1:{port}" in tls["broker_tls"].evidence


@pytest.mark.parametrize(
    ("begins", "ends", "host", "trusted", "name", "shown"),
    [
        (NOW - 9 * DAY, NOW - 2 * DAY, "localhost", True, "broker_certificate_expired", "certificate has expired"),
        (NOW + 2 * DAY, NOW + 9 * DAY, "localhost", True, "broker_certificate_early", "not yet valid"),
        (NOW - DAY, NOW + DAY, "127.0.0.1", True, "broker_certificate_name", "mismatch"),
        (NOW - DAY, NOW + DAY, "localhost", False, "broker_certificate_authority", "self-signed"),
    ],
    ids=["expired", "early", "another name", "unknown authority"],
)
def test_what_is_wrong_with_a_brokers_certificate_is_named(
    begins: datetime.datetime,
    ends: datetime.datetime,
    host: str,
    trusted: bool,
    name: str,
    shown: str,
    city: City,
    mosquitto: Mosquitto,
) -> None:
    certificate(city.folder, begins, ends)
    over_tls(mosquitto, city.folder)
    table = '[platforms.tls]\nca = "broker.pem"' if trusted else "[platforms.tls]"
    found = named(gateway_doctor.examine(configured(city, mosquitto.port, table, host)))
    assert shown in found[name].evidence
    assert f"{begins:%Y-%m-%d} to {ends:%Y-%m-%d}" in found[name].evidence


def test_a_broker_with_a_good_certificate_is_well_and_says_until_when(city: City, mosquitto: Mosquitto) -> None:
    certificate(city.folder, NOW - DAY, NOW + DAY)
    over_tls(mosquitto, city.folder)
    path = configured(city, mosquitto.port, '[platforms.tls]\nca = "broker.pem"', "localhost")
    (well,) = [each for each in gateway_doctor.examine(path) if each.name == "broker"]
    assert f"its certificate until {NOW + DAY:%Y-%m-%d}" in well.what
    path = configured(city, mosquitto.port, '[platforms.tls]\nca = "nothing.pem"')
    assert "correct the paths" in named(gateway_doctor.examine(path))["broker_files"].next_step


@pytest.mark.parametrize(
    ("begins", "ends", "name", "level"),
    [
        (NOW - 9 * DAY, NOW - DAY, "certificate_expired", "fault"),
        (NOW - 9 * DAY, NOW + 8 * DAY, "certificate_ends", "warning"),
        (NOW + DAY, NOW + 90 * DAY, "clock_behind", "fault"),
    ],
)
def test_the_gateways_own_certificate_and_the_clock_are_judged(
    begins: datetime.datetime, ends: datetime.datetime, name: str, level: str, city: City
) -> None:
    certificate(city.folder, begins, ends)
    (city.folder / "gateway.cert.pem").write_bytes((city.folder / "broker.pem").read_bytes())
    found = named(gateway_doctor.examine(configured(city, 9)))[name]
    assert found.level == level
    assert f"{(ends if level != 'fault' or name != 'clock_behind' else begins):%Y-%m-%d}" in found.evidence


def test_a_clock_that_was_never_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 86400.0)
    (found,) = clocks.examine()
    assert (found.name, found.evidence) == ("clock_unset", "1970-01-02 00:00:00 UTC")


@pytest.mark.parametrize(("unsynchronised", "name"), [(5, "clock_unsynchronised"), (0, "clock")])
def test_the_kernels_word_on_its_clock_counts(unsynchronised: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        def adjtimex(self, _room: Any) -> int:
            return unsynchronised

    monkeypatch.setattr("ctypes.CDLL", lambda _name: Kernel())
    assert [each.name for each in clocks.examine()] == [name]


@contextmanager
def time_server(ahead_s: float) -> Iterator[str]:
    """A time server of RFC 5905 whose clock is so far ahead of this one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        line.settimeout(60)

        def serve() -> None:
            asked, sender = line.recvfrom(512)
            now_s = time.time() + ahead_s + 2_208_988_800
            stamp = struct.pack(">2I", int(now_s), int(now_s % 1 * (1 << 32)))
            line.sendto(struct.pack(">BBbb3I", 0x24, 2, 6, -20, 0, 0, 0) + stamp + asked[40:48] + stamp * 2, sender)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{line.getsockname()[1]}"
        thread.join(60)


@pytest.mark.parametrize(("ahead_s", "said"), [(-300, "300 s ahead"), (7200, "7200 s behind"), (0, "within 5 s")])
def test_a_clock_is_measured_against_a_time_server(ahead_s: float, said: str) -> None:
    with time_server(ahead_s) as server:
        (found,) = clocks.examine(server)
    assert said in found.what
    assert (found.level == "ok") is (ahead_s == 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    (found,) = clocks.examine(f"127.0.0.1:{port}")
    assert (found.name, found.level) == ("time_server", "warning")


def test_a_platform_over_http_is_tried_and_its_clock_compared(city: City) -> None:
    class Old(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(404)
            self.send_header("Date", "Mon, 05 Jan 2026 10:00:00 GMT")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Old)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = configured(city, 9)
    url = f"http://127.0.0.1:{server.server_port}"
    path.write_text(f'{path.read_text()}\n[[platforms]]\ntype = "ngsi_ld"\nname = "context"\nurl = "{url}"\n')
    found = gateway_doctor.examine(path)
    server.shutdown()
    server.server_close()
    assert "context: 127.0.0.1" in next(each.what for each in found if each.name == "broker")
    assert "ahead of that of context" in named(found)["clock_differs"].what


def test_whom_the_running_gateway_refuses_is_told_with_the_reason(
    city: City, mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = Port(tmp_path / "board")
    known, wrong = city.device(1), city.device(3)
    wrong.app_key = bytes(16)
    daemon = Daemon(city.config(port.path, mosquitto.port)).ready()
    try:
        port.join(known)
        port.send(wrong.join_request())
        known.dev_nonce = -1
        port.send(known.join_request())
        quarantine = city.folder / "state" / gateway_doctor.QUARANTINE_FILE
        until(lambda: quarantine.exists() and len(json.loads(quarantine.read_text())) >= 2, "two who are refused", 90)
        assert main(["doctor", "--gateway", str(daemon.config), "--json"]) == 0
        found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
        assert f"process {daemon.process.pid} and takes readings" in found["running"]["what"]
        assert found["broker"]["level"] == "ok"
        assert found["refused_not_authentic"]["next_step"].endswith(f"--device {wrong.dev_eui.hex()}")
        assert known.dev_eui.hex() in found["refused_wrong_nonce"]["next_step"]
        only = gateway_doctor.examine(daemon.config, only=wrong.dev_eui.hex())
        assert [each.level for each in only if each.name.startswith("refused")] == ["fault"]
        assert daemon.stop() == 0
    finally:
        daemon.kill()
        port.close()


def test_what_is_no_configuration_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--gateway", str(tmp_path / "none.toml")]) == 1
    assert "fault   config: The gateway's configuration cannot be read." in capsys.readouterr().out


@contextmanager
def serving(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port that says something and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    line.settimeout(10)
                    try:
                        line.recv(4096)
                        answer(line)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)
