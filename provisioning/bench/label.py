# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Labels: a QR code after LoRaWAN TR005 and the same in words, as a picture, a sheet of pictures, or ZPL.

TR005, "LoRaWAN Device Identification QR Codes", 1.0, section 4: fields between colons, in the characters that QR codes
take in their alphanumeric mode; optional fields begin with their letter; the last is a CRC-16 (Modbus) of all before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provisioning.errors import ConfigError, NotInstalled

if TYPE_CHECKING:
    from PIL.Image import Image

SCHEMA: Final = "D0"
NO_VENDOR: Final = "FFFF0000"
"""ProfileID of a maker without a VendorID of the LoRa Alliance; --profile-id gives a real one."""
_SERIAL: Final = re.compile(r"[0-9A-Z.\-]{1,32}")
_PROFILE: Final = re.compile(r"[0-9A-F]{8}")
_PX_PER_MM: Final = 12
_WIDTH_MM: Final = 60
_HEIGHT_MM: Final = 30
_QUIET_MODULES: Final = 4
_A4_MM: Final = (210.0, 297.0)
_MARGIN_MM: Final = 10.0
_ZPL_DOTS_PER_MM: Final = 8


@dataclass(frozen=True)
class Label:
    """What a label says. EUIs have 8 bytes."""

    dev_eui: bytes
    join_eui: bytes
    name: str
    kind: str
    city: str
    serial: str = ""
    profile_id: str = NO_VENDOR

    @property
    def code(self) -> str:
        """The text of the QR code. Raises ConfigError for a serial number or profile that TR005 has no room for."""
        if self.serial and not _SERIAL.fullmatch(self.serial):
            raise ConfigError("TR005 has no such serial number.", value=self.serial, next_step="use 0-9, A-Z, . and -")
        if not _PROFILE.fullmatch(self.profile_id):
            raise ConfigError("A ProfileID is 8 hexadecimal digits.", value=self.profile_id)
        parts = ["LW", SCHEMA, self.join_eui.hex().upper(), self.dev_eui.hex().upper(), self.profile_id]
        if self.serial:
            parts.append(f"S{self.serial}")
        text = ":".join(parts)
        return f"{text}:C{crc16_modbus(text.encode()):04X}"

    @property
    def lines(self) -> tuple[str, ...]:
        """The words beside it."""
        return (
            self.name,
            f"DevEUI {_spaced(self.dev_eui)}",
            f"JoinEUI {_spaced(self.join_eui)}",
            f"{self.kind.replace('_', ' ')}, {self.city}",
        )


def crc16_modbus(data: bytes) -> int:
    """CRC-16 with the reversed polynomial 0xA001 and initial value 0xFFFF (Modbus over serial line, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def picture(label: Label) -> Image:
    """The label as a picture in black and white, 12 pixels per millimetre. Raises NotInstalled."""
    pil, drawing, fonts = _pil()
    image: Image = pil.new("1", (_WIDTH_MM * _PX_PER_MM, _HEIGHT_MM * _PX_PER_MM), 1)
    height = image.height
    code = _qr(label.code)
    modules = code.symbol_size(border=_QUIET_MODULES)[0]
    side = modules * max(1, height // modules)
    drawn = pil.new("1", (modules, modules))
    drawn.putdata([0 if dark else 255 for row in code.matrix_iter(border=_QUIET_MODULES) for dark in row])
    image.paste(drawn.resize((side, side), pil.Resampling.NEAREST), (0, (height - side) // 2))
    left = side + _PX_PER_MM
    pen = drawing.Draw(image)
    for number, line in enumerate(label.lines):
        size = 3.2 if number == 0 else 2.2
        font = fonts.load_default(size * _PX_PER_MM)
        while pen.textlength(line, font=font) > image.width - left - _PX_PER_MM and size > 1:
            size -= 0.1
            font = fonts.load_default(size * _PX_PER_MM)
        pen.text((left, (4 + 6 * number) * _PX_PER_MM), line, font=font, fill=0)
    return image


def save_png(label: Label, path: Path) -> None:
    """Write the picture with its true size (dots per inch) in it."""
    dpi = _PX_PER_MM * 25.4
    picture(label).save(path, "PNG", dpi=(dpi, dpi))


def save_sheet(labels: Sequence[Label], path: Path) -> None:
    """Write labels as a PDF for A4 sheets, three by nine on a page. Raises NotInstalled."""
    try:
        from reportlab.lib.units import mm
        from reportlab.lib.utils import ImageReader
        from reportlab.pdfgen.canvas import Canvas
    except ImportError as error:
        raise _not_installed("reportlab") from error
    columns = int((_A4_MM[0] - 2 * _MARGIN_MM) // _WIDTH_MM)
    rows = int((_A4_MM[1] - 2 * _MARGIN_MM) // _HEIGHT_MM)
    sheet = Canvas(str(path), pagesize=(_A4_MM[0] * mm, _A4_MM[1] * mm), pageCompression=1)
    sheet.setTitle("Lykta labels")
    for number, label in enumerate(labels):
        place = number % (columns * rows)
        if number and place == 0:
            sheet.showPage()
        x_mm = _MARGIN_MM + place % columns * _WIDTH_MM
        y_mm = _A4_MM[1] - _MARGIN_MM - (place // columns + 1) * _HEIGHT_MM
        drawn = ImageReader(picture(label).convert("L"))
        sheet.drawImage(drawn, x_mm * mm, y_mm * mm, _WIDTH_MM * mm, _HEIGHT_MM * mm)
    sheet.save()


def zpl(label: Label) -> str:
    """The label for a Zebra printer with 8 dots per millimetre (ZPL II; ^BQ draws the QR code)."""
    dots = _ZPL_DOTS_PER_MM
    lines = [
        "^XA",
        "^CI28",
        f"^PW{_WIDTH_MM * dots}",
        f"^LL{_HEIGHT_MM * dots}",
        f"^FO{2 * dots},{2 * dots}^BQN,2,5^FDMA,{label.code}^FS",
    ]
    for number, line in enumerate(label.lines):
        high = 26 if number == 0 else 18
        lines.append(f"^FO{29 * dots},{(4 + 6 * number) * dots}^A0N,{high},{high}^FH^FD{_zpl_text(line)}^FS")
    return "\n".join([*lines, "^XZ", ""])


def _zpl_text(text: str) -> str:
    """With ^FH an underscore and two hexadecimal digits are a byte: ^, ~ and _ must not be read as commands."""
    return "".join(f"_{ord(char):02X}" if char in "^~_" else char for char in text)


def _spaced(eui: bytes) -> str:
    return " ".join(eui[start : start + 2].hex().upper() for start in range(0, 8, 2))


def _qr(text: str) -> Any:
    try:
        import segno
    except ImportError as error:
        raise _not_installed("segno") from error
    return segno.make_qr(text, error="m")


def _pil() -> tuple[Any, Any, Any]:
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise _not_installed("pillow") from error
    return Image, ImageDraw, ImageFont


def _not_installed(package: str) -> NotInstalled:
    return NotInstalled(
        "Labels as pictures need packages of the extra set.", value=package, next_step="make extra; or --zpl FILE"
    )
