# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a platform in a real browser, wide and narrow, without a network and without scripts. WRITE_DOCS_IMAGES=1 writes the
picture in docs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.chromium import CONTRAST, WIDTH, Page, keep
from tests.platform_sample import ATTACK, CASES, written

IMAGE = Path(__file__).parents[2] / "docs" / "images" / "platform-page.png"
NARROW = 390
# Elements with a text of their own that are not inside of the window, and not in a part that scrolls.
OUTSIDE = """[...document.querySelectorAll("main *, header *")].filter(one => {
  const box = one.getBoundingClientRect();
  return box.width && !one.closest(".wide, svg, .hidden") && (box.left < 0 || box.right > innerWidth + 1);
}).map(one => one.outerHTML.slice(0, 80))"""


# Colours in the drawing: of what is behind, and of the letters.
DRAWN = """[...document.querySelectorAll(".graph circle, .node rect")].flatMap(one =>
  (one.tagName === "rect" ? [...one.parentElement.querySelectorAll("span")] : [one.nextElementSibling]).map(text =>
    [getComputedStyle(one).fill, one.tagName === "rect" ? getComputedStyle(text).color : getComputedStyle(text).fill]))"""


def contrast(*colours: str) -> float:
    """Of two colours as `rgb(…)` (WCAG 2.1, 1.4.3)."""
    lights = []
    for colour in colours:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.fixture(scope="module")
