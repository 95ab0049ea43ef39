# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML report in a real browser, without a network: ``make browser``. WRITE_DOCS_IMAGES=1 writes the picture in docs.

Chromium is driven over its DevTools protocol by the websocket package that comes with the kubernetes one.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.mtls_sample import reports, sample

IMAGE = Path(__file__).parent.parent.parent / "docs" / "images" / "mtls-report.png"


class Page:
    """One page of a headless Chromium."""

    def __init__(self, address: str) -> None:
        self.socket = websocket.create_connection(address, timeout=60, suppress_origin=True)
        self.number = 0
        self.errors: list[str] = []

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(message["params"]["exceptionDetails"]))
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]

    def value(self, script: str) -> Any:
        """Value of an expression in the page."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, path: Path) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=1500, height=1250, deviceScaleFactor=1, mobile=False)
        self.send("Runtime.enable")
        self.send("Page.enable")
        self.send("Page.navigate", url=path.as_uri())
        end = time.monotonic() + 30
        while self.value("document.readyState") != "complete":
            assert time.monotonic() < end
            time.sleep(0.1)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "no Chromium is installed"
    profile = tmp_path_factory.mktemp("chromium")
    running = subprocess.Popen(
        [
            *(
                chromium,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
            ),
            *("--window-size=1500,1250", "--host-resolver-rules=MAP * ~NOTFOUND", "about:blank"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file, end = profile / "DevToolsActivePort", time.monotonic() + 60
        while not port_file.exists() or len(port_file.read_text().splitlines()) < 2:
            assert time.monotonic() < end, "Chromium did not start"
            time.sleep(0.2)
        port, browser = port_file.read_text().splitlines()[:2]
        control = Page(f"ws://127.0.0.1:{port}{browser}")
        target = control.send("Target.createTarget", url="about:blank")["targetId"]
        yield Page(f"ws://127.0.0.1:{port}/devtools/page/{target}")
    finally:
        running.terminate()
        running.wait(timeout=30)


def cell(client: str, service: str) -> str:
    """Expression for the button of a cell, by what a screen reader says."""
    label = json.dumps(f"{client} to {service}:")
    return f"[...document.querySelectorAll('#matrix button')].find(b => b.ariaLabel.startsWith({label}))"


@pytest.fixture(scope="module")
def report(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Page:
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
    shot = report.send(
        "Page.captureScreenshot", format="png", clip={"x": 0, "y": 0, "width": 1500, "height": 1250, "scale": 1}
    )
    data = base64.b64decode(shot["data"])
    assert data.startswith(b"\x89PNG")
    assert len(data) > 20_000, "an empty page"
    if os.environ.get("WRITE_DOCS_IMAGES"):
        IMAGE.write_bytes(data)


def test_a_thousand_services_are_drawn_at_once(page: Page, tmp_path: Path) -> None:
    page.open(reports(tmp_path, sample(extra=1000))["html"])
    assert page.value("document.querySelectorAll('#matrix tbody tr').length") >= 3
    assert page.value("document.querySelectorAll('#matrix thead th').length") > 1000
    assert page.value("(() => { const start = performance.now(); draw(); return performance.now() - start; })()") < 2000
