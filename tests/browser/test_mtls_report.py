# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of mutual TLS in a real browser, without a network: ``make browser``. WRITE_DOCS_IMAGES=1 writes the picture in docs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import CONTRAST, HEIGHT, WIDTH, Page, keep
from tests.mtls_sample import cases, reports, sample

IMAGE = Path(__file__).parent.parent.parent / "docs" / "images" / "mtls-report.png"


def cell(client: str, service: str) -> str:
    """Expression for the button of a cell, by what a screen reader says."""
    label = json.dumps(f"{client} to {service}:")
    return f"[...document.querySelectorAll('#matrix button')].find(b => b.ariaLabel.startsWith({label}))"


@pytest.fixture(scope="module")
def report(tab: Callable[[], Page], tmp_path_factory: pytest.TempPathFactory) -> Page:
    page = tab()
    page.open(reports(tmp_path_factory.mktemp("reports"), sample())["html"])
    return page


ANY, BARE = "any other meshed workload", "caller without a sidecar"


@pytest.mark.parametrize(
    ("client", "service", "kind"),
    [
        (ANY, "shop/cart", "strict"),
        (BARE, "shop/cart", "refused"),
        (ANY, "shop/catalog", "encrypted_not_enforced"),
        (BARE, "shop/catalog", "plaintext_allowed"),
        (ANY, "shop/legacy", "plaintext"),
        ("web/front", "shop/checkout", "broken"),
        (ANY, "shop/checkout", "strict"),
        (ANY, "shop/idle", "unknown"),
        (ANY, "web/pay.example.com", "not_enforced"),
    ],
)
def test_cells_are_coloured_by_verdict(report: Page, client: str, service: str, kind: str) -> None:
    assert kind in report.value(f"{cell(client, service)}.className").split()
    colour = report.value(f"getComputedStyle({cell(client, service)}).backgroundColor")
    wanted = report.value(f"getComputedStyle(document.querySelector('#legend .{kind}'), '::before').backgroundColor")
    assert colour == wanted != "rgba(0, 0, 0, 0)"


def test_a_click_tells_the_reason(report: Page) -> None:
    report.value(f"{cell('web/front', 'shop/checkout')}.click()")
    told = report.value("document.getElementById('detail').textContent")
    assert "web/front → shop/checkout" in told
    assert "tls DISABLE by DestinationRule web/no-tls" in told
    assert "the connection is reset" in told
    assert report.value(f"{cell('web/front', 'shop/checkout')}.getAttribute('aria-pressed')") == "true"


def test_the_view_can_be_narrowed(report: Page) -> None:
    full = report.value("document.querySelectorAll('#matrix button').length")
    report.value(
        "(s => { s.value = 'web'; s.dispatchEvent(new Event('change')); })(document.getElementById('namespace'))"
    )
    assert report.value("[...document.querySelectorAll('#matrix thead th')].slice(1).map(th => th.title)") == [
        "web/pay.example.com"
    ]
    report.value("(s => { s.value = ''; s.dispatchEvent(new Event('change')); })(document.getElementById('namespace'))")
    report.value("(s => { s.value = 'cart'; s.dispatchEvent(new Event('input')); })(document.getElementById('find'))")
    assert report.value("[...document.querySelectorAll('#matrix thead th')].slice(1).map(th => th.title)") == [
        "shop/cart"
    ]
    report.value("(s => { s.value = ''; s.dispatchEvent(new Event('input')); })(document.getElementById('find'))")
    report.value("document.getElementById('all').click()")
    assert report.value("document.querySelectorAll('#matrix button').length") > full
    report.value("document.getElementById('all').click()")
    assert report.value("document.querySelectorAll('#matrix button').length") == full


def test_nothing_in_the_data_runs_and_no_error_is_thrown(report: Page) -> None:
    assert "alert(1)" in report.value("document.getElementById('data').textContent")
    assert report.value("document.querySelectorAll('script').length") == 2
    assert report.errors == []
    assert report.value("performance.getEntriesByType('resource').length") == 0, "the page loads nothing"


