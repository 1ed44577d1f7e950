# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A configuration and certificates that change under a running gateway: taken whole or refused whole, no frame lost."""

import io
import json
import signal
import socket
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from consumer.errors import ConsumerError
from gateway.cli import main
from gateway.config import load, load_identity
from gateway.ends import _digest
from provisioning import pki
from tests.conftest import Mosquitto
from tests.gateway_rig import GATEWAY_EUI, City, Daemon, Port, Subscriber, until


def hang_up(daemon: Daemon) -> None:
    daemon.process.send_signal(signal.SIGHUP)


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def ask(daemon: Daemon, word: str, *options: str) -> Done:
    """A command of ``lykta-gateway``, in this process: a Python of its own costs a second each time."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([word, "--config", str(daemon.config), *options])
    return Done(code, out.getvalue(), err.getvalue())


def new_certificate(city: City) -> bytes:
    """Another key and certificate for the same gateway, under another authority's key of the same city."""
    ca_key, key = pki.new_key(), pki.new_key()
    city.ca = pki.create_ca(ca_key, "Lyktby")
    certificate = pki.issue_gateway_certificate(ca_key, city.ca, key.public_key(), GATEWAY_EUI, "gw")
    (city.folder / "gateway.key.pem").write_bytes(pki.private_key_pem(key))
    (city.folder / "gateway.cert.pem").write_bytes(pki.certificate_pem(certificate))
    city.certificate_pem = pki.certificate_pem(certificate)
    return city.certificate_pem


