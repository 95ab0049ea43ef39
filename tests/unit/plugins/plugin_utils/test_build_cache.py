# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of build steps: what changes them and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._build_cache import (
    Step,
    expand,
    last_lines,
    parse_steps,
    step_key,
)


def step(folder: Path, **changes: object) -> Step:
    values: dict[str, object] = {
        "name": "tool",
        "title": "Tool",
        "argv": ("make", "{output}"),
        "inputs": (str(folder),),
    }
    return Step(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "go.sum").write_text("one")
    return source


def test_key_is_the_same_wherever_the_inputs_lie(folder: Path, tmp_path: Path) -> None:
    before = step_key(step(folder), {})
    moved = folder.rename(tmp_path / "elsewhere")
    assert step_key(step(moved, chdir="/anywhere"), {}) == before


@pytest.mark.parametrize("change", ["content", "name", "mode", "link"])
def test_key_follows_the_inputs(folder: Path, change: str) -> None:
    before = step_key(step(folder), {})
    path = folder / "deep" / "go.sum"
    if change == "content":
        path.write_text("two")
    elif change == "name":
        path.rename(folder / "deep" / "go.mod")
    elif change == "mode":
        path.chmod(0o755)
    else:
        (folder / "link").symlink_to("deep")
    if change == "link":
        assert step_key(step(folder), {}) == before, "links to folders are not followed and have no content"
    else:
        assert step_key(step(folder), {}) != before


def test_key_follows_command_environment_and_earlier_results(folder: Path) -> None:
    keys = {
        step_key(step(folder), {}),
        step_key(step(folder, argv=("make", "-j2", "{output}")), {}),
        step_key(step(folder, environment={"GO": "go1.26"}), {}),
        step_key(step(folder, argv=("make", "{output:go}")), {"go": "/cache/go-1"}),
        step_key(step(folder, argv=("make", "{output:go}")), {"go": "/cache/go-2"}),
    }
    assert len(keys) == 5


def test_key_does_not_follow_where_the_cache_lies(folder: Path) -> None:
    uses = step(folder, argv=("make", "{output:go}"))
    assert step_key(uses, {"go": "/a/go-1"}) == step_key(uses, {"go": "/b/go-1"})


def test_missing_input_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"/no/such/file.*tool"):
        step_key(step(folder, inputs=("/no/such/file",)), {})


def test_expand_names_what_is_missing() -> None:
    assert expand("{output}/bin:{output:go}/bin", "/o", {"go": "/g"}) == "/o/bin:/g/bin"
    with pytest.raises(ValueError, match="output:rust"):
        expand("{output:rust}", "/o", {"go": "/g"})


def test_parse_reports_everything_at_once() -> None:
    with pytest.raises(ValueError, match=r"unknown key 'args'.*'Bad Name'.*no argv.*item 1 is 3") as caught:
        parse_steps([{"name": "Bad Name", "args": []}, 3])
    assert "item 0" in str(caught.value)


def test_parse_refuses_a_repeated_name() -> None:
    with pytest.raises(ValueError, match="repeats the name 'a'"):
        parse_steps([{"name": "a", "argv": ["true"]}, {"name": "a", "argv": ["true"]}])


def test_last_lines_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {number}" for number in range(10000)) + "\n\n")
    assert last_lines(str(log), 2) == ["line 9998", "line 9999"]
