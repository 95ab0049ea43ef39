# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other spellings of a path, what Envoy makes of them, and what servers may read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote_to_bytes

# {o}: an open prefix, {l}: its last segment; {n}: the name of a closed path directly below, {N}: in upper case, {f}: the code of its first
# letter, {f0} and {f1}: the digits of this code, {r}: its other letters.
SPELLINGS = (
    "{o}/{n}", "{o}/{n}/", "{o}/{n}?x=1", "{o}/{n}?", "{o}/{n}/below",
    "{o}//{n}", "{o}///{n}", "/{o}/{n}", "{o}//{n}//", "{o}/.//{n}", "{o}//../{n}",
    "{o}/{n};x=1", "{o}/{n};", "{o}/;x=1/{n}", "{o}/;/{n}", "{o};x/{n}", "{o}/x;y/../{n}", "{o}/{n}%3Bx", "{o}/{n}%3bx", "{o}/%3b/{n}",
    "{o}/%2F{n}", "{o}/%2f{n}", "{o}%2F{n}", "{o}%2f{n}", "{o}/{n}%2F", "{o}/{n}%2fx", "{o}/x%2F..%2F{n}", "{o}/..%2F{l}%2f{n}",
    "{o}/x%2f%2e%2E%2F{n}", "{o}/%252F{n}", "{o}/%25252f{n}", "{o}/%2%46{n}", "{o}/%c0%af{n}", "{o}/%e0%80%af{n}",
    "{o}/./{n}", "{o}/%2e/{n}", "{o}/%2E/{n}", "{o}/x/../{n}", "{o}/x/%2e%2e/{n}", "{o}/x/.%2E/{n}", "{o}/x/..;/{n}", "{o}/x/..;y/{n}",
    "{o}/x/%2e%2e;/{n}", "{o}/x/%252e%252e/{n}", "{o}/.;/{n}", "{o}/%2e%20/{n}", "{o}/.%20/{n}",
    "{o}/%{f}{r}", "{o}/%25{f}{r}", "{o}/%%3{f0}%3{f1}{r}",
    "{o}\\{n}", "{o}/\\{n}", "{o}/%5C{n}", "{o}/%5c{n}", "{o}/x\\..\\{n}", "{o}/x%5c..%5c{n}",
    "{o}/{N}", "{o}/{N}/", "{o}/{N};x", "{o}/{N}?{o}/{n}", "{o}/{n}/../{N}",
    "{o}/{n}.json", "{o}/{n}.", "{o}/{n}:list", "{o}/{n},x", "{o}/{n}=x", "{o}/{n}(1)",
    "{o}/{n}%20", "{o}/{n}%09", "{o}/{n}%00", "{o}/{n}%0a", "{o}/{n}%23x", "{o}/{n}%3Fx", "{o}/{n}%", "{o}/{n}%zz",
    "{o}/%00/{n}", "{o}/%u002f{n}",
)  # fmt: skip
# Out of every prefix, to a path {t} of the service that has no route. The others are steps up, as many as the prefix has segments.
ESCAPES = (
    "{o}/{up}{t}", "{o}/{coded}{t}", "{o}/{coded2}{t}", "{o}/{back}{t}", "{o}/{params}{t}", "{o}/{dots}{t}", "{o}/{double}{t}",
)  # fmt: skip


def spelled(outer: str, name: str) -> list[str]:
    """All spellings of ``<outer>/<name>``; the path itself and what is below it are among them."""
    code = f"{ord(name[0]):02x}"
    words = {
        "o": outer, "n": name, "N": name.upper(), "l": outer.rpartition("/")[2], "f": code, "f0": code[0], "f1": code[1], "r": name[1:],
    }  # fmt: skip
    return [text.format(**words) for text in SPELLINGS]


