# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""gateway.toml: what is wrong is refused with file, key path and what is allowed, and exit code 2."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import cli, config
from tests.gateway_rig import ROOT, City


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    return City(tmp_path_factory.mktemp("city"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Callable[[Path], Done]:
    """``check-config`` in this process: a Python of its own costs a second each time."""

    def run_check(config: Path) -> Done:
        code = cli.main(["check-config", "--config", str(config)])
        return Done(code, *capsys.readouterr())

    return run_check


def test_a_sound_configuration_is_ok(city: City, check: Callable[[Path], Done]) -> None:
    done = check(city.config("/dev/ttyACM0", 1883))
    assert (done.returncode, done.stdout) == (0, f"{city.folder}/gateway.toml: OK\n"), done.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[network]", "[netwrok]", ["netwrok", "unknown key", "network"]),
        ("net_id = 0x000001", "net_id = 'one'", ["network.net_id", "one"]),
        ("net_id = 0x000001", "net_id = 64", ["network.net_id", "63", "64"]),
        ("net_id = 0x000001", "dedup_ms = 900", ["network.dedup_ms", "500", "900"]),
        ("net_id = 0x000001", "rx1_delay_s = 0", ["network.rx1_delay_s", "1", "0"]),
        ("net_id = 0x000001", "adr_margin_db = 'low'", ["network.adr_margin_db", "low"]),
        ("net_id = 0x000001", "class_c = ['street_lamp']", ["network.class_c", "street_lamp", "street_light"]),
        ('eui = "aabbccddeeff0011"', 'eui = "AABB"', ["gateway.eui", "AABB"]),
        ('type = "serial"', 'type = "pigeon"', ["links", "pigeon", "serial", "lora"]),
        ('type = "serial"', 'type = "serial"\nbuad = 9600', ["buad", "unknown key", "baud"]),
        ('type = "serial"', 'type = "serial"\nbaud = "9600"', ["baud", "9600", "integer"]),
        ('type = "mqtt"', 'type = "smoke_signal"', ["platforms", "smoke_signal", "mqtt"]),
        ("retry_max_s = 0.5", 'protocol = "4"', ["protocol", "auto", "3.1.1"]),
        ("retry_max_s = 0.5", 'topic_prefix = "a/#"', ["topic_prefix", "a/#"]),
        ("retry_max_s = 0.5", "[platforms.tls]\ncert = 'c'", ["tls", "cert and key belong together"]),
        ("[records]", "[records]\nmax_batch = 0", ["records.max_batch", "1"]),
        ("[outbox]", "[outbox]\nmax_bytes = 1.5", ["outbox.max_bytes", "1.5"]),
        ('kek = "file:kek"', "", ["register.kek", "missing"]),
        ('kek = "file:kek"', 'kek = "file:nowhere"', ["nowhere"]),
        ('kek = "file:kek"', 'kek = "hunter2"', ["file:PATH"]),
        ('key = "file:gateway.key.pem"', 'key = "file:kek"', ["PEM"]),
        ('certificate = "gateway.cert.pem"', 'certificate = "gone.pem"', ["gone.pem"]),
        ("[gateway]", "[gateway", ["gateway.toml", "TOML"]),
    ],
)
def test_what_is_wrong_is_named(city: City, check: Callable[[Path], Done], old: str, new: str, said: list[str]) -> None:
    config = city.config("/dev/ttyACM0", 1883)
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    done = check(config)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    for part in said:
        assert part in done.stderr
    assert "hunter2" not in done.stderr, "what may be a secret is not repeated"


@pytest.mark.parametrize("old", ['key = "file:gateway.key.pem"', 'url = "sqlite:///register.db"'])
def test_the_daemon_does_not_start_on_a_wrong_configuration(city: City, old: str) -> None:
    config = city.config("/dev/ttyACM0", 1883)
    config.write_text(config.read_text().replace(old, 'key = "file:kek"'))
    done = run("run", "--config", str(config))
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr


def test_two_links_of_one_name_are_refused(city: City, check: Callable[[Path], Done]) -> None:
    done = check(city.config("/dev/a", 1883, extra='[[links]]\ntype = "serial"\nname = "bench"\nport = "/dev/b"\n'))
    assert done.returncode == 2
    assert "'bench' is given twice" in done.stderr


def test_a_missing_file_is_named(tmp_path: Path, check: Callable[[Path], Done]) -> None:
    done = check(tmp_path / "none.toml")
    assert done.returncode == 2
    assert str(tmp_path / "none.toml") in done.stderr


def test_a_gateway_without_a_register_fails_with_the_reason(city: City, check: Callable[[Path], Done]) -> None:
    config = city.config("/dev/ttyACM0", 1883)
    config.write_text(config.read_text().replace("sqlite:///register.db", "sqlite:///nothing.db"))
    done = check(config)
    assert done.returncode == 1
    assert "nothing.db" in done.stderr


OUTPUT = """
[[platforms]]
type = "ngsi_ld"
name = "feed"
url = "{url}"
{more}
"""


@pytest.mark.parametrize(
    ("url", "more", "said"),
    [
        ("ftp://broker", "", ["url", "ftp://broker", "https://"]),
        ("https://me:secret@broker", "", ["token"]),
        ("http://169.254.169.254", "", ["no platform"]),
        ("http://broker", 'token = "file:kek"', ["use https"]),
        ("https://broker", 'username = "me"', ["username and password"]),
        ("https://broker", '[platforms.release]\naudience = "open"', ["dataset"]),
        ("https://broker", '[platforms.release]\nkinds = ["tram"]', ["tram", "street_light"]),
        ("https://broker", "[platforms.release]\nk = 5", ["unknown key", "min_count"]),
    ],
)
def test_an_output_that_is_wrong_is_named(
    city: City, check: Callable[[Path], Done], url: str, more: str, said: list[str]
) -> None:
    done = check(city.config("/dev/ttyACM0", 1883, extra=OUTPUT.format(url=url, more=more)))
    assert done.returncode == 2, done.stderr
    for part in said:
        assert part in done.stderr


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ('platform_id = "INT-01"', ["platform feed", "PLAT-1", "lykta platform add"]),
        ('audience = "open"\ndataset = "LIGHT"', ["platform feed", "OPEN-2", "lykta dataset add"]),
    ],
)
def test_an_output_that_the_register_does_not_allow_is_refused(
    city: City, check: Callable[[Path], Done], release: str, said: list[str]
) -> None:
    more = f"[platforms.release]\n{release}"
    done = check(city.config("/dev/ttyACM0", 1883, extra=OUTPUT.format(url="https://broker", more=more)))
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    for part in said:
        assert part in done.stderr


def test_stats_of_a_gateway_that_never_ran(city: City) -> None:
    done = run("stats", "--config", str(city.config("/dev/ttyACM0", 1883)))
    assert done.returncode == 1
    assert "has not run yet" in done.stderr


def test_a_relative_port_lies_beside_the_file(city: City) -> None:
    for written, meant in (("board.tty", str(city.folder / "board.tty")), ("/dev/ttyACM0", "/dev/ttyACM0")):
        loaded = config.load(city.config(written, 1883))
        assert [getattr(link, "port", None) for link in loaded.links] == [meant]
