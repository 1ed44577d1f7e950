# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the status page, into build/screenshots: `make screenshots`; `--readme` draws the README's one anew."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests import status_page_rig as rig

SIZES = (("desktop", (1280, 900)), ("phone", (390, 844)))
README = Path("docs/pictures/status-page.svg")
_LICENSE = "<!-- SPDX-FileCopyrightText: 2026 The Lykta developers -->\n<!-- SPDX-License-Identifier: Apache-2.0 -->"


def shown(browser: rig.Browser, page: rig.Page, scheme: str, size: tuple[int, int]) -> Any:
    """Return a tab with the whole page."""
    tab = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
    ).new_page()
    tab.goto(page.url)
    tab.wait_for_selector("body[data-shown=yes]")
    return tab


def photograph(browser: rig.Browser, page: rig.Page) -> None:
    """Well and in trouble, light and dark, on a desk and on a phone."""
    rig.ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for name, found in (("well", page.found), ("trouble", rig.in_trouble())):
        page.found = found
        for scheme in ("light", "dark"):
            for device, size in SIZES:
                tab = shown(browser, page, scheme, size)
                path = rig.ARTEFACTS / f"status-{name}-{device}-{scheme}.png"
                tab.screenshot(path=path, full_page=True)
                tab.context.close()
                print(path)


def draw(browser: rig.Browser, page: rig.Page) -> None:
    """The README's picture, as words and shapes."""
    page.found = page.found | {"devices": page.found["devices"][:4], "devices_heard": 4}
    tab = shown(browser, page, "light", (1200, 900))
    picture = tab.evaluate(Path(__file__).with_name("page_as_svg.js").read_text(encoding="utf-8"))
    head, _, rest = picture.partition("\n")
    README.write_text(f"{head}\n{_LICENSE}\n{rest}\n", encoding="utf-8")
    tab.context.close()
    print(README)


def main() -> None:
    """Take them."""
    with tempfile.TemporaryDirectory() as folder:
        places = Path(folder) / "places.csv"
        lines = []
        for number in range(9):
            latitude_deg, longitude_deg = 58.412 + (number * 37 % 11) / 900, 15.612 + (number * 53 % 13) / 500
            lines.append(f"{rig.device(number)['dev_eui']},{latitude_deg},{longitude_deg}")
        places.write_text("\n".join(["dev_eui,latitude_deg,longitude_deg", *lines]))
        page = rig.Page(Path(folder), positions="places.csv").start()
        try:
            with rig.chromium() as browser:
                (draw if "--readme" in sys.argv else photograph)(browser, page)
        finally:
            page.stop()


if __name__ == "__main__":
    main()
