# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The register: what goes in comes out, what must not go in does not, keys open for their device alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.errors import (
    DuplicateEntry,
    InvalidIdentity,
    ProvisioningError,
    RegisterError,
    SecretError,
    TamperedSecret,
    UnknownDevice,
    UnknownKind,
    WrongKek,
)
from provisioning.identities import check_eui, new_eui, parse_eui, urn
from provisioning.keys import PURPOSE_APP_KEY, KeyBox, new_app_key, new_kek, parse_kek
from provisioning.registry import Registry

URL = "sqlite:///register.db"
EUI = bytes.fromhex("70b3d57ed0001234")
OTHER = bytes.fromhex("70b3d57ed0001235")


@pytest.fixture
def kek() -> bytes:
    return new_kek()


@pytest.fixture
def registry(tmp_path: Path, kek: bytes) -> Iterator[Registry]:
    with Registry.create(URL, kek, city="Lyktby", base=tmp_path) as created:
        yield created


def test_a_device_comes_back_as_it_was_registered(registry: Registry, tmp_path: Path, kek: bytes) -> None:
    device = registry.register_device("street_light", dev_eui=EUI, join_eui=OTHER, name="Storgatan 1", owner="park")
    key = registry.app_key(EUI)
    registry.close()
    with Registry.open(URL, kek, base=tmp_path) as again:
        assert again.device(EUI) == device
        assert again.devices() == [device]
        assert again.app_key(EUI) == key
        assert again.city() == "Lyktby"
    assert (device.dev_eui, device.join_eui, device.kind) == (EUI, OTHER, "street_light")
    assert (device.name, device.owner, device.state) == ("Storgatan 1", "park", "registered")


def test_what_is_left_out_is_chosen(registry: Registry) -> None:
    devices = [registry.register_device("street_light") for _ in range(20)]
    keys = {registry.app_key(device.dev_eui) for device in devices}
    assert len({device.dev_eui for device in devices}) == len(keys) == 20
    assert all(len(key) == 16 for key in keys)
    for device in devices:
        assert device.dev_eui[0] & 0x03 == 0x02  # locally administered, individual
        assert device.dev_eui not in registry.app_key(device.dev_eui)


def test_unknown_device(registry: Registry) -> None:
    assert registry.device(EUI) is None
    with pytest.raises(UnknownDevice) as refused:
        registry.app_key(EUI)
    assert isinstance(refused.value, LookupError)
    assert EUI.hex() in str(refused.value)


def test_duplicates_are_refused(registry: Registry) -> None:
    registry.register_device("street_light", dev_eui=EUI, name="one")
    key = registry.app_key(EUI)
    with pytest.raises(DuplicateEntry, match="DevEUI"):
        registry.register_device("street_light", dev_eui=EUI, name="two")
    with pytest.raises(DuplicateEntry, match="name"):
        registry.register_device("street_light", dev_eui=OTHER, name="one")
    with pytest.raises(DuplicateEntry, match="same AppKey") as refused:
        registry.register_device("street_light", dev_eui=OTHER, app_key=key)
    assert key.hex() not in "".join(refused.value.lines())
    assert len(registry.devices()) == 1


@pytest.mark.parametrize(
    "key",
    [
        bytes(16),
        b"\xff" * 16,
        bytes(range(16)),
        bytes(range(16, 0, -1)),
        EUI + EUI,
        EUI + bytes(8),
        b"12345678" + EUI[::-1],
        b"abcdefgh" * 2,
        b"short",
    ],
)
def test_keys_that_can_be_guessed_are_refused(registry: Registry, key: bytes) -> None:
    with pytest.raises(InvalidIdentity):
        registry.register_device("street_light", dev_eui=EUI, app_key=key)
    assert registry.devices() == []


