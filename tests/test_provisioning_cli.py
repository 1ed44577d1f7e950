# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The command line from outside: what it prints, which files it makes, how it refuses, and that it keeps secrets."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from boards.virtual.image import read_file
from firmware.node import slots
from firmware.wire import cbor
from gateway import config as gateway_config
from gateway.config import load_identity
from provisioning.city import City, create_city
from provisioning.cli import main
from provisioning.enroll import Broker, parse_broker, parse_lora
from provisioning.errors import ConfigError
from provisioning.identities import parse_eui
from provisioning.registry import Registry
from tests.signing_gateway import City as SigningCity

EUI = "70b3d57ed0001234"


@dataclass
class Cli:
    """Runs commands in this process and keeps all that they printed."""

    home: Path
    capture: pytest.CaptureFixture[str]
    printed: str = ""

    def __call__(self, *arguments: str | Path, code: int = 0) -> str:
        found = main(["-C", str(self.home), *map(str, arguments)])
        output = self.capture.readouterr()
        self.printed += output.out + output.err
        assert found == code, output.out + output.err
        return output.out if code == 0 else output.out + output.err


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.delenv("LYKTA_DEBUG", raising=False)
    made = Cli(tmp_path / "city", capsys)
    made("init", "--city", "Lyktby")
    return made


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in folder.rglob("*")}


def test_init_makes_a_city_with_private_secrets(cli: Cli) -> None:
    assert modes(cli.home) == {
        "lykta.toml": 0o644,
        "register.db": 0o600,
        "kek": 0o600,
        "ca": 0o700,
        "ca/ca.key.pem": 0o600,
        "ca/ca.cert.pem": 0o644,
    }
    assert City.open(cli.home).config.city.name == "Lyktby"


def test_init_never_touches_an_existing_city(cli: Cli, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in cli.home.rglob("*") if path.is_file()}
    refusal = cli("init", "--city", "Other", code=1)
    for part in ("lykta: This directory already holds a city", "found:", "why:", "next:", "lykta init"):
        assert part in refusal
    assert {path: path.read_bytes() for path in cli.home.rglob("*") if path.is_file()} == before
    half = tmp_path / "half"
    half.mkdir()
    (half / "kek").write_text("something of somebody")
    cli("init", half, "--city", "Other", code=1)
    assert [path.name for path in half.iterdir()] == ["kek"]


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb"])
def test_init_refuses_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        create_city(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_city_names_are_quoted(tmp_path: Path) -> None:
    name = 'Å"köping\\ [x] #1'
    assert create_city(tmp_path, name).config.city.name == name


def test_register_and_devices(cli: Cli) -> None:
    assert cli("devices", "--json") == "[]\n"
    chosen = cli("register", "--kind", "street_light").strip()
    given = cli("register", "--kind", "street_light", "--dev-eui", EUI.upper(), "--name", "Storgatan 1").strip()
    assert given == EUI
    assert parse_eui(chosen)
    devices = json.loads(cli("devices", "--json"))
    assert {device["dev_eui"] for device in devices} == {chosen, EUI}
    assert {device["name"] for device in devices} >= {"Storgatan 1"}
    table = cli("devices")
    for part in ("DevEUI", chosen, EUI, "street_light", "Storgatan 1", "registered"):
        assert part in table


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (["register", "--kind", "toaster"], 1, ["not known", "'toaster'", "street_light"]),
        (["register", "--kind", "street_light", "--dev-eui", "12"], 1, ["not 16 hexadecimal digits", "'12'"]),
        (["register", "--kind", "street_light", "--dev-eui", "0" * 16], 1, ["placeholder"]),
        (["register"], 64, ["--kind"]),
        (["register", "--kind", "street_light", "--app-key", "00"], 64, ["No such option"]),
        (["devices", "extra"], 64, ["unexpected"]),
        (["board", "make", EUI, "image"], 1, ["No device with this id, DevEUI or name", "lykta list"]),
        (["board", "run", "image", "--port", "tty"], 1, ["no such image"]),
        (["board", "make", EUI, "image", "--interval-ms", "1"], 64, ["--interval-ms"]),
        (["board", "run", "image", "--port", "tty", "--air", "air"], 1, ["no such image"]),
        (["gateway", "enroll", "x", "--out", "gw", "--broker", "host:0"], 1, ["address of a broker"]),
        (["gateway", "enroll", "x", "--out", "gw", "--lora-bind", "127.0.0.1:1700"], 1, ["--forwarder EUI"]),
        (["gateway", "enroll", "x", "--out", "gw", "--forwarder", "12"], 1, ["packet forwarder", "'12'"]),
        (["gateway", "enroll", "x", "--out", "gw", "--forwarder", EUI, "--forwarder", EUI], 1, ["listed twice"]),
        (["demo", "--link", "pigeon"], 1, ["'pigeon'", "lora, serial, ble, all"]),
        (["demo", "--link", "serial", "--devices", "2"], 1, ["one board", "--link lora --devices 2"]),
        (["verify"], 64, ["--broker", "--file"]),
        (["verify", "--broker", "a:1", "--file", "b"], 64, ["either"]),
        (["verify", "--file", "missing.seq"], 1, ["cannot be read"]),
        (["nothing"], 64, ["No such command"]),
        (["monitor", "nobody", "--broker", "a:1"], 1, ["No device has this name", "nobody", "devices lists names"]),
    ],
)
def test_refusals(cli: Cli, arguments: list[str], code: int, parts: list[str]) -> None:
    printed = cli(*arguments, code=code)
    for part in parts:
        assert part in printed
    assert "Traceback" not in printed


