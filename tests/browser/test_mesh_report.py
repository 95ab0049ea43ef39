# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a diagnosis in a real browser, without a network and without scripts. WRITE_DOCS_IMAGES=1 writes the picture in docs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.chromium import CONTRAST, WIDTH, Page, keep
from tests.mesh_sample import ATTACK, Answers, Mesh, bad_mesh, result, written

IMAGE = Path(__file__).parents[2] / "docs" / "images" / "diagnosis.png"


@pytest.fixture(scope="module")
def patched() -> pytest.MonkeyPatch:
    with pytest.MonkeyPatch.context() as made:
        yield made


@pytest.fixture(scope="module")
def report(tab: Callable[[], Page], tmp_path_factory: pytest.TempPathFactory, patched: pytest.MonkeyPatch) -> Page:
    page = tab()
    page.open(written(tmp_path_factory.mktemp("bad"), result(Answers(bad_mesh()), patched)))
    keep(page, "diagnosis")
    return page


def test_the_answer_comes_first_and_the_worst_finding_next(report: Page) -> None:
    assert report.value("document.getElementById('answer').textContent") == "5 errors and 1 warning found."
    assert report.value("getComputedStyle(document.getElementById('answer'), '::before').content") == '"✕"'
    assert report.value("document.getElementById('first').getBoundingClientRect().bottom") < 450
    first = "document.querySelector('#findings tbody tr')"
    assert report.value(f"{first}.getBoundingClientRect().bottom") < 900, "it is seen without scrolling"
    assert report.value(f"{first}.cells[0].textContent") == "error"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(report: Page, scheme: str) -> None:
    report.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    report.value("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert report.value(CONTRAST) == []
    report.send("Emulation.setEmulatedMedia", features=[])


def test_the_page_fits(report: Page) -> None:
    assert report.value("document.documentElement.scrollWidth") <= WIDTH
    boxes = "[...document.querySelectorAll('#findings .wide')].every(one => one.scrollWidth <= one.clientWidth)"
    assert report.value(boxes), "the findings do not scroll sideways"
    assert report.value("[...document.querySelectorAll('th')].every(th => th.scope === 'col')")


def test_texts_of_others_are_text_and_the_page_loads_nothing(report: Page) -> None:
    assert report.value("document.querySelectorAll('script').length") == 0
    assert ATTACK.partition("\x1b")[0] in report.value("document.body.textContent")
    assert report.value("performance.getEntriesByType('resource').length") == 0


def test_a_picture_for_the_docs(tab: Callable[[], Page], tmp_path: Path, patched: pytest.MonkeyPatch) -> None:
    page = tab()
    page.open(written(tmp_path, result(Answers(bad_mesh("")), patched)))
    data = page.picture(1100)
    assert data.startswith(b"\x89PNG")
    assert len(data) > 20_000, "an empty page"
    if os.environ.get("WRITE_DOCS_IMAGES"):
        IMAGE.write_bytes(data)


def test_a_thousand_proxies_are_shown(tab: Callable[[], Page], tmp_path: Path, patched: pytest.MonkeyPatch) -> None:
    """Those that are synced are in a closed table, and the page is there at once."""
    page = tab()
    page.open(written(tmp_path, result(Answers(Mesh(500, 2)), patched)))
    assert page.value("performance.getEntriesByType('navigation')[0].domComplete") < 3000
    rows = "[...document.querySelectorAll('details')].find(one => one.textContent.includes('Synced proxies'))"
    assert page.value(f"{rows}.open") is False
    assert page.value(f"{rows}.querySelectorAll('tbody tr').length") == 1001
    assert page.value("document.documentElement.scrollWidth") <= WIDTH
