# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Labels after LoRaWAN TR005: what their QR codes say is read by an independent decoder."""

import base64
import re
import sys
import zlib
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from provisioning.bench import label
from provisioning.bench.label import Label
from provisioning.errors import ConfigError, NotInstalled

LAMP = Label(
    bytes.fromhex("aabbccddeeff0011"), bytes.fromhex("1122334455667788"), "Södermalm lamp 12", "street_light", "Åby"
)


def read(image: Image.Image) -> str:
    (found,) = zxingcpp.read_barcodes(image.convert("L"))
    assert found.format == zxingcpp.BarcodeFormat.QRCode
    return str(found.text)


def test_the_check_sum_is_that_of_the_recommendations_own_example() -> None:
    """TR005 1.0, section 4: the text below, and behind it `:CAF2C`."""
    text = b"LW:D0:1122334455667788:AABBCCDDEEFF0011:AABB1122:OAABBCCDDEEFF:SYYWWNNNNNN:PFOOBAR"
    assert label.crc16_modbus(text) == 0xAF2C


def test_the_picture_is_read_by_a_phone(tmp_path: Path) -> None:
    label.save_png(LAMP, tmp_path / "lamp.png")
    with Image.open(tmp_path / "lamp.png") as image:
        assert read(image) == LAMP.code
        assert LAMP.code.startswith("LW:D0:1122334455667788:AABBCCDDEEFF0011:FFFF0000:C")
        dpi = image.info["dpi"][0]
        assert (round(image.width / dpi * 25.4), round(image.height / dpi * 25.4)) == (60, 30)


def test_a_long_name_stays_on_the_label(tmp_path: Path) -> None:
    long = Label(LAMP.dev_eui, LAMP.join_eui, "N" * 128, "street_light", "Åby", "2026-48.A1")
    assert read(label.picture(long)) == long.code
    assert ":S2026-48.A1:C" in long.code


def test_a_sheet_holds_every_label(tmp_path: Path) -> None:
    many = [Label(bytes([2, *[n] * 7]), LAMP.join_eui, f"lamp {n}", "street_light", "Åby") for n in range(1, 31)]
    label.save_sheet(many, tmp_path / "sheet.pdf")
    data = (tmp_path / "sheet.pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", data)) == 2
    streams = re.findall(rb"/Height (\d+).{0,300}?/Width (\d+).*?stream\r?\n(.*?)endstream", data, re.DOTALL)
    codes = set()
    for height, width, stream in streams:
        raw = zlib.decompress(base64.a85decode(stream.strip().removesuffix(b"~>")))
        size = (int(width), int(height))
        mode = "L" if len(raw) == size[0] * size[1] else "RGB"
        codes.add(read(Image.frombytes(mode, size, raw)))
    assert codes == {each.code for each in many}


def test_without_the_extra_packages_the_label_is_zpl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(NotInstalled, match="extra set"):
        label.picture(LAMP)
    assert LAMP.code in label.zpl(LAMP)


def test_zpl_draws_the_same_code_and_takes_no_commands_from_names() -> None:
    odd = Label(LAMP.dev_eui, LAMP.join_eui, "a^FD~JA_b", "street_light", "Åby")
    text = label.zpl(odd)
    assert f"^BQN,2,5^FDMA,{odd.code}^FS" in text
    assert "a_5EFD_7EJA_5Fb" in text
    assert text.startswith("^XA")
    assert text.rstrip().endswith("^XZ")


@pytest.mark.parametrize(("changed", "what"), [({"serial": "lower"}, "serial"), ({"profile_id": "12"}, "ProfileID")])
def test_what_the_recommendation_has_no_room_for_is_refused(changed: dict[str, str], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        _ = Label(LAMP.dev_eui, LAMP.join_eui, "lamp", "street_light", "Åby", **changed).code
