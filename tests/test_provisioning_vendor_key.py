# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A device for the bench with the key of its vendor: it is taken from a file, and shown nowhere."""

from pathlib import Path

import pytest

from provisioning.city import City
from provisioning.cli import main

EUI = "70b3d57ed0001234"
KEY = "00112233445566778899aabbccddee01"


def test_a_device_for_the_bench_may_bring_its_vendors_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, keys = tmp_path / "city", tmp_path / "keys.csv"
    keys.write_text(f"dev_eui,app_key\n{EUI},{KEY}\n")

    def say(*arguments: str, code: int = 0) -> str:
        assert main(["-C", str(home), *arguments]) == code
        printed = capsys.readouterr()
        assert KEY not in printed.out + printed.err
        return printed.out + printed.err

    say("init", "--city", "Lyktby")
    register = ("register", "--kind", "street_light", "--keys", str(keys))
    assert "--dev-eui" in say(*register, code=64)
    assert "no key for this device" in say(*register, "--dev-eui", "0200000000000abc", code=1)
    assert EUI in say(*register, "--dev-eui", EUI)
    say("devices", "--json")
    with City.open(home).registry() as registry:
        assert registry.app_key(bytes.fromhex(EUI)) == bytes.fromhex(KEY)
        assert [device.dev_eui.hex() for device in registry.devices()] == [EUI]
    assert bytes.fromhex(KEY) not in (home / "register.db").read_bytes(), "it is kept encrypted"