def escapes(outer: str, target: str) -> list[str]:
    """Paths that some server resolves to ``/<target>``, which is not below ``outer``."""
    levels = outer.count("/")
    steps = {
        "up": "../", "coded": "..%2F", "coded2": "%2e%2e%2f", "back": "..%5C", "params": "%2e%2e;/", "dots": "%252e%252e/",
        "double": "..%252F",
    }  # fmt: skip
    return [text.format(o=outer, t=target, **{key: step * levels for key, step in steps.items()}) for text in ESCAPES]


def normalised(target: str, merge: bool = True, decode: bool = False) -> str | None:
    """What Envoy makes of the path of a request, without the query; None: it answers 400. tests/judge/test_paths.py asks Envoy itself.

    ``merge`` is Istio's MERGE_SLASHES, ``decode`` DECODE_AND_MERGE_SLASHES as well.
    """
    path = target.partition("?")[0]
    if re.search(r"[^!-~]|#", path):
        return None
    if decode:
        path = re.sub("%2f", "/", re.sub("%5c", r"\\", path, flags=re.IGNORECASE), flags=re.IGNORECASE)
    # Dot segments lose their parameters first, when they are written plainly.
    path = "/".join(re.sub(r"^(\.{1,2});.*", r"\1", part) for part in path.split("/"))
    if "%00" in path:
        return None
    kept: list[str] = []
    parts = path.replace("\\", "/").split("/")[1:]
    for index, part in enumerate(parts):
        dots = re.sub("%2e", ".", part, flags=re.IGNORECASE)
        if dots not in (".", ".."):
            kept.append(_decoded(part))
            continue
        if dots == ".." and kept:
            kept.pop()
        if index == len(parts) - 1:
            kept.append("")
    path = "/" + "/".join(kept)
    # Slashes alone keep two: the first and the last one.
    return re.sub("//+", "/" if path.strip("/") else "//", path) if merge else path


def _decoded(part: str) -> str:
    """Without needless codes. No new code comes of that: a % that is no code is coded where it would be one then."""
    pieces = re.findall(r"%[0-9A-Fa-f]{2}|.", part)
    letters = [chr(int(piece[1:], 16)) if len(piece) == 3 else "" for piece in pieces]
    found = [
        letter if re.fullmatch(r"[A-Za-z0-9._~-]", letter) else piece
        for letter, piece in zip(letters, pieces, strict=True)
    ]
    for index, piece in enumerate(found):
        if piece == "%" and re.match(r"[0-9A-Fa-f]{2}", "".join(found[index + 1 : index + 3])):
            found[index] = "%25"
    return "".join(found)


def _unquoted(path: str) -> str:
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1")


def _resolved(path: str) -> str:
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            kept = kept[:-1]
        elif part != ".":
            kept.append(part)
    return "/" + "/".join(kept).lstrip("/")


def _cut(pattern: str) -> Callable[[str], str]:
    return lambda path: "/".join(re.sub(pattern, "", part) for part in path.split("/"))


_STEPS: tuple[Callable[[str], str], ...] = (
    _unquoted,
    _resolved,
    str.lower,
    lambda path: path.replace("\\", "/"),
    lambda path: re.sub("/+", "/", path),
    lambda path: re.sub(r"[?#\0].*", "", path, flags=re.DOTALL),
    lambda path: path.replace("\xc0\xaf", "/").replace("\xe0\x80\xaf", "/"),
    _cut(r";.*"),  # parameters
    _cut(r"(?<=[^./])[.:,=(].*"),  # a format, an action, an argument
    _cut(r"(?<=[^./])[. \t\n]+$|(?<=\.)[ ]+$"),  # what some file systems ignore
)


def readings(path: str) -> set[str]:
    """Every path that some server takes ``path`` for: each step is one that some server does."""
    found, new = {path}, {path}
    while new:
        new = {step(one) for one in new for step in _STEPS} - found
        found |= new
    return found


def rooted(paths: Iterable[str]) -> list[str]:
    """Those that are plain: nothing is left that could be read in another way."""
    return sorted(path for path in paths if re.fullmatch(r"(/[a-z0-9_-]+)+/?", path))
