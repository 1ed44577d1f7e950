# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The status page in a real browser: with eyes, keyboard or screen reader, on a phone and at night."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from tests.status_page_rig import ARTEFACTS, Page, chromium, device, in_trouble

ROOT = Path(__file__).resolve().parent.parent
AXE = ROOT / "tests" / "independent" / "node_modules" / "axe-core" / "axe.min.js"
LOOKS = [
    ("light", 1280, 900, False),
    ("dark", 390, 844, False),
    ("light", 390, 844, True),
    ("dark", 1280, 900, True),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    rows = [f"{device(number)['dev_eui']},{58.41 + number / 700},{15.6 + number / 300}" for number in range(4)]
    (folder / "places.csv").write_text("\n".join(["dev_eui,latitude_deg,longitude_deg", *rows]))
    made = Page(folder, positions="places.csv").start()
    yield made
    made.stop()


def shown(browser: Browser, page: Page, scheme: str = "light", width: int = 1280, height: int = 900) -> Tab:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=False,
    )
    tab = context.new_page()
    tab.goto(page.url)
    tab.wait_for_selector("body[data-shown=yes]")
    return tab


@pytest.mark.parametrize(("scheme", "width", "height", "trouble"), LOOKS)
def test_nothing_is_in_anybodys_way(
    browser: Browser, page: Page, scheme: str, width: int, height: int, trouble: bool
) -> None:
    before = page.found
    page.found = in_trouble() if trouble else before
    try:
        tab = shown(browser, page, scheme, width, height)
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        name = f"test-{'trouble' if trouble else 'well'}-{scheme}-{width}.png"
        tab.screenshot(path=ARTEFACTS / name, full_page=True)
        tab.evaluate(AXE.read_text(encoding="utf-8"))  # through the debugger: the policy allows no foreign script
        found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
        assert len(found["passes"]) > 20
        wide = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, "a phone would have to scroll sideways"
    finally:
        page.found = before
        tab.context.close()


def test_what_the_gateway_says_is_on_the_page(browser: Browser, page: Page) -> None:
    tab = shown(browser, page)
    assert tab.get_by_role("status").inner_text() == "All is well"
    assert "Storgatan 1" in tab.get_by_role("table").inner_text()
    assert tab.get_by_role("row").count() == 10
    text = tab.inner_text("main")
    for part in ("125\u202f988", "air", "/dev/ttyACM0", "868.0–868.60 MHz", "replayed", "SNR 9 dB, SF7", "90 %"):
        assert part in text, part
    assert tab.locator("#map circle").count() == 4
    assert tab.locator("#map path.gateway").count() == 2
    assert tab.locator("#map text").all_text_contents()[0] == "Storgatan 1", "few places have their names beside them"
    assert tab.locator("#map circle.late").count() == 0
    assert "now, at most" in tab.inner_text("#plots")
    assert tab.get_by_role("img", name="Frames heard").count() == 1
    assert tab.locator("#problems").is_hidden()
    tab.context.close()


def hidden_letters(tab: Tab) -> tuple[int, int, list[Any]]:
    """How many names and how many marks the map has, and the names that have something on their letters."""
    texts, marks = (
        tab.eval_on_selector_all(
            selector,
            "all => all.map(one => one.getBBox()).map(at => [at.x, at.y, at.x + at.width, at.y + at.height])",
        )
        for selector in ("#map text", "#map circle, #map path.gateway")
    )
    others = [*marks, *texts]
    hidden = [
        (one, other)
        for one in texts
        for other in others
        if other is not one
        and min(one[2], other[2]) - max(one[0], other[0]) > 1
        and min(one[3], other[3]) - max(one[1], other[1]) > 3  # the box of a text has room above its letters
    ]
    return len(texts), len(marks), hidden


@pytest.mark.parametrize("width", [1280, 390])
def test_no_mark_on_the_map_hides_a_letter_of_a_name(browser: Browser, page: Page, width: int) -> None:
    before = page.found
    page.found = found = json.loads(json.dumps(before))
    forwarders = [each for link in found["links"] for each in link.get("gateways", [])]
    forwarders[0] |= {"latitude_deg": 58.41, "longitude_deg": 15.6032}  # where the first device's name would begin
    tab = shown(browser, page, width=width)
    try:
        names, marks, hidden = hidden_letters(tab)
        assert (names, marks) == (4, 6)
        assert hidden == []
    finally:
        page.found = before
        tab.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_names_of_devices_in_a_heap_do_not_stand_on_each_other(browser: Browser, tmp_path: Path, width: int) -> None:
    places = [*((58.41 + number / 1e5, 15.61 + number % 2 / 1e5) for number in range(6)), (58.42, 15.63)]
    rows = [f"{device(number)['dev_eui']},{north},{east}" for number, (north, east) in enumerate(places)]
    (tmp_path / "places.csv").write_text("\n".join(["dev_eui,latitude_deg,longitude_deg", *rows]))
    page = Page(tmp_path, positions="places.csv").start()
    tab = shown(browser, page, width=width)
    try:
        names, marks, hidden = hidden_letters(tab)
        assert hidden == []
        assert 3 <= names < 7 <= marks
        assert "Names that have no room here are in the list." in tab.inner_text("#map figcaption")
    finally:
        tab.context.close()
        page.stop()


def test_news_come_by_themselves_and_silence_is_told(browser: Browser, page: Page) -> None:
    before = page.found
    tab = shown(browser, page)
    try:
        said: list[str] = []
        tab.on("console", lambda message: said.append(message.text))
        link = tab.locator("#links li").first
        tab.evaluate("document.querySelector('#refused li').mine = 'kept'")
        page.found = in_trouble()
        tab.wait_for_selector("#problems:not([hidden])")
        assert "2 things need a person now, 2 soon" in tab.get_by_role("status").inner_text()
        assert "latform city is not connected" in tab.inner_text("#problem-list")  # the page writes it with a capital
        assert tab.evaluate("document.querySelector('#refused li').mine") == "kept", "what did not change was replaced"
        assert "away for 40 min" in link.inner_text()
        assert tab.locator("#platforms .state.bad").count() == 1, "what is an error above is one below"
        assert "812" in tab.inner_text("#path li.stuck:last-child")
        assert "Lykta" in tab.title()
        assert said == [], "the browser complained"
    finally:
        page.found = before
        tab.context.close()


def test_text_from_devices_is_text(browser: Browser, page: Page) -> None:
    before = page.found
    wicked = "<img src=x onerror=document.body.dataset.owned=1>"
    page.found = {**before, "devices": [{**device(0), "name": wicked, "kind": wicked, "values": {wicked: 1.5}}]}
    try:
        tab = shown(browser, page)
        assert wicked.replace("_", " ") in tab.inner_text("#devices")
        assert tab.evaluate("document.body.dataset.owned") is None
        tab.context.close()
    finally:
        page.found = before


def test_the_keyboard_reaches_everything(browser: Browser, page: Page) -> None:
    tab = shown(browser, page)
    reached = []
    for _ in range(7):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.className || document.activeElement.textContent.trim()"))
    assert reached[0] == "skip"
    assert "scroll" in reached
    assert {"status.json", "metrics"} <= set(reached)
    tab.context.close()
