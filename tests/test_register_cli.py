# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The register by its commands: from people and papers to a batch, a retirement, new keys; no secret is shown."""

import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.network.keyring import Keyring
from provisioning.city import City
from provisioning.cli import main
from provisioning.register import records
from tests.postgres import Postgres
from tests.register_rig import record

pytestmark = pytest.mark.xdist_group("postgres")


@dataclass
class Cli:
    """Runs commands in this process and keeps all that they printed."""

    home: Path
    capture: pytest.CaptureFixture[str]
    printed: list[str] = field(default_factory=list)

    def __call__(self, *arguments: str | Path, code: int = 0) -> str:
        found = main(["-C", str(self.home), *map(str, arguments)])
        output = self.capture.readouterr()
        self.printed += [output.out, output.err]
        assert found == code, output.out + output.err
        return output.out if code == 0 else output.out + output.err


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    monkeypatch.delenv("LYKTA_DEBUG", raising=False)
    monkeypatch.setenv("LYKTA_ACTOR", "a.person")
    # What rules say of a record is tested with the rules; here records wait as in a city without any.
    monkeypatch.setattr("provisioning.cli.devices.judge_of", lambda _city: None)
    monkeypatch.setattr("provisioning.cli.batches.judge_of", lambda _city: None)
    made = Cli(tmp_path / "city", capsys)
    made("init", "--city", "Lyktby")
    yield made


def _toml(folder: Path, name: str, **values: object) -> Path:
    path = folder / name
    path.write_text("".join(f"{key} = {_value(value)}\n" for key, value in values.items()))
    return path


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(value)


def _person(cli: Cli, folder: Path, name: str = "ciso-1", role: str = "ciso") -> Path:
    key = folder / f"{name}.pem"
    public = cli("role", "key", key).strip()
    cli("role", "add", name, "--name", "A. Person", "--role", role, "--org", "trafiknamnden", "--public-key", public)
    assert key.stat().st_mode & 0o777 == 0o600
    return key


def _waiver(folder: Path, name: str, **changes: object) -> Path:
    now = datetime.now(UTC)
    values = {
        "id": name,
        "rule_id": "SEC-9",
        "scope": {"device_ids": ["TRK-0001"]},
        "reason_code": "DELIVERY",
        "reason_text": "The new firmware comes with the delivery of week 50.",
        "requested_by": "B. Person",
        "approved_by": {"name": "A. Person", "role": "ciso"},
        "case_ref": "KS-2026-1",
        "issued": now,
        "expires": now + timedelta(days=20),
        "rulepack_version": "1",
        **changes,
    }
    return _toml(folder, f"{name}.toml", **values)


def test_from_people_to_a_disposed_device(cli: Cli, tmp_path: Path) -> None:
    assert "lykta org add" in cli(
        "role", "add", "x", "--name", "x", "--role", "ks", "--org", "nobody", "--public-key", "00" * 32, code=1
    )
    cli("org", "add", "trafiknamnden", "--name", "Trafiknämnden", "--kind", "namnd")
    assert "Trafiknämnden" in cli("org", "list")
    assert "--replace" in cli("org", "add", "trafiknamnden", "--name", "x", "--kind", "namnd", code=1)
    cli("platform", "add", "INT-01", "--name", "Integration", "--kind", "common", "--responsible", "trafiknamnden")
    assert json.loads(cli("platform", "list", "--json"))[0]["status"] == "active"
    key = _person(cli, tmp_path)
    path = tmp_path / "counter.toml"
    path.write_text('kind = "traffic_counter"\nname = "c 1"\nidentity = {dev_eui = "70B3D57ED0001234"}\n')
    assert cli("register", path) == "70b3d57ed0001234\n"
    assert "was registered before" in cli("register", path) + cli.printed[-1]
    assert "credentials.fingerprint" in cli("show", "c 1")
    for stage in ("approved", "installed", "operational"):
        assert cli("stage", "TRK-0001", stage, "--by", "C. Person") == f"TRK-0001 {stage}\n"
    shown = json.loads(cli("show", "70-b3-d5-7e-d0-00-12-34", "--json"))
    assert shown["lifecycle"]["installed_by"] == "C. Person"
    cli("waiver", "add", _waiver(tmp_path, "W-1"), "--as", "ciso-1", "--key", key)
    cli("waiver", "sign", _waiver(tmp_path, "W-2"), "--as", "ciso-1", "--key", key, "--out", tmp_path / "w2.cose")
    cli("waiver", "add", tmp_path / "w2.cose")
    assert "not signed" in cli("waiver", "add", _waiver(tmp_path, "W-3"), code=1)
    assert "This is no approval" in cli("approval", "add", tmp_path / "w2.cose", code=1)
    lines = json.loads(cli("waiver", "list", "--json"))
    assert [line["id"] for line in lines] == ["W-1", "W-2"]
    assert lines[0]["notes"] == ["ends in 19 days"]
    cli("waiver", "withdraw", "W-2", "--reason", "not needed")
    cli("retire", "TRK-0001", "--by", "D. Person")
    assert "cannot become operational" in cli("stage", "TRK-0001", "operational", code=1)
    cli("board", "make", "70b3d57ed0001234", tmp_path / "image", code=1)
    assert not (tmp_path / "image").exists()
    cli("stage", "TRK-0001", "disposed")
    assert [line["action"] for line in json.loads(cli("log", "show", "TRK-0001", "--json"))] == [
        *(
            "device.register",
            "device.approved",
            "device.installed",
            "device.operational",
            "device.retired",
            "device.disposed",
        )
    ]
    head = cli("log", "head").strip()
    assert cli("log", "verify", "--known", head).strip() == head
    assert "a.person" in cli("log", "show")


