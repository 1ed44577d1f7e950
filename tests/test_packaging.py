# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The service as systemd judges it, and the installation of one, without root."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.errors import InstallError
from gateway.operate import install
from tests.gateway_rig import City
from tests.workers_rig import workers_config

ROOT = Path(__file__).resolve().parent.parent
UNIT = (install.UNITS / "lykta-gateway.service").read_text(encoding="utf-8")
WORKER = (install.UNITS / "lykta-gateway-worker@.service").read_text(encoding="utf-8").replace("%i", "1")
FRONT = (install.UNITS / "lykta-gateway-front.service").read_text(encoding="utf-8")
DEVICES = (install.UNITS / "devices.conf").read_text(encoding="utf-8")


def analyze(folder: Path, unit: str, *options: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is not installed: `make test` needs a Linux with systemd's tools")
    names = {WORKER: "lykta-gateway-worker@1.service", FRONT: "lykta-gateway-front.service"}
    path = folder / names.get(unit, "lykta-gateway.service")
    path.write_text(unit.replace("/usr/bin/lykta-gateway", "/bin/true"), encoding="utf-8")
    command = ["systemd-analyze", *options, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def with_devices() -> str:
    """The unit and its drop-in, as systemd reads the two."""
    service = DEVICES.partition("[Service]\n")[2]
    return UNIT.replace("[Install]", f"{service}\n[Install]")


@pytest.mark.parametrize(
    ("unit", "tenths"),
    [(UNIT, 15), (WORKER, 15), (FRONT, 15), (with_devices(), 20)],
    ids=["lora", "worker", "front", "devices"],
)
def test_its_exposure_stays_low(tmp_path: Path, unit: str, tenths: int) -> None:
    done = analyze(tmp_path, unit, "security", "--offline=true", f"--threshold={tenths}", "--no-pager")
    assert done.returncode == 0, done.stdout[-400:] + done.stderr
    score = re.search(r"exposure level for .*?: ([0-9.]+)", done.stdout)
    assert score is not None
    assert 0 < float(score[1]) <= tenths / 10
    loose = unit
    for line in ("ProtectSystem=strict\n", "NoNewPrivileges=yes\n", "CapabilityBoundingSet=\n"):
        loose = loose.replace(line, "")
    done = analyze(tmp_path, loose, "security", "--offline=true", f"--threshold={tenths}", "--no-pager")
    assert done.returncode != 0, "the measure does not see what matters"


@pytest.mark.parametrize("unit", [UNIT, WORKER, FRONT, with_devices()], ids=["lora", "worker", "front", "devices"])
def test_systemd_understands_every_line(tmp_path: Path, unit: str) -> None:
    done = analyze(tmp_path, unit, "verify", "--recursive-errors=yes", "--man=no")
    ours = [line for line in done.stderr.splitlines() if "lykta" in line]
    assert ours == []
    wrong = analyze(tmp_path, unit.replace("WatchdogSec=", "WatchdogSeconds="), "verify", "--man=no")
    assert "WatchdogSeconds" in wrong.stderr


def test_an_enrolled_gateway_becomes_a_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city = City(tmp_path / "city")
    (city.folder / "ca.pem").write_text("ca")
    config = city.config("/dev/ttyACM0", 1883, platform='password = "file:kek"\n[platforms.tls]\nca = "ca.pem"')
    root = tmp_path / "root"
    assert main(["install", "--config", str(config), "--root", str(root)]) == 0, capsys.readouterr().err
    text = (root / "etc/lykta/gateway.toml").read_text()
    assert "file:" not in text
    assert f'url = "sqlite:///{city.folder}/register.db"' in text
    assert 'state_dir = "/var/lib/lykta"' in text
    assert 'ca = "ca.pem"' in text
    assert (root / "etc/lykta/ca.pem").read_text() == "ca"
    names = set(re.findall(r'"credential:lykta_([^"]+)"', text))
    found = {path.name: path for path in (root / "etc/lykta/credentials").iterdir()}
    assert names == set(found) >= {"kek", "gateway.key.pem"}
    assert {path.stat().st_mode & 0o777 for path in found.values()} == {0o600}
    assert (root / "etc/lykta/credentials").stat().st_mode & 0o777 == 0o700
    assert city.kek.strip() in {path.read_bytes() for path in found.values()}
    drop_ins = root / "etc/systemd/system/lykta-gateway.service.d"
    assert (drop_ins / "devices.conf").read_text() == DEVICES
    assert f"ReadWritePaths={city.folder}\n" in (drop_ins / "register.conf").read_text()
    assert (root / "etc/systemd/system/lykta-gateway.service").is_file()
    assert city.folder.stat().st_mode & 0o1000, "without the sticky bit the service could replace the city's keys"
    assert main(["install", "--config", str(config), "--root", str(root)]) == 0, "again: newer files of the same one"
    assert {path.name for path in (root / "etc/lykta").iterdir()} == {
        "gateway.toml", "gateway.cert.pem", "ca.pem", "credentials",
    }  # fmt: skip
    city.registry.close()


def test_workers_and_their_front_are_as_shut_in_as_one_process() -> None:
    def lines(unit: str) -> set[str]:
        settings = unit.partition("[Service]\n")[2].partition("[Install]")[0].splitlines()
        own = ("Exec", "#", "Watchdog", "TimeoutStart", "RestartSec")
        return {line for line in settings if line and not line.startswith(own)}

    assert lines(WORKER) == lines(UNIT)
    assert lines(FRONT) == {line for line in lines(UNIT) if not line.startswith("LoadCredential=")}, (
        "it needs no secret"
    )


def test_a_gateway_of_workers_becomes_units(tmp_path: Path) -> None:
    city = City(tmp_path / "city")
    config = workers_config(city, 1700, count=3)
    made = install.plan(config)
    root = tmp_path / "root"
    install.put(made, root, lambda _: None)
    assert made.units == [
        "lykta-gateway-worker@1.service", "lykta-gateway-worker@2.service", "lykta-gateway-worker@3.service",
        "lykta-gateway-front.service", "lykta-gateway-workers.target",
    ]  # fmt: skip
    units = root / "etc/systemd/system"
    for each in made.units:
        assert (units / re.sub("@.", "@", each)).is_file()
    assert f"ReadWritePaths={city.folder}\n" in (units / "lykta-gateway-worker@.service.d/register.conf").read_text()
    city.registry.close()


def test_another_gateways_files_are_not_overwritten(tmp_path: Path) -> None:
    city = City(tmp_path / "city")
    root = tmp_path / "root"
    made = install.plan(city.config("/dev/ttyACM0", 1883))
    install.put(made, root, lambda _: None)
    before = (root / "etc/lykta/gateway.toml").read_text()
    made.text = made.text.replace("aabbccddeeff0011", "aabbccddeeff0012")
    with pytest.raises(InstallError, match="belongs to another gateway"):
        install.put(made, root, lambda _: None)
    assert (root / "etc/lykta/gateway.toml").read_text() == before
    city.registry.close()


def test_the_guide_and_the_trial_run_the_same_four_commands() -> None:
    def commands(text: str) -> list[str]:
        return [line for line in text.splitlines() if line and not line.startswith("#")]

    first_run = commands((ROOT / "packaging/deb/first-run.sh").read_text(encoding="utf-8"))
    guide = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    shown = guide.partition("<!-- first-run: begin -->")[2].partition("<!-- first-run: end -->")[0]
    assert 1 <= len(first_run) <= 4
    assert [line.removeprefix("# ") for line in shown.splitlines() if line.startswith("# ")] == first_run


def test_what_the_service_needs_is_packed() -> None:
    patterns = re.search(r'\[tool.setuptools.package-data\]\n"\*" = (\[.*?\])', (ROOT / "pyproject.toml").read_text())
    assert patterns is not None
    folders = [install.UNITS, ROOT / "gateway/operate/web/static"]
    suffixes = {path.suffix for folder in folders for path in folder.iterdir() if path.is_file()}
    assert {suffix for suffix in suffixes if f'"*{suffix}"' not in patterns[1]} == set()
