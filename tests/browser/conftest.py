# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Chromium for the tests of a file, without a network."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.browser.chromium import HEIGHT, WIDTH, Page


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Page]]:
    """Opens a tab of one Chromium."""
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
            *(f"--window-size={WIDTH},{HEIGHT}", "--host-resolver-rules=MAP * ~NOTFOUND", "about:blank"),
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

        def new() -> Page:
            target = control.send("Target.createTarget", url="about:blank")["targetId"]
            return Page(f"ws://127.0.0.1:{port}/devtools/page/{target}")

        yield new
    finally:
        running.terminate()
        running.wait(timeout=30)
