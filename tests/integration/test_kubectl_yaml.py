# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts as `apply` reads them against the real kubectl: `kubectl create --dry-run=client -o json` of hundreds of files in one call.

kubectl asks a server for its kinds alone. That server stands here, so no cluster takes part.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import string
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.files import of_bytes
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.objects import located
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.kubectl_cases import CASES, REFUSED

FILES = 250
# Where libyaml is newer than kubectl's port of it, one of the two refuses a text: `?` inside of flow collections, `\/` in quotes,
# and tags that end with a comma in a flow collection.
PARSERS_DIFFER = re.compile(r"\?|\\/|![^\s]*[,\]}]")

TOKENS = """
    y Y yes Yes YES no N n No NO on On ON off Off OFF true True TRUE false False FALSE nO Yes.
    ~ null Null NULL .nan .inf -.Inf +.inf .N 1 0 -0 +1 00 0_0 0.0 010 -010 0o10 0O10 0o8 08
    09 -08 0_8 0x1F 0X1f 0xg 0x 0b101 0b102 -0b11 0b-1 0b+1 0b 0b1_1 -0x10 +0x10 0x_1 1_000 1__0 _1 1_ -_1 +1_0 1e3 1E3 1e+3 1e-7 1.5e10
    1. .5 .5_5 .5e3 1e1_0 5. 1.0 -1.0 -0.0 1e20 1e21 1e22 1e 1e+ +.5 -.5 -.e 1_0.5 1.5_5 123456789012345678901234567890
    9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551615 18446744073709551616 1e400
    -1e400 1e-400 0.1 0.30000000000000004 12:30:45 10:30 2001-01-01 2001-12-14t21:59:43.10-05:00 = << . .. - -a +a -- --- :a a:b a#b
    1.2.3 1,000 0777777777777777777777777 0xFFFFFFFFFFFFFFFFFF 123456.789 1234567.0 16777217.0 0.0001 0.00001 3.4e39 1e-50 text
""".split()  # noqa: SIM905  # a list of words is easier to read
NEVER_NUMBERS = (".nan", ".inf", "-.Inf", "+.inf")  # these are refused, and then the rest of the text says nothing
ESCAPES = ("a\\n", "\\x41", "\\u00e9", "\\0", "\\e", "a\\\n      b", "\\U0001F600", "\\t", "a \\_", "\\N\\L", "it\\'s")
TAGS = ("!!str ", "!own ", "! ", "!!set ", "!!merge ")
TYPES = ("!!int ", "!!float ", "!!bool ", "!!null ", "!!binary ", "!!timestamp ", "!<tag:yaml.org,2002:int> ")
LINES = ("text", "", "  more", "a: b", "# text", "\ttab", "--- text", "x  ")
SLIPS = (
    "",
    " ",
    "\n",
    "\t",
    ":",
    "-",
    "#",
    "'",
    '"',
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a",
    "*a",
    "!",
    "%",
    "@",
    "|",
    ">",
    "\r",
    "\u2028",
    "\x85",
    "\\",
)
HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata:\n"
# Keys of one mapping that become one string out of values of several types have no order in kubectl: `1000` and `1e3`, `true` and `'true'`.
KEYS = ("y", "NO", "on", "True", "010", "0x1F", "-1", "0b11", ".inf", "1.5", "10:30", "=", "!own 7")
# What aliases and merges of a document refer to.
ANCHORS = "  anchors: [&x 1e3, &y [010, yes], &z {a: 0x10, b: &w {c: ~}}]\n"

words = st.one_of(
    st.sampled_from([token for token in TOKENS if token not in NEVER_NUMBERS]),
    st.from_regex(r"[-+]?(0[xob]?)?[0-9a-f_]{1,4}(\.[0-9_]{0,3})?([eE][-+]?[0-9]{1,2})?", fullmatch=True),
)


@st.composite
def scalars(draw: st.DrawFn, *, wild: bool = False) -> str:
    """A scalar in one line: words that other readers of YAML see in another way, as they are, quoted, and with tags."""
    text = draw(st.sampled_from(TOKENS) if wild else words)
    style = draw(st.integers(0, 9))
    if style == 0:
        return draw(st.sampled_from(TAGS + TYPES if wild else TAGS)) + draw(st.sampled_from((text, f"'{text}'")))
    if style == 1:
        return f"'{text}'"
    return f'"{draw(st.sampled_from(ESCAPES))}"' if style == 2 else text


