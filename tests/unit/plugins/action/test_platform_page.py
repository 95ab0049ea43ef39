# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a platform in a play: where it is written, and which reports it has links to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.platform_sample import cluster, traffic
from tests.unit.plugins.action.test_report_files import played

NAME = "servicemesh.platform.platform_page"


def page(**more: Any) -> dict[str, Any]:
    return {
        NAME: {"path": "pages/status.html", "cluster": "local", "platform": cluster(), "traffic": traffic(), **more}
    }


def test_the_page_links_to_the_reports_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    for name in ("mtls-local.html", "canary-user-service.html", "canary-nobody.html", "a b.html"):
        (tmp_path / "reports" / name).write_text("x")
    args = {
        "mtls_report": "../reports/mtls-local.html",
        "canary_reports": "../reports",
        "reports": {"More": "../reports/a b.html", "None": "x.html"},
    }
    code, text = played(tmp_path, [page(**args)])
    assert code == 0, text
    written = (tmp_path / "here" / "pages" / "status.html").read_text()
    for link in ("mtls-local.html", "canary-user-service.html", "a%20b.html"):
        assert f'href="../../reports/{link}"' in written
    assert "nobody" not in written
    assert ">None," not in written
    assert str(tmp_path / "here" / "pages" / "status.html") in text


@pytest.mark.parametrize(("path", "args"), [("", []), ("pages/status.html", ["--check"])])
def test_nothing_is_written_where_nothing_is_asked_for(tmp_path: Path, path: str, args: list[str]) -> None:
    code, text = played(tmp_path, [page(path=path)], *args)
    assert code == 0, text
    assert list((tmp_path / "here").iterdir()) == []


def test_a_page_that_cannot_be_written_is_elsewhere_and_the_play_goes_on(tmp_path: Path) -> None:
    code, text = played(tmp_path, [page(path="/dev/null/status.html")])
    assert code == 0, text
    assert "[WARNING]: /dev/null/status.html cannot be written: /dev/null is no folder; it is now " in text