def pages(tab: Callable[[], Page], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    folder, opened = tmp_path_factory.mktemp("platform"), {}
    for case in CASES:
        opened[case] = tab()
        opened[case].open(written(folder, case))
        keep(opened[case], f"platform-{case}")
    return opened


def narrow(page: Page) -> None:
    page.send("Page.bringToFront")
    page.send("Emulation.setDeviceMetricsOverride", width=NARROW, height=800, deviceScaleFactor=1, mobile=True)


def wide(page: Page) -> None:
    page.send("Emulation.setDeviceMetricsOverride", width=WIDTH, height=900, deviceScaleFactor=1, mobile=False)


@pytest.mark.parametrize(
    ("case", "sign", "cards"),
    [
        ("well", "✓", "✓✓✓ii✓✓"),
        ("going-out", "✓", "✓✓✓ii✓✓"),
        ("broken", "✕", "✕✕✕ii✕✕"),
        ("without-prometheus", "?", "✓???i??"),
    ],
)
def test_the_answers_come_first_and_not_by_their_colours_alone(
    pages: dict[str, Page], case: str, sign: str, cards: str
) -> None:
    page = pages[case]
    assert page.value("getComputedStyle(document.getElementById('answer'), '::before').content") == f'"{sign}"'
    signs = "[...document.querySelectorAll('.card')].map(one => getComputedStyle(one, '::before').content[1]).join('')"
    assert page.value(signs) == cards
    assert page.value("document.getElementById('cards').getBoundingClientRect().bottom") < 420, (
        "all on the first screen"
    )


def test_every_card_leads_to_its_section(pages: dict[str, Page]) -> None:
    for page in pages.values():
        missing = "[...document.querySelectorAll('a.card')].filter(one => !document.querySelector(one.hash)).length"
        assert page.value(missing) == 0


def test_calls_are_told_apart_by_line_sign_and_words(pages: dict[str, Page]) -> None:
    page = pages["broken"]
    seen = """["mutual", "plain", "open"].map(kind => { const g = document.querySelector(`.graph g.${kind}`);
      const style = getComputedStyle(g.querySelector("path"));
      return [style.stroke, style.strokeDasharray, g.querySelector("text").textContent]; })"""
    mutual, plain, unknown = page.value(seen)
    assert [mutual[2], plain[2], unknown[2]] == ["✓", "✕", "?"]
    assert len({mutual[0], plain[0], unknown[0]}) == len({mutual[1], plain[1], unknown[1]}) == 3
    rows = page.value("[...document.querySelectorAll('td .security')].map(one => one.textContent.trim())")
    assert {"✓ mutual TLS", "✕ none: plain text", "? unknown"} == set(rows)


def test_all_of_the_drawing_and_the_lines_is_in_sight(pages: dict[str, Page]) -> None:
    outside = """[...document.querySelectorAll("svg rect, svg path, svg circle, svg polyline, svg text")].filter(one => {
      const [box, all] = [one.getBoundingClientRect(), one.closest("svg").getBoundingClientRect()];
      return box.left < all.left - 1 || box.right > all.right + 1 || box.top < all.top - 1 || box.bottom > all.bottom + 1;
    }).map(one => one.outerHTML.slice(0, 90))"""
    for page in pages.values():
        page.value("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert page.value(outside) == []


@pytest.mark.parametrize("width", [1200, 600])
def test_names_stay_in_their_boxes_and_signs_apart(pages: dict[str, Page], width: int) -> None:
    """Letters are measured, cut or not; a name that is cut is whole in the text of the page and in the box' title."""
    outside = """[...document.querySelectorAll(".node")].flatMap(one => {
      const box = one.querySelector("rect").getBoundingClientRect(), range = document.createRange();
      return [...one.querySelectorAll("span")].filter(span => span.textContent).map(span => {
        range.selectNodeContents(span);
        const [letters, seen] = [range.getBoundingClientRect(), span.getBoundingClientRect()];
        const cut = getComputedStyle(span).overflow === "hidden";
        return [cut ? seen.right : letters.right, seen.bottom, span.textContent];
      }).filter(([right, bottom]) => right > box.right - 2 || bottom > box.bottom);
    })"""
    names = """[...document.querySelectorAll(".node")].map(one => [
      one.querySelector("title").textContent.split(",")[0].split("/").pop(), one.querySelector(".name").textContent])"""
    hidden = """[...document.querySelectorAll(".graph g > circle")].filter(one => {
      const sign = one.getBoundingClientRect();
      return [...document.querySelectorAll(".node rect")].map(rect => rect.getBoundingClientRect()).some(box =>
        sign.right > box.left + 1 && sign.left < box.right - 1 && sign.bottom > box.top + 1 && sign.top < box.bottom - 1);
    }).length"""
    near = """(() => { const signs = [...document.querySelectorAll(".graph g > circle")]
      .map(one => [one.cx.baseVal.value, one.cy.baseVal.value]);
      return signs.flatMap(([x, y], n) => signs.slice(n + 1).map(([a, b]) => Math.hypot(x - a, y - b))).filter(d => d < 14).length; })()"""
    for case, page in pages.items():
        page.send("Page.bringToFront")
        page.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        keep(page, f"platform-{case}-{width}", top=300)
        assert page.value(outside) == [], case
        assert [one for one in page.value(names) if one[0] != one[1]] == [], case
        assert page.value(near) == 0, case
        assert page.value(hidden) == 0, case
        wide(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(pages: dict[str, Page], scheme: str) -> None:
    for page in pages.values():
        page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert page.value(CONTRAST) == []
        assert [pair for pair in page.value(DRAWN) if contrast(*pair) < 4.5] == []
        page.send("Emulation.setEmulatedMedia", features=[])


def test_it_fits_wide_and_narrow(pages: dict[str, Page]) -> None:
    for case, page in pages.items():
        assert page.value("document.documentElement.scrollWidth") <= WIDTH, case
        narrow(page)
        assert page.value("document.documentElement.scrollWidth") <= NARROW, case
        assert page.value(OUTSIDE) == [], case
        keep(page, f"platform-{case}-narrow")
        wide(page)


def test_texts_of_others_are_text_and_the_page_loads_nothing(pages: dict[str, Page]) -> None:
    page = pages["broken"]
    assert page.value("document.querySelectorAll('script').length") == 0
    assert ATTACK in page.value("document.body.textContent")
    assert page.value("performance.getEntriesByType('resource').length") == 0


def test_a_picture_for_the_docs(tab: Callable[[], Page], tmp_path: Path) -> None:
    page = tab()
    page.open(written(tmp_path, "going-out"))
    data = page.picture(1500)
    assert data.startswith(b"\x89PNG")
    assert len(data) > 20_000, "an empty page"
    if os.environ.get("WRITE_DOCS_IMAGES"):
        IMAGE.write_bytes(data)