def test_what_is_stale_is_listed(cli: Cli, tmp_path: Path) -> None:
    cli("org", "add", "trafiknamnden", "--name", "Trafiknämnden", "--kind", "namnd")
    key = _person(cli, tmp_path)
    now = datetime.now(UTC)
    ended = {"issued": now - timedelta(seconds=2), "expires": now - timedelta(seconds=1)}  # a key is valid from today
    cli("waiver", "add", _waiver(tmp_path, "W-1", **ended), "--as", "ciso-1", "--key", key)
    far = {"expires": now + timedelta(days=300), "scope": {"batch_id": "BINS"}}
    cli("waiver", "add", _waiver(tmp_path, "W-2", **far), "--as", "ciso-1", "--key", key)
    notes = {line["id"]: line["notes"] for line in json.loads(cli("waiver", "list", "--stale", "--json"))}
    assert notes["W-1"][0].startswith("expired ")
    assert notes["W-2"] == ["names a batch without devices: BINS"]
    assert "nothing is stale" in cli("approval", "list", "--stale") + cli.printed[-1]


def test_a_batch_by_its_commands(cli: Cli, tmp_path: Path) -> None:
    batch = tmp_path / "bins.jsonl"
    batch.write_text(
        "".join(
            json.dumps(records.dump(record(number, kind="waste_level", batch="BINS"))) + "\n" for number in range(155)
        )
    )
    cli("import", batch)
    assert "155 registered" in cli.printed[-1]
    cli("import", batch)
    assert "155 already" in cli.printed[-1]
    assert len(json.loads(cli("list", "--batch", "BINS", "--json"))) == 155
    cli("export", "--out", tmp_path / "all.csv", "--batch", "BINS")
    assert (tmp_path / "all.csv").stat().st_mode & 0o777 == 0o600
    assert "never overwritten" in cli("export", "--out", tmp_path / "all.csv", code=1)
    with batch.open("a") as file:
        file.write('{"kind": "noise", "colour": "red"}\n' + json.dumps(records.dump(record(900))) + "\n")
    refused = cli("import", batch, code=1)
    assert "line 156" in refused
    assert "colour: unknown key" in refused
    assert "nothing was registered" in refused
    cli("import", batch, "--partial", code=1)
    assert len(cli("export").splitlines()) == 156


def test_no_secret_is_ever_shown(cli: Cli, tmp_path: Path) -> None:
    cli("org", "add", "trafiknamnden", "--name", "Trafiknämnden", "--kind", "namnd")
    signer = _person(cli, tmp_path)
    vendor_key = "c0ffee00112233445566778899aabb01"
    keys = tmp_path / "keys.csv"
    keys.write_text(f"dev_eui,app_key\n70b3d57ed0000001,{vendor_key}\n")
    batch = tmp_path / "batch.jsonl"
    batch.write_text("".join(json.dumps(records.dump(record(number))) + "\n" for number in (1, 2)))
    secrets = {vendor_key, signer.read_text().split("\n")[1], (cli.home / "kek").read_text().strip()}
    cli("import", batch, "--keys", keys)
    batch.write_text(json.dumps({"kind": "noise", "app_key": vendor_key}) + "\n")
    cli("import", batch, code=1)
    leaky = tmp_path / "leaky.toml"
    leaky.write_text(f'kind = "noise"\n[credentials]\nkind = "otaa"\nfingerprint = "{vendor_key}"\n')
    cli("register", leaky, code=1)
    leaky.write_text(f'kind = "noise"\n[credentials]\nkind = "otaa"\napp_key = "{vendor_key}"\n')
    cli("register", leaky, code=1)
    keys.write_text(f"dev_eui,app_key\n70b3d57ed0000001,{vendor_key}0\n")
    cli("import", batch, "--keys", keys, code=1)
    with City.open(cli.home).registry() as registry:
        secrets |= {registry.app_key(device.dev_eui).hex() for device in registry.devices()}
    cli("keys", "rotate", "TRK-0001")
    cli("keys", "rotate-kek")
    secrets |= set((cli.home / "kek").read_text().split())
    for command in (
        ["export"],
        ["export", "--format", "csv"],
        ["log", "show", "--json"],
        ["show", "TRK-0001"],
        ["devices"],
        ["list"],
    ):
        cli(*command)
    with City.open(cli.home).registry() as registry:
        secrets |= {registry.app_key(device.dev_eui).hex() for device in registry.devices()}
    assert len(secrets) == 6
    everything = "".join(cli.printed).lower()
    stored = b"".join(path.read_bytes() for path in cli.home.glob("register.db*")).lower()
    for secret in secrets:
        assert secret.lower() not in everything
        assert secret.lower().encode() not in stored
        if re.fullmatch(r"[0-9a-f]+", secret):
            assert bytes.fromhex(secret) not in stored