def test_a_picture_for_the_docs(report: Page) -> None:
    report.value(f"{cell('web/front', 'shop/checkout')}.click()")
    data = report.picture(1300)
    assert data.startswith(b"\x89PNG")
    assert len(data) > 20_000, "an empty page"
    if os.environ.get("WRITE_DOCS_IMAGES"):
        IMAGE.write_bytes(data)


# --- what a person sees: the first lines, and a page that fits

# Names that break somewhere else than after / - . _ : , = have a line within a part of them; a header is clipped when its text is larger
# than its box, or when its box leaves the cell.
BROKEN_WORDS = """(() => {
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) {
    for (const match of walker.currentNode.data.matchAll(/[^\\s]+/g)) {
      const range = document.createRange();
      range.setStart(walker.currentNode, match.index);
      range.setEnd(walker.currentNode, match.index + match[0].length);
      const vertical = getComputedStyle(walker.currentNode.parentElement).writingMode !== "horizontal-tb";
      const lines = new Set([...range.getClientRects()].map(box => Math.round(vertical ? box.left : box.top)));
      if (lines.size > 1 && !/[-\\/]/.test(match[0])) found.push(match[0]);
    }
  }
  return found;
})()"""
CLIPPED = """[...document.querySelectorAll("th, th > div")].filter(one => {
  const cell = one.closest("th").getBoundingClientRect(), box = one.getBoundingClientRect();
  return one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1 ||
    box.left < cell.left - 1 || box.right > cell.right + 1 || box.top < cell.top - 1 || box.bottom > cell.bottom + 1;
}).map(one => one.textContent)"""
FIRST = {
    "yes": (
        "Yes: everything that is demanded is mutual TLS.",
        ["Demanded", "Calls", "Outside of the demand", "Under STRICT"],
    ),
    "no": ("No: ", ["Demanded", "Calls", "Outside of the demand", "Under STRICT"]),
    "unknown": (
        "Not known of 3 service ports, because DestinationRule could not be read.",
        ["Demanded", "Calls", "Outside of the demand", "Under STRICT"],
    ),
    "nothing_demanded": ("Nothing is demanded", ["Calls", "Under STRICT"]),
}


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    return cases()


