# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the status page, into build/screenshots: `make screenshots`."""

import tempfile
from pathlib import Path

from tests import status_page_rig as rig


def main() -> None:
    """Take them."""
    rig.ARTEFACTS.mkdir(parents=True, exist_ok=True)
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
                for name, found in (("well", page.found), ("trouble", rig.in_trouble())):
                    page.found = found
                    for scheme in ("light", "dark"):
                        for device, size in (("desktop", (1280, 900)), ("phone", (390, 844))):
                            context = browser.new_context(
                                viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
                            )
                            tab = context.new_page()
                            tab.goto(page.url)
                            tab.wait_for_selector("body[data-shown=yes]")
                            path = rig.ARTEFACTS / f"status-{name}-{device}-{scheme}.png"
                            tab.screenshot(path=path, full_page=True)
                            context.close()
                            print(path)
        finally:
            page.stop()


if __name__ == "__main__":
    main()