def test_a_directory_without_a_city(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-C", str(tmp_path), "devices"]) == 1
    printed = capsys.readouterr().err
    assert "no lykta.toml here" in printed
    assert "next:  go to the directory of your city" in printed


def test_wrong_kek_and_broken_configuration(cli: Cli) -> None:
    kek = cli.home / "kek"
    original = kek.read_bytes()
    kek.write_bytes(b"00" * 32)
    assert "not the key-encryption key of this register" in cli("devices", code=1)
    kek.write_bytes(b"nonsense")
    assert "not 64 hexadecimal digits" in cli("devices", code=1)
    kek.write_bytes(original)
    kek.chmod(0o644)
    assert "chmod 600" in cli("devices", code=1)
    kek.chmod(0o600)
    toml = cli.home / "lykta.toml"
    toml.write_text(toml.read_text().replace("url =", "ulr ="))
    assert "register.ulr: unknown key; allowed: kek, password, url; did you mean url?" in cli("devices", code=1)


def test_debug_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "provisioning.cli", "-C", str(tmp_path)]
    plain = subprocess.run([*command, "devices"], capture_output=True, text=True, check=False, timeout=60)
    assert (plain.returncode, "Traceback" in plain.stderr) == (1, False)
    debug = subprocess.run([*command, "--debug", "devices"], capture_output=True, text=True, check=False, timeout=60)
    assert debug.returncode != 0
    assert "Traceback" in debug.stderr
    assert "NotACity" in debug.stderr