def test_the_kek_is_exchanged_while_gateways_go_on(cli: Cli) -> None:
    eui = cli("register", "--kind", "street_light").strip()
    city = City.open(cli.home)
    old = city.kek()
    with city.registry() as registry:
        key = registry.app_key(bytes.fromhex(eui))
    session = Keyring(old).seal(b"session", bytes.fromhex(eui), 1)
    cli("keys", "rotate-kek")
    assert (cli.home / "kek").stat().st_mode & 0o777 == 0o600
    both = city.kek()
    cli("keys", "rotate-kek")  # once more, as after an interruption: nothing is left to do
    assert "0 secrets" in cli.printed[-1]
    assert city.kek() == both
    assert Keyring(both).open(session, bytes.fromhex(eui), 1) == b"session"
    cli("keys", "rotate-kek", "--finish")
    assert city.kek() != both
    assert old.decode() not in city.kek().decode()
    with city.registry() as registry:
        assert registry.app_key(bytes.fromhex(eui)) == key
        (device,) = json.loads(cli("list", "--json"))
        shown = json.loads(cli("show", device["id"], "--json"))
        assert shown["credentials"]["fingerprint"] == f"hmac:{registry.keys().fingerprint(key).hex()}"
    (cli.home / "kek").write_bytes(old)
    assert "not the key-encryption key" in cli("devices", code=1)


def test_a_city_in_postgresql_keeps_its_password_apart(cli: Cli, postgres: Postgres, tmp_path: Path) -> None:
    secret = tmp_path / "db-password"
    secret.write_text(postgres.password + "\n")
    secret.chmod(0o600)
    cli.home = tmp_path / "served"
    refused = cli("init", "--city", "Lyktby", "--register", postgres.url(), code=1)
    assert "password" in refused
    assert not (cli.home / "lykta.toml").exists()
    url = postgres.url(with_password=False)
    cli("init", "--city", "Lyktby", "--register", url, "--password-ref", f"file:{secret}")
    assert sorted(path.name for path in cli.home.iterdir()) == ["ca", "kek", "lykta.toml"]
    eui = cli("register", "--kind", "street_light").strip()
    cli("gateway", "enroll", "gw", "--out", tmp_path / "gw")
    written = (tmp_path / "gw" / "gateway.toml").read_text()
    assert f'password = "file:{secret}"' in written
    assert eui in cli("devices")
    secret.write_text("wrong\n")
    cli("devices", code=1)
    cli.home = tmp_path / "second"
    cli("init", "--city", "Lyktby", "--register", url, "--password-ref", f"file:{secret}", code=1)
    secret.write_text(postgres.password)
    assert "already holds a register" in cli(
        *("init", "--city", "Lyktby", "--register", url, "--password-ref", f"file:{secret}"), code=1
    )
    assert postgres.password not in written + "".join(cli.printed)


def test_an_old_city_is_told_to_upgrade_and_is_upgraded(cli: Cli) -> None:
    vectors = Path(__file__).parent / "vectors" / "register"
    (cli.home / "register.db").unlink()
    database = sqlite3.connect(cli.home / "register.db")
    database.executescript((vectors / "version-1.sql").read_text())
    database.close()
    (cli.home / "kek").write_text(json.loads((vectors / "version-1.json").read_text())["kek"])
    assert "lykta upgrade" in cli("devices", code=1)
    cli("upgrade")
    assert "register.db.before-" in cli.printed[-1]
    assert len(cli("devices").splitlines()) == 4
    cli("upgrade")
    assert "nothing to do" in cli.printed[-1]
    cli("log", "verify")


def test_a_device_that_was_changed_behind_the_log_is_found(cli: Cli) -> None:
    cli("register", "--kind", "street_light", "--name", "lamp")
    cli("log", "verify")
    database = sqlite3.connect(cli.home / "register.db")
    with database:
        database.execute("UPDATE devices SET record = replace(record, 'lamp', 'other')")
    database.close()
    assert "LJU-0001 is not as its last entry" in cli("log", "verify", code=1)