@st.composite
def pairs(draw: st.DrawFn, value: st.SearchStrategy[str], *, wild: bool = False) -> str:
    """A key and its value: mostly names, now and then something that becomes a string, or that merges."""
    kind = draw(st.integers(0, 9))
    if kind == 0 and not wild:
        return draw(
            st.sampled_from(
                ("<<: *z", "<<: [*w, *z]", "<<: [*z, {a: 1, e: 2}]", "<<: {a: 1, d: no}", "*x : alias", "'<<': 1")
            )
        )
    key = (
        draw(st.sampled_from(KEYS))
        if kind == 1
        else draw(st.sampled_from("abcdef")) + draw(st.sampled_from(("", "1", "2")))
    )
    return f"{key}: {draw(value)}"


@functools.cache
def flows(depth: int = 2, *, wild: bool = False) -> st.SearchStrategy[str]:
    """A scalar, an alias, or a flow collection."""
    one = scalars(wild=wild)
    if not depth:
        return one
    inner = flows(depth - 1, wild=wild)
    return st.one_of(
        one,
        st.sampled_from(("*x ", "*y ", "*z ", "*w ", "&x a", "[]", "{}") + (("*v ", "&v [*v ]") if wild else ())),
        st.lists(inner, min_size=1, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(pairs(inner, wild=wild), min_size=1, max_size=4).map(lambda items: "{" + ", ".join(items) + "}"),
    )


@st.composite
def blocks(draw: st.DrawFn, indent: int, depth: int = 2, *, wild: bool = False) -> str:
    """Lines of a block collection."""
    space, sequence = " " * indent, draw(st.booleans())
    made = []
    for kind in draw(st.lists(st.integers(0, 9), min_size=1, max_size=4)):
        if depth and kind < 3:
            value = st.just("\n" + draw(blocks(indent + 2, depth - 1, wild=wild)).removesuffix("\n"))
        elif kind == 3:
            body = draw(st.lists(st.sampled_from(LINES), max_size=3))
            value = st.just(
                draw(st.sampled_from(("|", "|-", "|+", ">", ">-", ">+")))
                + "".join(f"\n{space}  {line}" for line in ("x", *body))
            )
        else:
            value = flows(wild=wild)
        made.append(space + (f"- {draw(value)}" if sequence else draw(pairs(value, wild=wild))))
    return "".join(f"{line}\n" for line in made)


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=4),
        st.sampled_from((1e20, 1e21, -0.0, 2**63, 2**64)),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> str:
    """One object: a head whose name is NAME, and something below `data`. A third of them has something that may be refused."""
    kind = draw(st.integers(0, 8))
    if kind == 0:
        head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "NAME"}, "data": draw(JSON)}
        return json.dumps(head, indent=draw(st.sampled_from((None, 2))), ensure_ascii=draw(st.booleans())) + "\n"
    if kind < 3:
        body = "  words:\n" + "".join(f"  - {one}\n" for one in draw(st.lists(scalars(), min_size=8, max_size=16)))
    elif kind < 6:
        body = ANCHORS + "  blocks:\n" + draw(blocks(4))
    elif kind == 6:
        body = "  wild:\n" + draw(blocks(4, 1, wild=True))
    else:
        body = ANCHORS + "  blocks:\n" + draw(blocks(4))
        at, slip = draw(st.integers(0, len(body))), draw(st.sampled_from(SLIPS))
        body = body[:at] + slip + body[at + draw(st.integers(0, 1)) :]
    return HEAD + body


@st.composite
def files(draw: st.DrawFn) -> tuple[str, str]:
    """A text of one to three documents, and its encoding."""
    separators = st.sampled_from(
        (
            "---\n",
            "---\n",
            "--- # next\n",
            "---  \n",
            "---\n---\n",
            "---\n# nothing\n---\n",
            "...\n---\n",
            "",
            "--- x\n",
        )
    )
    parts = draw(st.lists(documents(), min_size=1, max_size=3))
    text = draw(st.sampled_from(("", "", "---\n", "# note\n---\n", "\n")))
    text += "".join(f"{part}{draw(separators) if number < len(parts) else ''}" for number, part in enumerate(parts, 1))
    if draw(st.integers(0, 9)) == 0:
        text = text.replace("\n", "\r\n")
    return text, draw(st.sampled_from(("utf-8",) * 6 + ("utf-8-sig", "utf-16")))