def test_reloads_under_load_drop_no_frame_and_leave_the_port_open(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    daemon = Daemon(city.config(port.path, mosquitto.port)).ready()
    daemons.append(daemon)
    port.join(device)
    text = daemon.config.read_text()
    for turn in range(5):  # each frame once: what a reload dropped would be missing for ever
        daemon.config.write_text(text.replace("[records]", f"[records]\nmax_batch = {turn + 3}"))
        for seq in range(turn * 40 + 1, turn * 40 + 41):
            port.send(device.readings(seq))
            if seq % 40 == 20:
                hang_up(daemon)
        daemon.wait_for("reloaded", turn + 1)
    until(lambda: daemon.stats().durable == 200, "every reading that was sent, once")
    until(lambda: daemon.stats().waiting == {"city": 0}, "everything published")
    assert len(daemon.saw("serial_open")) == 1
    assert len(daemon.saw("broker_connected")) == 1
    assert all(entry["adopted"] == entry["started"] == entry["stopped"] == [] for entry in daemon.saw("reloaded"))


def test_what_is_wrong_is_refused_whole_and_said(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    daemon = Daemon(city.config(port.path, mosquitto.port)).ready()
    daemons.append(daemon)
    port.join(device)
    text = daemon.config.read_text()
    wrong = {
        "[network": "TOML",
        "max_batch = 0": "records.max_batch",
        "buad = 9600": "buad",
    }
    daemon.config.write_text(text.replace("[network]", "[network"))
    for number, (line, said) in enumerate(wrong.items()):
        if number:
            daemon.config.write_text(text.replace("[records]", f"[records]\n{line}"))
        done = ask(daemon, "reload")
        assert done.returncode == 1
        assert said in done.stderr
        assert "goes on as it was" in done.stderr
        shown = ask(daemon, "status", "--json")  # of the gateway that runs, whatever became of its file
        assert (shown.returncode, json.loads(shown.stdout)["ready"]) == (2, True), shown
        assert said in shown.stderr
    daemon.config.write_text(text.replace("net_id = 0x000001", "net_id = 0x000002"))
    done = ask(daemon, "reload")
    assert "network.net_id (1 -> 2) cannot change while the gateway runs" in done.stderr
    (city.folder / "gateway.cert.pem").write_text("no certificate")
    daemon.config.write_text(text)
    assert ask(daemon, "reload").returncode == 1
    until(lambda: daemon.counters("reloads") == {"refused": 5}, "each to be counted")
    port.send(device.readings(1, oldest=1))
    device.take(port.receive() or b"")
    assert device.held == {1}
    problems = json.loads(ask(daemon, "status", "--json").stdout)["problems"]
    assert [each["what"] for each in problems] == ["the last reload was refused"]
    (city.folder / "gateway.cert.pem").write_bytes(city.certificate_pem)
    done = ask(daemon, "reload")
    assert (done.returncode, done.stdout) == (0, "reloaded; links and platforms went on undisturbed\n"), done.stderr
    assert json.loads(ask(daemon, "status", "--json").stdout)["problems"] == []
    assert daemon.stop() == 0
    daemon.config.write_text(text.replace("[network]", "[network"))
    shown = ask(daemon, "status")
    assert (shown.returncode, shown.stdout) == (2, ""), "nothing runs: only the file is left to talk of"
    assert "TOML" in shown.stderr


def test_renewed_certificates_drop_no_frame_and_are_published_before_anything_is_signed_with_them(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon]
) -> None:
    device = city.device()
    subscriber = Subscriber(mosquitto.port).start()
    daemon = Daemon(city.config(port.path, mosquitto.port)).ready()
    daemons.append(daemon)
    port.join(device)
    port.send(device.readings(1))
    until(lambda: len(subscriber.messages) == 1, "the first reading")
    verifiers = [city.verifier()]
    for turn in range(3):  # each frame once: what a renewal dropped would be missing for ever
        new_certificate(city)
        verifiers.append(city.verifier())
        for seq in range(turn * 20 + 2, turn * 20 + 22):
            port.send(device.readings(seq))
            if seq % 20 == 10:
                hang_up(daemon)
        assert daemon.wait_for("reloaded", turn + 1)["stopped"] == ["city"]
    until(lambda: daemon.stats().durable == 61, "every reading that was sent, once")
    until(lambda: daemon.stats().waiting == {"city": 0}, "everything published")
    last = 61 + 1
    port.send(device.readings(last))
    found: dict[int, int] = {}

    def all_came() -> bool:
        for message in list(subscriber.messages):
            for number, verifier in enumerate(verifiers):
                with suppress(ConsumerError):
                    found.update((each.seq, number) for each in verifier.check(message).readings)
        return set(found) == set(range(1, last + 1))

    until(all_came, "every reading under one of the certificates")
    subscriber.stop()
    assert (found[1], found[last]) == (0, 3)
    assert [found[seq] for seq in sorted(found)] == sorted(found.values()), "an old certificate after a new one"
    assert subscriber.certificates[-1] == city.certificate_pem
    assert not daemon.saw("task_restarts")


def test_platforms_and_links_come_and_go(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon], tmp_path: Path
) -> None:
    device, second = city.device(), Port(tmp_path / "second")
    daemon = Daemon(city.config(port.path, mosquitto.port)).ready()
    daemons.append(daemon)
    port.join(device)
    text = daemon.config.read_text()
    link = f'[[links]]\ntype = "serial"\nname = "more"\nport = "{second.path}"\n'
    platform = f'[[platforms]]\ntype = "mqtt"\nname = "copy"\nhost = "127.0.0.1"\nport = {mosquitto.port}\n'
    daemon.config.write_text(text + link + platform + 'topic_prefix = "copy/v1"\n')
    hang_up(daemon)
    assert sorted(daemon.wait_for("reloaded")["started"]) == ["copy", "more"]
    until(lambda: [each for each in daemon.saw("serial_open") if each["link"] == "more"], "the new port")
    second.send(device.readings(1, oldest=1))
    device.take(second.receive() or b"")
    until(lambda: daemon.stats().waiting == {"city": 0, "copy": 0}, "both platforms to have it")
    daemon.config.write_text(text)
    hang_up(daemon)
    assert sorted(daemon.wait_for("reloaded", 2)["stopped"]) == ["copy", "more"]
    port.send(device.readings(2))
    until(lambda: daemon.stats().waiting["city"] == 0 and daemon.stats().durable == 2, "the first platform goes on")
    second.close()
    assert daemon.stop() == 0


