# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a run leaves: refused before the run where they cannot be written, and elsewhere when that turns out later."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils import _files as files

from tests.users import as_unknown_user


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can read, with one that nobody but root can write to."""
    folder = Path(tempfile.mkdtemp())
    (folder / "closed").mkdir()
    (folder / "closed" / "old.html").write_text("old")
    folder.chmod(0o755)
    (folder / "closed" / "old.html").chmod(0o444)
    (folder / "closed").chmod(0o555)
    yield folder
    (folder / "closed").chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The collection as ansible-galaxy installs it."""
    root = tmp_path / "ansible_collections" / "servicemesh" / "platform"
    root.mkdir(parents=True)
    (root / "MANIFEST.json").write_text("{}")
    monkeypatch.setattr(files, "_COLLECTION", root)
    return root


def content(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", ["report.html", "new/folders/report.html", "old.html", "link.html", "dangling.html"])
def test_what_can_be_written_is_written_there(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.html").write_text("old")
    (tmp_path / "link.html").symlink_to("old.html")
    (tmp_path / "dangling.html").symlink_to("elsewhere.html")
    monkeypatch.chdir(tmp_path)
    before = content(tmp_path)
    assert files.findings_of_path(name) == []
    assert content(tmp_path) == before, "the check left something"
    assert files.written(name, "new") == files.Written(str((tmp_path / name).resolve()))
    assert (tmp_path / name).read_text() == "new"
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "dangling.html").is_symlink()
    assert not [entry for entry in content(tmp_path) if "partial" in entry]


def test_a_path_may_begin_with_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.written("~/report.html", "new").path == str(tmp_path.resolve() / "report.html")


def test_modes_are_those_of_any_file_and_of_the_one_before(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        (tmp_path / "kept").write_text("old")
        (tmp_path / "kept").chmod(0o640)
        modes = [stat.S_IMODE(os.stat(files.written(str(tmp_path / name), "x").path).st_mode) for name in ("a", "kept")]
    finally:
        os.umask(before)
    assert modes == [0o644, 0o640]


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def loop(folder: Path) -> Path:
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a folder": (lambda folder: folder, "it is a folder"),
    "a device": (lambda _folder: Path("/dev/null"), "no regular file"),
    "a pipe": (pipe, "no regular file"),
    "below a file": (lambda folder: Path(shutil.copy(__file__, folder / "file")) / "x", "is no folder"),
    "a loop of links": (loop, "loop"),
    "a name that is too long": (lambda folder: folder / ("x" * 300), "too long"),
    "no path of the system": (lambda folder: folder / "a\0b", "null"),
    "nobody's home": (lambda _folder: Path("~no-such-user/x"), "home directory"),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_written_is_refused_before_and_goes_elsewhere_after(
    make: Callable[[Path], Path], words: str, tmp_path: Path
) -> None:
    path = make(tmp_path)
    found = files.findings_of_path(str(path))
    assert len(found) == 1
    assert found[0].startswith(f"{path} cannot be written: ")
    assert words in found[0].lower()
    done = files.written(str(path), "text")
    assert Path(done.path).read_text() == "text"
    assert done.finding.startswith(f"{path} cannot be written: ")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    shutil.rmtree(Path(done.path).parent)


@pytest.mark.parametrize("name", ["", "reports/deep/", "link/"])
def test_the_installed_collection_stays_as_it_is(name: str, installed: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(installed)
    base = tmp_path if name.startswith("link") else installed
    path = f"{base}/{name}report.html"
    before = content(installed)
    assert "in the installed collection" in files.findings_of_path(path)[0]
    done = files.written(path, "text")
    assert Path(done.path).read_text() == "text"
    assert content(installed) == before
    shutil.rmtree(Path(done.path).parent)


def test_a_checkout_is_not_an_installed_collection(installed: Path) -> None:
    (installed / "MANIFEST.json").unlink()
    assert files.findings_of_path(str(installed / "report.html")) == []


def test_another_users_folder_is_refused_and_a_file_that_is_open_is_written(open_folder: Path) -> None:
    closed = open_folder / "closed"

    def found() -> Any:
        done = files.written(str(closed / "new.html"), "new")
        kept = Path(done.path).read_text()
        shutil.rmtree(Path(done.path).parent)
        return [files.findings_of_path(str(closed / name)) for name in ("new.html", "old.html")], done.finding, kept

    (new, old), finding, kept = as_unknown_user(found)
    assert new == [f"{closed}/new.html cannot be written: Permission denied (folder {closed})"]
    assert len(old) == 1
    assert finding.startswith(f"{closed}/new.html cannot be written: Permission denied")
    assert (kept, content(closed)) == ("new", ["old.html"])
    # A file that may be written, in a folder that may not: one that is mounted by itself, for example.
    (closed / "old.html").chmod(0o666)

    def replaced() -> Any:
        path = str(closed / "old.html")
        return files.findings_of_path(path), files.written(path, "new").finding

    assert as_unknown_user(replaced) == [[], ""]
    assert (closed / "old.html").read_text() == "new"


def test_a_full_disk_is_found_before_and_keeps_the_old_file_after(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        found = files.findings_of_path(str(path))
        done = files.written(str(path), "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert found == [f"{path} cannot be written: File too large (folder {tmp_path})"]
    assert done.path == ""
    assert done.finding == f"{path} cannot be written: File too large; nor can a temporary file: File too large"
    assert (path.read_text(), content(tmp_path)) == ("old", ["report.html"])


def test_without_space_the_text_goes_where_there_is_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    done = files.written(str(tmp_path / "report.html"), "text")
    assert Path(done.path).read_text() == "text"
    assert done.finding == f"{tmp_path}/report.html cannot be written: No space left on device"
    assert Path(done.path).name == "report.html"
    shutil.rmtree(Path(done.path).parent)


def test_text_that_is_no_text_is_written_all_the_same(tmp_path: Path) -> None:
    assert files.written(str(tmp_path / "a"), "\ud800 x").finding == ""
    assert (tmp_path / "a").read_text() == "? x"
