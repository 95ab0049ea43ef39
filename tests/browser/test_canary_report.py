# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a canary in a real browser, without a network and without scripts. WRITE_DOCS_IMAGES=1 writes the picture in docs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.chromium import CONTRAST, WIDTH, Page, keep
from tests.canary_sample import ATTACK, written

IMAGE = Path(__file__).parents[2] / "docs" / "images" / "canary-report.png"


@pytest.fixture(scope="module")
def report(tab: Callable[[], Page], tmp_path_factory: pytest.TempPathFactory) -> Page:
    page = tab()
    page.open(written(tmp_path_factory.mktemp("canary")))
    keep(page, "canary")
    return page


def test_the_end_comes_first(report: Page) -> None:
    answer = report.value("document.getElementById('answer').textContent")
    assert answer.startswith("The canary of user-service was rolled back to v1.0 from v1.1")
    assert report.value("document.getElementById('first').getBoundingClientRect().bottom") < 450


def test_every_chart_has_its_lines_in_the_window(report: Page) -> None:
    """Each point lies in its chart, and the lines of a legend have different colours."""
    assert report.value("document.querySelectorAll('svg').length") == 4
    outside = """[...document.querySelectorAll("polyline, circle")].filter(one => {
      const [box, all] = [one.getBoundingClientRect(), one.closest("svg").getBoundingClientRect()];
      return box.left < all.left || box.right > all.right + 1 || box.top < all.top - 1 || box.bottom > all.bottom + 1;
    }).length"""
    assert report.value(outside) == 0
    colours = report.value(
        "[...document.querySelectorAll('.lines')].map(p => [...p.children].map(s => getComputedStyle(s).color))"
    )
    legends = report.value("[...document.querySelectorAll('.lines')].map(p => [...p.children].map(s => s.textContent))")
    assert legends[1] == ["● v1.0", "● v1.1", "○ v1.1 at the callers"]
    assert len(set(colours[1])) == 2, "both lines of the new version have its colour"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(report: Page, scheme: str) -> None:
    report.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    report.value("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert report.value(CONTRAST) == []
    report.send("Emulation.setEmulatedMedia", features=[])


def test_the_page_fits(report: Page) -> None:
    assert report.value("document.documentElement.scrollWidth") <= WIDTH


def test_a_picture_for_the_docs(tab: Callable[[], Page], tmp_path: Path) -> None:
    page = tab()
    page.open(written(tmp_path, "promoted"))
    data = page.picture(1500)
    assert data.startswith(b"\x89PNG")
    assert len(data) > 20_000, "an empty page"
    if os.environ.get("WRITE_DOCS_IMAGES"):
        IMAGE.write_bytes(data)


def test_texts_of_others_are_text_and_the_page_loads_nothing(report: Page) -> None:
    assert report.value("document.querySelectorAll('script').length") == 0
    assert ATTACK in report.value("document.body.textContent")
    assert report.value("performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize(("phase", "sign"), [("promoted", "✓"), ("paused", "?"), ("rolled_back", "✕")])
def test_the_end_is_not_told_by_its_colour_alone(
    tab: Callable[[], Page], tmp_path: Path, phase: str, sign: str
) -> None:
    page = tab()
    page.open(written(tmp_path, phase))
    keep(page, f"canary-{phase}")
    assert page.value("getComputedStyle(document.getElementById('answer'), '::before').content") == f'"{sign}"'
