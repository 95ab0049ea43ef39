# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page of a headless Chromium, driven over its DevTools protocol by the websocket package that comes with the kubernetes one."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import websocket

WIDTH, HEIGHT = 1280, 900
# Texts that have less contrast than 4.5 to what is behind them (WCAG 2.1, 1.4.3).
CONTRAST = """(() => {
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = text => {
    const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(part => linear(Number(part) / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = one => {
    while (one.parentElement && /^rgba.*, 0\\)$/.test(getComputedStyle(one).backgroundColor)) one = one.parentElement;
    return getComputedStyle(one).backgroundColor;
  };
  return [...document.querySelectorAll("#answer p, dt, dd, th, td, button, span, code, li, summary, h1, h2, label")]
    .filter(one => one.textContent.trim()).map(one => {
      const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), one.className, one.textContent.slice(0, 40)];
    }).filter(([ratio]) => ratio < 4.5);
})()"""


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

    def processor_ms(self, script: str) -> float:
        """Processor time in ms that the page needs for an expression, whatever else the machine does. Once for each page."""
        self.send("Performance.enable", timeDomain="threadTicks")
        before = self._spent_ms()
        self.value(script)
        return self._spent_ms() - before

    def _spent_ms(self) -> float:
        """Processor time of all tasks of the page's main thread until now, in ms."""
        found = {entry["name"]: entry["value"] for entry in self.send("Performance.getMetrics")["metrics"]}
        return 1000 * float(found["TaskDuration"])

    def picture(self, height: int = HEIGHT, top: int = 0) -> bytes:
        """A picture of `height` pixels from `top` on, as a PNG file."""
        clip = {"x": 0, "y": top, "width": WIDTH, "height": height, "scale": 1}
        shot = self.send("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def open(self, path: Path) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)
        self.send("Runtime.enable")
        self.send("Page.enable")
        self.send("Page.navigate", url=path.as_uri())
        end = time.monotonic() + 30
        while self.value("document.readyState") != "complete":
            assert time.monotonic() < end
            time.sleep(0.1)


def keep(page: Page, name: str, top: int = 0) -> None:
    """Keeps a picture to look at in the folder REPORT_PICTURES, if that is set: as it is, and in dark colours."""
    folder = os.environ.get("REPORT_PICTURES")
    if folder:
        Path(folder, f"{name}.png").write_bytes(page.picture(top=top))
        page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        Path(folder, f"{name}-dark.png").write_bytes(page.picture(top=top))
        page.send("Emulation.setEmulatedMedia", features=[])