class Kinds(http.server.BaseHTTPRequestHandler):
    """Answers with the kinds of a server."""

    answers = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
        "/api/v1": {
            "kind": "APIResourceList",
            "groupVersion": "v1",
            "resources": [
                {"name": "configmaps", "singularName": "", "namespaced": True, "kind": "ConfigMap", "verbs": ["create"]}
            ],
        },
    }

    def do_GET(self) -> None:
        body = json.dumps(self.answers.get(self.path.partition("?")[0], {})).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silence."""


class Kubectl:
    """The real kubectl, and what it reads of files."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._program = os.environ.get("KUBECTL") or str(
            Path(os.environ.get("KUBECONFIG", "")).parent / "bin" / "kubectl"
        )
        if not Path(self._program).is_file():
            pytest.fail(f"there is no kubectl at {self._program}; expected KUBECTL, or KUBECONFIG of a local cluster")
        cluster = {"name": "x", "cluster": {"server": f"http://127.0.0.1:{port}"}}
        context = {"name": "x", "context": {"cluster": "x", "user": "x"}}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [cluster],
            "contexts": [context],
            "current-context": "x",
        }
        (folder / "kubeconfig").write_text(json.dumps({**config, "users": [{"name": "x", "user": {}}]}))

    def read(self, contents: list[bytes]) -> tuple[dict[str, Any], dict[int, str]]:
        """Objects by name, and what is refused, by the number of the file."""
        source = self._folder / "files"
        source.mkdir()
        for number, content in enumerate(contents):
            (source / f"{number}.yaml").write_bytes(content)
        argv = [
            self._program,
            "--kubeconfig",
            self._folder / "kubeconfig",
            "--cache-dir",
            self._folder / "cache",
            "create",
        ]
        argv += ["--dry-run=client", "--validate=false", "-o", "json", "-f", source]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
        objects, position, decoder = {}, 0, json.JSONDecoder()
        while (start := position + len(done.stdout[position:]) - len(done.stdout[position:].lstrip())) < len(
            done.stdout
        ):
            found, position = decoder.raw_decode(done.stdout, start)
            found["metadata"].pop("namespace", None)
            objects[found["metadata"]["name"]] = found
        refused = {int(number): text for number, text in re.findall(r"/files/(\d+)\.yaml\"?: (.*)", done.stderr)}
        return objects, refused


@pytest.fixture
def kubectl(tmp_path: Path) -> Iterator[Kubectl]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kinds)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Kubectl(tmp_path, server.server_port)
    server.shutdown()
    server.server_close()


def ours(content: bytes) -> dict[str, Any] | str:
    """Objects by name as `apply` reads them, or why it refuses them."""
    try:
        return {obj["metadata"]["name"]: obj for obj, _ in located("src", of_bytes(content, "file"))}
    except KubeError as error:
        return str(error)


def generated() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    @settings(max_examples=FILES, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(files())
    def collect(file: tuple[str, str]) -> None:
        found.append(file)

    collect()
    return found


def compare(kubectl: Kubectl, texts: list[str], encodings: list[str]) -> int:
    """Fails for the first text that is read in another way; returns how many are read. Names in the texts are `NAME`."""
    named = []
    for number, text in enumerate(texts):
        parts = text.split("NAME")
        named.append("".join(f"{part}n{number}-{at}" for at, part in enumerate(parts[:-1])) + parts[-1])
    contents = [text.encode(encoding) for text, encoding in zip(named, encodings, strict=True)]
    theirs, refused = kubectl.read(contents)
    expected: dict[int, dict[str, Any]] = {number: {} for number in range(len(texts))}
    for name, obj in theirs.items():
        expected[int(name[1:].partition("-")[0])][name] = obj
    read = 0
    for number, content in enumerate(contents):
        found = ours(content)
        if number in refused or isinstance(found, str):
            both = number in refused and isinstance(found, str)
            message = f"{named[number]!r}\nkubectl: {refused.get(number)}\nours: {found}"
            assert both or PARSERS_DIFFER.search(named[number]), message
            continue
        read += 1
        one, other = json.dumps(found, sort_keys=True), json.dumps(expected[number], sort_keys=True)
        at = next((index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
        assert one == other, (
            f"{named[number]!r}\nkubectl: {other[max(at - 20, 0) : at + 40]}\nours: {one[max(at - 20, 0) : at + 40]}"
        )
    return read


def test_texts_are_read_as_kubectl_reads_them(kubectl: Kubectl) -> None:
    made = generated()
    read = compare(kubectl, [text for text, _ in made], [encoding for _, encoding in made])
    assert read > FILES / 4, "too few texts are good ones"


def test_words_are_values_and_keys_as_with_kubectl(kubectl: Kubectl) -> None:
    forms = [
        "{a: %s}",
        "{%s: a}",
        "['%s']",
        *(f"[{tag}%s]" for tag in TAGS + TYPES),
        *(f"[{tag}'%s']" for tag in TYPES),
    ]
    texts = [f"{HEAD}  {form % token}\n" for token in TOKENS for form in forms]
    assert compare(kubectl, texts, ["utf-8"] * len(texts)) > len(texts) / 4


def test_the_table_is_what_kubectl_says(kubectl: Kubectl) -> None:
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: n%d}\ndata: %s\n"
    theirs, refused = kubectl.read(
        [(head % (number, text)).encode() for number, (text, _) in enumerate(CASES.values())]
    )
    found = {name: REFUSED if number in refused else theirs[f"n{number}"]["data"] for number, name in enumerate(CASES)}
    assert found == {name: value for name, (_, value) in CASES.items()}