def test_kind_name_and_eui_are_checked(registry: Registry) -> None:
    with pytest.raises(UnknownKind) as unknown:
        registry.register_device("toaster")
    assert "street_light" in unknown.value.next_step
    for name in ("", " ", "x" * 129, "a\nb", "\x1b[31m"):
        with pytest.raises(InvalidIdentity):
            registry.register_device("street_light", name=name)
    with pytest.raises(InvalidIdentity):
        registry.register_device("street_light", dev_eui=bytes(8))
    with pytest.raises(InvalidIdentity):
        registry.register_device("street_light", join_eui=b"\x11" * 8)


def test_wrong_kek_is_told_at_once(registry: Registry, tmp_path: Path) -> None:
    registry.close()
    with pytest.raises(WrongKek) as refused:
        Registry.open(URL, new_kek(), base=tmp_path)
    assert "not the key-encryption key" in refused.value.state


@pytest.mark.parametrize("kek", [b"", b"00" * 31, b"zz" * 32, b"x" * 31, b"00" * 33])
def test_malformed_kek(kek: bytes) -> None:
    with pytest.raises(SecretError) as refused:
        parse_kek(kek)
    assert len(kek) < 4 or kek.decode() not in "".join(refused.value.lines())


def test_tampered_and_exchanged_keys_do_not_open(registry: Registry, tmp_path: Path) -> None:
    registry.register_device("street_light", dev_eui=EUI)
    registry.register_device("street_light", dev_eui=OTHER)
    with sqlite3.connect(tmp_path / "register.db") as database:
        sealed = dict(database.execute("SELECT dev_eui, sealed FROM credentials"))
        # The key of one device under the name of the other.
        database.execute("UPDATE credentials SET sealed = ? WHERE dev_eui = ?", (sealed[OTHER.hex()], EUI.hex()))
        flipped = bytearray(sealed[OTHER.hex()])
        flipped[20] ^= 1
        database.execute("UPDATE credentials SET sealed = ? WHERE dev_eui = ?", (bytes(flipped), OTHER.hex()))
    database.close()
    for eui in (EUI, OTHER):
        with pytest.raises(TamperedSecret, match=r"does not open"):
            registry.app_key(eui)


@given(st.binary(max_size=64), st.binary(max_size=32), st.integers(0, 10_000), st.integers(1, 255))
def test_a_sealed_secret_opens_whole_or_not_at_all(secret: bytes, eui: bytes, position: int, flip: int) -> None:
    box = KeyBox(b"00" * 32)
    sealed = box.seal(PURPOSE_APP_KEY, eui, secret)
    assert box.open(PURPOSE_APP_KEY, eui, sealed) == secret
    changed = bytearray(sealed)
    changed[position % len(sealed)] ^= flip
    for purpose, device, data in (
        (PURPOSE_APP_KEY, eui, bytes(changed)),
        (PURPOSE_APP_KEY, eui, sealed[:-1]),
        (PURPOSE_APP_KEY, eui + b"x", sealed),
        ("other", eui, sealed),
    ):
        with pytest.raises(TamperedSecret):
            box.open(purpose, device, data)


def test_fingerprints_tell_equal_keys_under_one_kek_only() -> None:
    key, box, other = new_app_key(), KeyBox(new_kek()), KeyBox(new_kek())
    assert box.fingerprint(key) == box.fingerprint(key) != box.fingerprint(new_app_key())
    assert box.fingerprint(key) != other.fingerprint(key)
    assert "KeyBox(…)" in f"{box!r}"


def test_no_register_newer_register_and_damaged_register(registry: Registry, tmp_path: Path, kek: bytes) -> None:
    registry.close()
    with pytest.raises(RegisterError, match="no register"):
        Registry.open("sqlite:///missing.db", kek, base=tmp_path)
    assert not (tmp_path / "missing.db").exists()
    (tmp_path / "empty.db").touch()
    with pytest.raises(RegisterError, match="no register"):
        Registry.open("sqlite:///empty.db", kek, base=tmp_path)
    (tmp_path / "noise.db").write_bytes(b"no database " * 1000)
    with pytest.raises(RegisterError):
        Registry.open("sqlite:///noise.db", kek, base=tmp_path)
    for url in ("no url", "sqlite://", "oracle7://x/y"):
        with pytest.raises(RegisterError):
            Registry.open(url, kek, base=tmp_path)
    with pytest.raises(DuplicateEntry, match="already holds"):
        Registry.create(URL, kek, city="Other", base=tmp_path)
    database = sqlite3.connect(tmp_path / "register.db")
    with database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(RegisterError, match="newer"):
        Registry.open(URL, kek, base=tmp_path)