def test_enroll_makes_a_gateway_that_is_ready_to_run(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "north"
    eui = cli("gateway", "enroll", "north", "--out", out, "--serial-port", "/dev/x y", "--broker", "[::1]:1884").strip()
    assert modes(out) == {"gateway.key.pem": 0o600, "gateway.cert.pem": 0o644, "gateway.toml": 0o644}
    loaded = gateway_config.load(out / "gateway.toml")
    load_identity(loaded)  # the gateway's own check: key, certificate and EUI belong together
    assert loaded.config.gateway.eui == eui
    kek = loaded.secret(loaded.config.register_.kek)
    with Registry.open(loaded.config.register_.url, kek, base=loaded.base) as registry:
        assert registry.city() == "Lyktby"
    listed = json.loads(cli("gateway", "list", "--json"))
    assert [(gateway["eui"], gateway["name"]) for gateway in listed] == [(eui, "north")]
    assert eui in cli("gateway", "list")


@pytest.mark.parametrize(
    "bind",
    ["1700", "host:1700", "127.0.0.1:", "127.0.0.1:65536", "::1:1700", "[::1%1]:1", "1.2.3.256:1"],
)
def test_addresses_that_no_packet_forwarder_reaches(bind: str) -> None:
    with pytest.raises(ConfigError, match="address to listen on"):
        parse_lora(bind, [EUI])


def test_enroll_for_packet_forwarders_and_bluetooth(cli: Cli, tmp_path: Path) -> None:
    other = "0200000000000a01"
    cli("gateway", "enroll", "north", "--out", tmp_path / "a", "--forwarder", EUI.upper(), "--forwarder", other)
    (link,) = gateway_config.load(tmp_path / "a" / "gateway.toml").config.links
    assert (link.type, link.bind, [each.eui for each in link.gateways]) == ("lora", "127.0.0.1:1700", [EUI, other])
    both = ("--serial-port", "/dev/x", "--lora-bind", "[::]:0", "--forwarder", EUI)
    cli("gateway", "enroll", "south", "--out", tmp_path / "b", *both)
    serial, lora = gateway_config.load(tmp_path / "b" / "gateway.toml").config.links
    assert (serial.type, serial.port, lora.type, lora.bind) == ("serial", "/dev/x", "lora", "[::]:0")
    cli("gateway", "enroll", "west", "--out", tmp_path / "c", "--ble")
    assert [each.type for each in gateway_config.load(tmp_path / "c" / "gateway.toml").config.links] == ["ble"]
    cli("gateway", "enroll", "hub", "--out", tmp_path / "d", "--serial-port", "/dev/x", "--serial-port", "/dev/y")
    ports = gateway_config.load(tmp_path / "d" / "gateway.toml").config.links
    assert [(each.name, each.port) for each in ports] == [("serial", "/dev/x"), ("serial-2", "/dev/y")]


def test_a_board_for_lora(cli: Cli, tmp_path: Path) -> None:
    cli("register", "--kind", "street_light", "--dev-eui", EUI)
    image = tmp_path / "board.image"
    cli("board", "make", EUI, image, "--link", "lora")
    assert "--air" in cli.printed
    record = slots.unpack(read_file(image, "/data/identity.a"))
    assert record is not None
    identity = cbor.loads(record[1], max_depth=6, max_items=256)
    assert (identity["link"], identity["board"]["lorawan"]) == ("lora", {"class": "C"})
    assert gateway_config.NetworkSection().class_c == ["street_light"]  # the gateway expects the same
    assert "serial, lora" in cli("board", "make", EUI, tmp_path / "other", "--link", "string", code=1)


def _identity(image: Path) -> dict[str, Any]:
    record = slots.unpack(read_file(image, "/data/identity.a"))
    assert record is not None
    found: dict[str, Any] = cbor.loads(record[1], max_depth=6, max_items=256)  # type: ignore[assignment]
    return found


def test_what_lorawan_is_to_do_on_a_board(cli: Cli, tmp_path: Path) -> None:
    cli("register", "--kind", "street_light", "--dev-eui", EUI)
    image = tmp_path / "board.image"
    options = ("--class", "A", "--no-adr", "--certification-port", "--receipt-every", "5")
    cli("board", "make", EUI, image, "--link", "lora", *options)
    identity = _identity(image)
    assert identity["board"]["lorawan"] == {"class": "A", "adr": False, "certification": True}
    assert identity["receipt_every"] == 5


def test_receipts_are_asked_for_as_often_as_the_link_can_bear(cli: Cli, tmp_path: Path) -> None:
    cli("register", "--kind", "street_light", "--dev-eui", EUI)
    for link, interval_ms, expected in (("serial", 1000, 8), ("lora", 60_000, 60), ("lora", 3_600_000, 4)):
        image = tmp_path / f"{link}-{interval_ms}"
        cli("board", "make", EUI, image, "--link", link, "--interval-ms", interval_ms)
        assert _identity(image)["receipt_every"] == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--link", "lora", "--class", "B"), ["lorawan.class = 'B'", "'A' or 'C'"]),
        (("--certification-port",), ["LoRaWAN", "certification", "--link lora"]),
        (("--link", "lora", "--receipt-every", "65"), ["--receipt-every"]),
    ],
)
def test_what_lorawan_cannot_do_is_refused(cli: Cli, tmp_path: Path, options: tuple[str, ...], said: list[str]) -> None:
    cli("register", "--kind", "street_light", "--dev-eui", EUI)
    shown = cli("board", "make", EUI, tmp_path / "image", *options, code=64 if "--receipt-every" in options else 1)
    assert all(text in shown for text in said), shown
    assert not (tmp_path / "image").exists()