@pytest.fixture(scope="module", params=FIRST)
def case(
    request: pytest.FixtureRequest,
    tab: Callable[[], Page],
    results: dict[str, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Page]:
    found = results[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    page = tab()
    page.open(reports(folder, found)["html"])
    keep(page, request.param)
    return request.param, page


def test_the_first_lines_answer(case: tuple[str, Page], results: dict[str, dict[str, Any]]) -> None:
    name, page = case
    text, terms = FIRST[name]
    summary = results[name]["summary"]
    answer = page.value("document.getElementById('answer').textContent")
    assert (summary["answer"], answer) == (name, summary["text"])
    assert answer.startswith(text)
    assert page.value("[...document.querySelectorAll('#first dt')].map(dt => dt.textContent)") == terms
    lines = page.value("[...document.querySelectorAll('#first dd')].map(dd => dd.textContent)")
    assert lines == [summary[key] for key in ("demanded", "calls", "outside", "what_if") if summary[key]]
    assert page.value("document.getElementById('first').getBoundingClientRect().bottom") < HEIGHT / 2
    sign = page.value("getComputedStyle(document.getElementById('answer'), '::before').content")
    assert len(sign.strip('"')) == 1, "the answer is not told by its colour alone"


def test_the_page_fits(case: tuple[str, Page]) -> None:
    _name, page = case
    assert page.value("document.documentElement.scrollWidth") <= WIDTH
    assert page.value(CLIPPED) == []
    assert page.value(BROKEN_WORDS) == []


def test_headers_say_what_they_head(case: tuple[str, Page]) -> None:
    _name, page = case
    assert page.value("[...document.querySelectorAll('th')].every(th => ['row', 'col'].includes(th.scope))")
    assert page.value("document.querySelector('#matrix caption').textContent") != ""


def test_what_fails_comes_before_the_matrix(report: Page, results: dict[str, dict[str, Any]]) -> None:
    rows = report.value(
        "[...document.querySelectorAll('#against tbody tr')].map(tr => [...tr.cells].map(td => td.textContent))"
    )
    told = results["no"]["violations"]
    assert [(row[0], row[2]) for row in rows] == list(dict.fromkeys((f["object"], f["change"]) for f in told))
    assert all(any(row[1].startswith(f["message"]) for f in told if f["object"] == row[0]) for row in rows)
    place = "document.getElementById('against').compareDocumentPosition(document.getElementById('matrix'))"
    assert report.value(place) & 4


LOOKED = {"looked_at": ["calls of workloads"], "not_looked_at": ["webhooks: no permission"]}


@pytest.mark.parametrize("lists", [{}, LOOKED])
def test_an_empty_what_if_says_what_was_looked_at(
    tab: Callable[[], Page], tmp_path: Path, results: dict[str, dict[str, Any]], lists: dict[str, list[str]]
) -> None:
    told = results["yes"]
    whole = {**told["what_if"], "refuses": [], "looked_at": [], "not_looked_at": []}
    page = tab()
    page.open(reports(tmp_path, {**told, "what_if": whole | lists})["html"])
    found = {"nothing_found": "nothing", "unknown": "no call"}[told["what_if"]["verdict"]]
    assert f"{found} was found that would break" in page.value("document.getElementById('first').textContent")
    items = page.value("[...document.querySelectorAll('#lists > ul li')].map(li => li.textContent)")
    assert items == [entry for entries in lists.values() for entry in entries]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(report: Page, scheme: str) -> None:
    report.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    report.value(f"{cell('web/front', 'shop/checkout')}.click()")
    assert report.value(CONTRAST) == []
    report.send("Emulation.setEmulatedMedia", features=[])


@pytest.fixture(scope="module")
def many(tab: Callable[[], Page], tmp_path_factory: pytest.TempPathFactory) -> Page:
    page = tab()
    page.open(reports(tmp_path_factory.mktemp("many"), sample(extra=54, callers=40))["html"])
    keep(page, "many")
    return page


def test_many_services_scroll_in_their_own_box(many: Page) -> None:
    assert many.value("document.querySelectorAll('#matrix thead th').length") > 60
    assert many.value("document.querySelectorAll('#matrix tbody tr').length") > 40
    assert many.value("document.documentElement.scrollWidth") <= WIDTH
    assert many.value(CLIPPED) == []
    inner = many.value(
        "(s => [s.scrollWidth > s.clientWidth, s.scrollHeight > s.clientHeight])(document.getElementById('scroll'))"
    )
    assert inner == [True, True]


def test_the_first_row_and_column_stay(many: Page) -> None:
    places = """(() => {
      const table = document.getElementById("matrix"), rows = table.tBodies[0].rows;
      const box = document.getElementById("scroll").getBoundingClientRect();
      const at = one => [one.getBoundingClientRect().left - box.left, one.getBoundingClientRect().top - box.top].map(Math.round);
      const [corner, , , , , head] = table.tHead.rows[0].cells;
      return [at(corner), at(head)[1], at(rows[20].cells[0])[0], at(rows[20].cells[5])];
    })()"""
    before = many.value(places)
    many.value("document.getElementById('scroll').scrollTo(300, 400)")
    after = many.value(places)
    keep(
        many,
        "many-scrolled",
        int(many.value("document.getElementById('legend').getBoundingClientRect().top + scrollY")),
    )
    many.value("document.getElementById('scroll').scrollTo(0, 0)")
    assert after[:3] == before[:3], "the corner, the first row and the first column"
    assert (before[3][0] - after[3][0], before[3][1] - after[3][1]) == (300, 400), "everything else"
    many.value("document.getElementById('scroll').scrollIntoView()")
    many.value("document.getElementById('scroll').scrollTo(300, 400)")
    corner = "document.querySelector('#matrix thead th')"
    over = many.value(
        f"(r => document.elementFromPoint(r.left + 5, r.top + r.height / 2))({corner}.getBoundingClientRect()) === {corner}"
    )
    assert over, "nothing scrolls over the corner"


def test_a_thousand_services_are_drawn_at_once(tab: Callable[[], Page], tmp_path: Path) -> None:
    page = tab()
    page.open(reports(tmp_path, sample(extra=1000))["html"])
    assert page.value("document.querySelectorAll('#matrix tbody tr').length") >= 3
    assert page.value("document.querySelectorAll('#matrix thead th').length") > 1000
    assert 10 < page.processor_ms("draw()") < 1000