REGISTER_MANY = """
import sys
from collections.abc import Iterator
from pathlib import Path
from provisioning.errors import DuplicateEntry
from provisioning.registry import Registry
base, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
refused = 0
with Registry.open("sqlite:///register.db", (base / "kek").read_bytes(), base=base) as registry:
    for number in range(count):
        registry.register_device("street_light", name=f"{who}-{number}")
        assert len(registry.app_key(registry.devices()[0].dev_eui)) == 16
        try:
            registry.register_device("street_light", name=f"shared-{number}")
        except DuplicateEntry:
            refused += 1
print(refused)
"""


def test_several_processes_write_and_read_at_once(registry: Registry, tmp_path: Path, kek: bytes) -> None:
    (tmp_path / "kek").write_bytes(kek)
    registry.register_device("street_light")
    count = 15
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", REGISTER_MANY, str(tmp_path), who, str(count)], stdout=subprocess.PIPE, text=True
        )
        for who in ("a", "b", "c")
    ]
    refused = 0
    for worker in workers:
        output, _ = worker.communicate(timeout=90)
        assert worker.returncode == 0
        refused += int(output)
    assert refused == 2 * count  # of three that want a name, one gets it
    assert len(registry.devices()) == 1 + 3 * count + count


def test_a_busy_register_is_an_error_with_advice(
    registry: Registry, tmp_path: Path, kek: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.register.plain.BUSY_TIMEOUT_MS", 50)
    registry.close()
    blocker = sqlite3.connect(tmp_path / "register.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        with Registry.open(URL, kek, base=tmp_path) as again:
            assert again.devices() == []  # readers are not held up
            with pytest.raises(RegisterError, match="locked") as refused:
                again.register_device("street_light")
        assert refused.value.next_step
    finally:
        blocker.close()


def test_gateways(registry: Registry) -> None:
    certificate = {"certificate_pem": "PEM", "not_after": registry.register_device("street_light").created_at}
    gateway = registry.add_gateway(EUI, "north", certificate_sha256=bytes(32), **certificate)  # type: ignore[arg-type]
    assert registry.gateways() == [gateway]
    assert registry.gateway(EUI) == gateway
    assert registry.gateway(OTHER) is None
    for eui, name, digest in ((EUI, "x", b"1"), (OTHER, "north", b"2"), (OTHER, "south", bytes(32))):
        with pytest.raises(DuplicateEntry):
            registry.add_gateway(eui, name, certificate_sha256=digest, **certificate)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["70b3d57ed0001234", "70B3D57ED0001234", "70-b3-d5-7e-d0-00-12-34", "70:b3:d5:7e:d0:00:12:34"]
)
def test_eui_as_people_write_it(text: str) -> None:
    assert parse_eui(text) == EUI
    assert urn(parse_eui(text)) == "urn:dev:mac:70b3d57ed0001234"


@pytest.mark.parametrize(
    "text",
    ["", "70b3d57ed000123", "70b3d57ed00012345", "70b3d57ed000123g", "0" * 16, "f" * 16, "11" * 8, "\u0667" * 16],
)
def test_eui_that_is_none(text: str) -> None:
    with pytest.raises(InvalidIdentity) as refused:
        parse_eui(text)
    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value, ProvisioningError)


def test_new_euis_are_valid() -> None:
    for _ in range(200):
        check_eui(new_eui())
