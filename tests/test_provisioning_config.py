# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Strict TOML and references to secrets: errors say where, what and what is allowed, and never the secret."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from provisioning.errors import AlreadyExists, ConfigError, ProvisioningError, SecretError
from provisioning.private_files import write_new
from provisioning.secret_refs import load_secret
from provisioning.strict_toml import load, loads


class Serial(BaseModel):
    type: Literal["serial"]
    port: Path
    baud: int = 115200


class Lora(BaseModel):
    type: Literal["lora"]
    udp_port: int = 1700


class Section(BaseModel):
    eui: str
    password: str = ""
    ratio: float = 0


class Config(BaseModel):
    gateway: Section
    links: list[Annotated[Serial | Lora, Field(discriminator="type")]] = []
    register_: Annotated[Section | None, Field(alias="register")] = None


GOOD = '[gateway]\neui = "aa"\nratio = 1\n[[links]]\ntype = "serial"\nport = "/dev/x"\n[register]\neui = "bb"\n'


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(GOOD)
    config = load(path, Config)
    assert config.gateway.ratio == 1
    assert config.links == [Serial(type="serial", port=Path("/dev/x"))]
    assert config.register_ == Section(eui="bb")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[gateway", ["not TOML", "table declaration"]),
        ("", ["gateway: this key is missing"]),
        ('[gateway]\neui = "a"\neiu = "b"', ["gateway.eiu: unknown key", "allowed: eui, password, ratio", "mean eui?"]),
        ("[gateway]\neui = 5", ["gateway.eui:", "valid string", "found 5"]),
        ('[gateway]\neui = "a"\nratio = "1"', ["gateway.ratio:", 'found "1"']),
        (
            '[gateway]\neui = "a"\n[[links]]\ntype = "serial"\nport = "x"\nbaud = 9600.5',
            ["links[0].baud:", "9600.5"],
        ),
        (
            '[gateway]\neui = "a"\n[[links]]\ntype = "serial"\nport = "x"\nspeed = 1',
            ["links[0].speed: unknown key", "baud, port, type"],
        ),
        ('[gateway]\neui = "a"\n[[links]]\ntype = "wifi"', ["links[0]", "serial", "lora"]),
        (
            '[gateway]\neui = "a"\n[registers]\neui = "b"',
            ["registers: unknown key", "gateway, links, register", "mean register?"],
        ),
        (
            '[gateway]\neui = "a"\n[register]\neiu = "b"',
            ["register.eiu: unknown key", "register.eui: this key is missing"],
        ),
        ('eui = "a"\n[gateway]\neui = 2026-01-01', ["eui: unknown key"]),
    ],
)
def test_problems_are_told_with_their_place(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(path, Config)
    for part in [str(path), *parts]:
        assert part in refused.value.state


def test_values_that_may_be_secrets_are_not_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        loads('[gateway]\neui = "a"\npassword = 123456\n', Config)
    assert "123456" not in "\n".join(refused.value.lines())
    assert "password" in refused.value.state


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path / "none.toml", Config)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, Config)
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe5"')
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "latin.toml", Config)


def test_secrets_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_new(tmp_path / "kek", b"from a file\n")
    (tmp_path / "pass").write_text("from systemd")
    monkeypatch.setenv("LYKTA_TEST_SECRET", "from the environment")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_secret("file:kek", tmp_path) == b"from a file"
    assert load_secret(f"file:{tmp_path}/kek", Path("/")) == b"from a file"
    assert load_secret("env:LYKTA_TEST_SECRET", tmp_path) == b"from the environment"
    assert load_secret("credential:pass", tmp_path) == b"from systemd"


@pytest.mark.parametrize(
    ("ref", "match"),
    [
        ("hunter2", "not a reference"),
        ("hunter2:hunter2", "not a reference"),
        ("file:", "not a reference"),
        ("file:missing", "No such file"),
        ("file:open", "open to other users"),
        ("file:empty", "is empty"),
        ("file:long", "longer than"),
        ("env:LYKTA_NOT_SET", "not set"),
        ("credential:x", "no systemd credentials"),
    ],
)
def test_secrets_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str, match: str) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    write_new(tmp_path / "open", b"hunter2", 0o644)
    write_new(tmp_path / "empty", b"\n")
    write_new(tmp_path / "long", b"hunter2" * 10_000)
    with pytest.raises(SecretError, match=match) as refused:
        load_secret(ref, tmp_path)
    assert "hunter2" not in "".join(refused.value.lines())


def test_credentials_hold_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(SecretError, match="no path"):
        load_secret("credential:../kek", tmp_path)


def test_new_files_are_private_whole_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_new(path, b"first")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(AlreadyExists):
        write_new(path, b"second")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AlreadyExists):
        write_new(tmp_path / "link", b"second")
    assert path.read_bytes() == b"first"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["key", "link"]
    with pytest.raises(ProvisioningError, match="No such file"):
        write_new(tmp_path / "no" / "key", b"x")
    previous = os.umask(0o077)
    try:
        write_new(tmp_path / "public", b"x", 0o644)
    finally:
        os.umask(previous)
    assert (tmp_path / "public").stat().st_mode & 0o777 == 0o644