def test_enroll_refuses_and_leaves_nothing_behind(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "north"
    eui = cli("gateway", "enroll", "north", "--out", out).strip()
    before = sorted(tmp_path.rglob("*"))
    assert "not empty" in cli("gateway", "enroll", "south", "--out", out, code=1)
    assert "this name" in cli("gateway", "enroll", "north", "--out", tmp_path / "b", code=1)
    assert "this EUI" in cli("gateway", "enroll", "south", "--out", tmp_path / "b", "--eui", eui, code=1)
    assert "placeholder" in cli("gateway", "enroll", "south", "--out", tmp_path / "b", "--eui", "f" * 16, code=1)
    assert sorted(tmp_path.rglob("*")) == before
    assert len(json.loads(cli("gateway", "list", "--json"))) == 1


@pytest.mark.parametrize(
    ("text", "broker"),
    [
        ("host", Broker("host", 1883)),
        ("h:1", Broker("h", 1)),
        ("[::1]", Broker("::1", 1883)),
        ("[::1]:8", Broker("::1", 8)),
    ],
)
def test_broker_addresses(text: str, broker: Broker) -> None:
    assert parse_broker(text) == broker
    assert parse_broker(str(broker)) == broker


@pytest.mark.parametrize("text", ["", ":", ":1883", "h:", "h:x", "h:0", "h:65536", "::1", "a:b:1", "h:99999999999"])
def test_broker_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_broker(text)


def test_no_secret_leaves_its_place(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything printed and every file but the board's own image is searched for the keys, in every spelling."""
    cli("register", "--kind", "street_light", "--dev-eui", EUI)
    cli("gateway", "enroll", "north", "--out", tmp_path / "gw")
    image = tmp_path / "board.image"
    cli("board", "make", EUI, image, "--interval-ms", "500")
    cli("board", "make", EUI, image, code=1)
    cli("register", "--kind", "street_light", "--dev-eui", EUI, code=1)
    cli("devices")
    cli("devices", "--json")
    cli("gateway", "list", "--json")
    with City.open(cli.home).registry() as registry:
        key = registry.app_key(bytes.fromhex(EUI))
    assert image.stat().st_mode & 0o777 == 0o600
    record = slots.unpack(read_file(image, "/data/identity.a"))
    assert record is not None
    identity = cbor.loads(record[1], max_depth=6, max_items=256)
    assert (identity["dev_eui"].hex(), identity["app_key"], identity["interval_ms"]) == (EUI, key, 500)
    assert (identity["kind"], identity["link"]) == ("street_light", "serial")
    assert slots.unpack(read_file(image, "/data/identity.b")) == record
    kek = (cli.home / "kek").read_text().strip()
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path not in (image, cli.home / "kek")]
    texts = [cli.printed.encode(), *(path.read_bytes() for path in files)]
    for secret in (key, bytes.fromhex(kek)):
        spellings = (
            secret,
            secret.hex().encode(),
            secret.hex().upper().encode(),
            base64.b64encode(secret).rstrip(b"="),
        )
        for text in texts:
            assert not any(spelling in text for spelling in spellings)
    assert sum(b"PRIVATE KEY" in text for text in texts) == 2  # of the authority and of the gateway
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_verify_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city = SigningCity()
    gateway = city.gateway()
    messages = [gateway.sign_next(2) for _ in range(4)]
    folder = tmp_path / "messages"
    folder.mkdir()
    (tmp_path / "ca.pem").write_bytes(city.pem)
    (folder / "gateway.pem").write_bytes(gateway.pem)
    for number, message in enumerate(messages):
        (folder / f"{number}.cose").write_bytes(message)
    common = ["-C", str(tmp_path), "verify", "--ca", str(tmp_path / "ca.pem")]

    def verify(path: Path, *arguments: str | Path) -> tuple[int, str]:
        code = main([*common, "--file", str(path), *map(str, arguments)])
        return code, capsys.readouterr().out

    code, output = verify(folder)
    assert (code, output.count(" seq ")) == (0, 8)
    assert "OK: every message is authentic" in output
    sequence, certificate = tmp_path / "all.seq", ("--certificate", folder / "gateway.pem")
    sequence.write_bytes(b"".join(messages))
    code, output = verify(sequence, *certificate, "--json", "--from-start")
    lines = [json.loads(line) for line in output.splitlines()]
    assert (code, len(lines), lines[-1]["summary"]["ok"]) == (0, 9, True)
    assert [line["seq"] for line in lines[:-1]] == list(range(1, 9))
    code, output = verify(sequence, *certificate, "--count", "3")
    assert (code, output.count(" seq ")) == (0, 4)
    for broken, part in (
        (messages[1:], "missing 2"),
        (messages[:1] + messages[2:], "missing 2"),
        ([messages[0], messages[1][:-1]], "refused 1 as Malformed"),
        ([*messages, b"noise"], "refused 1 as Malformed"),
        ([messages[0], messages[1][:-1] + bytes([messages[1][-1] ^ 1]), *messages[2:]], "refused 1 as NotAuthentic"),
    ):
        sequence.write_bytes(b"".join(broken))
        code, output = verify(sequence, *certificate, "--from-start")
        assert code == 1
        assert part in output
        assert output.endswith("NOT OK\n")
    sequence.write_bytes(messages[0])
    code, output = verify(sequence)  # without the gateway's certificate nothing is proven
    assert code == 1
    assert "never checked 1" in output
    sequence.write_bytes(b"")
    code, output = verify(sequence)
    assert code == 1
    assert "nothing is proven" in output


def test_verify_needs_an_authority(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.seq").touch()
    assert main(["-C", str(tmp_path), "verify", "--file", str(tmp_path / "x.seq")]) == 1
    assert "No certificate authority" in capsys.readouterr().err
    (tmp_path / "ca.pem").write_text("noise")
    assert main(["-C", str(tmp_path), "verify", "--file", "x", "--ca", str(tmp_path / "ca.pem")]) == 1
    assert "cannot be used" in capsys.readouterr().err