def test_a_forwarder_is_added_while_datagrams_come(
    city: City, mosquitto: Mosquitto, daemons: list[Daemon], tmp_path: Path, free_port: int
) -> None:
    def datagram(eui: str, token: int) -> bytes:
        return bytes([2, token >> 8, token & 0xFF, 2]) + bytes.fromhex(eui)

    first, added = "0200000000000a01", "0200000000000a02"
    one = f'[[links.gateways]]\neui = "{first}"\n'
    lora = f'[[links]]\ntype = "lora"\nname = "air"\nbind = "127.0.0.1:{free_port}"\n{one}'
    daemon = Daemon(city.config(tmp_path / "none", mosquitto.port, extra=lora)).ready()
    daemons.append(daemon)
    daemon.wait_for("lora_open")
    text = daemon.config.read_text()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forwarder:
        forwarder.settimeout(20)
        forwarder.connect(("127.0.0.1", free_port))
        daemon.config.write_text(text.replace(one, one + one.replace(first, added)))
        for token in range(200):
            forwarder.send(datagram(first, token))
            if token == 50:
                hang_up(daemon)
        answered = {int.from_bytes(forwarder.recv(64)[1:3], "big") for _ in range(200)}
        assert answered == set(range(200))
        assert daemon.wait_for("reloaded")["adopted"] == ["air"]
        forwarder.send(datagram(added, 7))
        assert forwarder.recv(64)[1:3] == b"\0\7"
    assert len(daemon.saw("lora_open")) == 1


def test_what_a_platform_was_built_of_includes_the_files_it_names(city: City) -> None:
    (city.folder / "ca.pem").write_text("one")
    path = city.config("/dev/none", 1883, platform='[platforms.tls]\nca = "ca.pem"')
    before = load(path)
    (settings,) = before.config.platforms
    found = [_digest(settings, before, load_identity(before)) for _ in range(2)]
    (city.folder / "ca.pem").write_text("two")
    found.append(_digest(settings, load(path), load_identity(before)))
    new_certificate(city)
    found.append(_digest(settings, load(path), load_identity(load(path))))
    assert len(set(found)) == 3


def test_status_says_how_it_is_to_people_and_programs(
    city: City, port: Port, mosquitto: Mosquitto, daemons: list[Daemon], capsys: pytest.CaptureFixture[str]
) -> None:
    device = city.device()
    config = city.config(port.path, mosquitto.port)
    assert main(["status", "--config", str(config)]) == 1
    assert "no gateway runs" in capsys.readouterr().err
    daemon = Daemon(config).ready()
    daemons.append(daemon)
    port.join(device)
    port.send(device.readings(1, 2, oldest=1))
    device.take(port.receive() or b"")
    until(lambda: json.loads(ask(daemon, "status", "--json").stdout)["platforms"][0]["connected"], "the broker")
    done = ask(daemon, "status")
    assert done.returncode == 0, done.stderr
    assert "takes readings" in done.stdout
    assert "device device-" in done.stdout or device.dev_eui.hex() in done.stdout
    found = json.loads(ask(daemon, "status", "--json").stdout)
    assert (found["live"], found["ready"], found["problems"]) == (True, True, [])
    assert [each["seq"] for each in found["devices"]] == [2]
    assert found["devices"][0]["held"] == 2
    assert {stage["name"] for stage in found["stages"]} == {
        "event loop",
        "intake and disk",
        "link bench",
        "platform city",
    }
    mosquitto.stop()
    until(lambda: not json.loads(ask(daemon, "status", "--json").stdout)["platforms"][0]["connected"], "it to be gone")
    port.send(device.readings(3, oldest=1))
    device.take(port.receive() or b"")
    until(lambda: json.loads(ask(daemon, "status", "--json").stdout)["platforms"][0]["waiting_envelopes"], "it to wait")
    found = json.loads(ask(daemon, "status", "--json").stdout)
    assert found["ready"]
    assert found["platforms"][0]["oldest_waiting_s"] < 60
    assert "platform city is not connected" in ask(daemon, "status").stdout
    until(lambda: f"at the last try: 127.0.0.1:{mosquitto.port}: " in ask(daemon, "status").stdout, "the reason")
    assert (daemon.state_dir / "control.sock").stat().st_mode & 0o777 == 0o600
    daemon.kill()  # leaves its socket behind
    assert ask(daemon, "status").returncode == 1
    daemons.append(Daemon(config).ready())
    assert ask(daemons[-1], "status").returncode == 0
    assert daemons[-1].stop() == 0
    assert not (daemon.state_dir / "control.sock").exists()
