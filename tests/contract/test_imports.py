# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports of the plugins point downwards only, in the order that is written here once, and private names stay in their module."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

import pytest

from tests.contract.tree import ROOT

ROOT_PACKAGE = "ansible_collections.servicemesh.platform.plugins."
# Each part of plugins/, and the parts that its files may import beside those of their own package. What a part may not import lies above
# it or beside it. A single file of module_utils is a part of its own.
ALLOWED: dict[str, frozenset[str]] = {
    "module_utils._args": frozenset(),
    "module_utils._parent": frozenset(),
    "module_utils._local_node": frozenset(),
    "module_utils._text": frozenset(),
    "module_utils._tls": frozenset(),
    "module_utils._kube": frozenset({"module_utils._parent", "module_utils._tls"}),
    "module_utils._http": frozenset({"module_utils._kube", "module_utils._tls"}),
    "module_utils._prometheus": frozenset({"module_utils._http", "module_utils._kube"}),
    "module_utils._module": frozenset({"module_utils._kube", "module_utils._parent", "module_utils._text"}),
    "module_utils._apply": frozenset({"module_utils._kube"}),
    "module_utils._mesh": frozenset(
        {"module_utils._kube", "module_utils._mtls", "module_utils._prometheus", "module_utils._text"}
    ),
    "module_utils._helm": frozenset({"module_utils._kube"}),
    "module_utils._preflight": frozenset({"module_utils._kube", "module_utils._prometheus"}),
    "module_utils._mtls": frozenset({"module_utils._kube", "module_utils._prometheus", "module_utils._text"}),
    "module_utils._canary": frozenset(
        {
            "module_utils._apply",
            "module_utils._http",
            "module_utils._kube",
            "module_utils._parent",
            "module_utils._prometheus",
            "module_utils._tls",
        }
    ),
    "modules": frozenset({"module_utils"}),
    "plugin_utils._service": frozenset(),
    "plugin_utils": frozenset({"plugin_utils._service", "module_utils"}),
    "filter": frozenset({"plugin_utils", "module_utils"}),
    "lookup": frozenset({"plugin_utils", "module_utils"}),
    "action": frozenset({"modules", "plugin_utils", "module_utils"}),
    "doc_fragments": frozenset(),
}
MOST_SINGLE_FILES = 8
# Names of Ansible's own classes and of Python that have an underscore and no public form.
FOREIGN = frozenset({"_diff", "_exit"})


class Import:
    """One imported thing: the module it comes from, its name in it (empty for the module itself), and its name here."""

    def __init__(self, module: str, name: str, alias: str, line: int) -> None:
        self.module, self.name, self.alias, self.line = module, name, alias, line


def module_of(path: str) -> str:
    """Dotted name of a file below plugins/: `module_utils/_kube/client.py` is `module_utils._kube.client`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def part_of(module: str) -> str:
    """The part of plugins/ that a module belongs to: the longest one of `ALLOWED`, else its file or package."""
    words = module.split(".")
    names = [".".join(words[:length]) for length in range(len(words), 0, -1)]
    return next((name for name in names if name in ALLOWED), ".".join(words[:2]))


def imports_of(tree: ast.AST, modules: Iterable[str]) -> Iterator[Import]:
    """What a file imports of plugins/, also inside of functions and for type checks."""
    known = set(modules)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for entry in node.names:
                if entry.name.startswith(ROOT_PACKAGE):
                    yield Import(entry.name.removeprefix(ROOT_PACKAGE), "", entry.asname or "", node.lineno)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(ROOT_PACKAGE.rstrip(".")):
            source = (node.module or "").removeprefix(ROOT_PACKAGE.rstrip(".")).lstrip(".")
            for entry in node.names:
                inner = f"{source}.{entry.name}".lstrip(".")
                if inner in known or any(module.startswith(inner + ".") for module in known):
                    yield Import(inner, "", entry.asname or entry.name, node.lineno)
                else:
                    yield Import(source, entry.name, entry.asname or entry.name, node.lineno)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def own_names(tree: ast.AST) -> set[str]:
    """Names that a file defines: functions, classes, variables, and attributes that it sets."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return found


def private_reads(path: str, tree: ast.AST, imports: Iterable[Import]) -> Iterator[str]:
    """Private names of another module: imported, read from it, or read from an object that this file does not define."""
    aliases = set()
    for entry in imports:
        if entry.name == "":
            aliases.add(entry.alias)
        elif is_private(entry.name):
            yield f"{path}:{entry.line}: imports {entry.name}, which is private to {entry.module}"
    mine = own_names(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not is_private(node.attr) or node.attr in FOREIGN:
            continue
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if owner in ("self", "cls"):
            continue
        if owner in aliases or node.attr not in mine:
            yield f"{path}:{node.lineno}: reads the private name {ast.unparse(node)} of another module"


def layer_violations(path: str, imports: Iterable[Import]) -> Iterator[str]:
    """Imports that point upwards or sideways."""
    part = part_of(module_of(path))
    if part not in ALLOWED:
        yield f"{path}: {part} is not in ALLOWED"
        return
    for entry in imports:
        target = part_of(entry.module)
        allowed = {part, *ALLOWED[part]}
        if target not in allowed and target.partition(".")[0] not in allowed:
            yield f"{path}:{entry.line}: {part} may not import {target}"


def cycles(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """A way around for each file that imports itself through others; each cycle once."""
    told: set[frozenset[str]] = set()
    for start in sorted(graph):
        ways = [[start]]
        reached = {start}
        while ways:
            way = ways.pop(0)
            for target in sorted(graph.get(way[-1], ())):
                if target == start and frozenset(way) not in told:
                    told.add(frozenset(way))
                    yield [*way, start]
                if target not in reached:
                    reached.add(target)
                    ways.append([*way, target])


def violations(sources: Mapping[str, str]) -> list[str]:
    """Everything that breaks the rules in these files, `{path below plugins/: source}`."""
    modules = {module_of(path): path for path in sources}
    found: list[str] = []
    graph: dict[str, set[str]] = {}
    for path, source in sorted(sources.items()):
        tree = ast.parse(source)
        imports = list(imports_of(tree, modules))
        graph[module_of(path)] = {entry.module for entry in imports}
        found += [
            f"{path}:{node.lineno}: a relative import"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.level
        ]
        found += layer_violations(path, imports)
        found += private_reads(path, tree, imports)
    found += [f"a cycle of imports: {' -> '.join(way)}" for way in cycles(graph)]
    singles = [path for path in sources if path.startswith("module_utils/") and path.count("/") == 1]
    singles = [path for path in singles if not path.endswith("/__init__.py")]
    if len(singles) > MOST_SINGLE_FILES:
        found.append(
            f"module_utils has {len(singles)} single files, more than {MOST_SINGLE_FILES}: {', '.join(singles)}"
        )
    return found


def test_imports_of_the_plugins() -> None:
    plugins = ROOT / "plugins"
    sources = {str(path.relative_to(plugins)): path.read_text(encoding="utf-8") for path in plugins.rglob("*.py")}
    assert len(sources) > 100
    assert violations(sources) == []


def test_the_order_has_no_cycle_itself() -> None:
    graph = {part: {other for other in ALLOWED if other in below or other.partition(".")[0] in below} - {part}
             for part, below in ALLOWED.items()}  # fmt: skip
    assert list(cycles(graph)) == []


def made(**bodies: str) -> dict[str, str]:
    """Sources by path; in names `__` stands for `/`, in bodies `@` for the package of the plugins and `%` for its module_utils."""
    utils = f"{ROOT_PACKAGE}module_utils"
    return {
        name.replace("__", "/") + ".py": body.replace("@", ROOT_PACKAGE).replace("%", utils)
        for name, body in bodies.items()
    }


GOOD = made(
    module_utils___kube__client="""
from %._kube.errors import KubeError
class Client:
    _lock = 1
    def same(self, other):
        return self._lock == other._lock
""",
    module_utils___kube__errors="class KubeError(Exception): pass\n_SECRET = 1",
    module_utils___args="",
    module_utils___apply__writer="from %._kube import client as _client\nimport %._kube.errors\n_client.Client",
    modules__apply="from % import _args\nfrom %._apply.writer import x\ndef work(module): return module._diff",
    action__apply="from @modules import apply\nfrom @plugin_utils._in_process import y",
    plugin_utils___in_process="from %._kube.errors import KubeError",
)


def test_good_imports_pass() -> None:
    assert violations(GOOD) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("module_utils___kube__x", "from %._apply.writer import y", "_kube may not import module_utils._apply"),
        ("module_utils___kube__x", "from % import _args", "_kube may not import module_utils._args"),
        ("module_utils___kube__x", "from @modules.apply import work", "_kube may not import modules"),
        ("module_utils___helm__x", "from %._apply import writer", "_helm may not import module_utils._apply"),
        ("module_utils___helm__x", "import %._apply.writer", "_helm may not import module_utils._apply"),
        (
            "module_utils___helm__x",
            "def f():\n  from %._apply.writer import y",
            "_helm may not import module_utils._apply",
        ),
        ("modules__x", "from @plugin_utils._in_process import y", "modules may not import plugin_utils"),
        ("filter__x", "from @modules.apply import work", "filter may not import modules"),
        ("module_utils___new__x", "", "module_utils._new is not in ALLOWED"),
        ("module_utils___kube__x", "from . import errors", "a relative import"),
        ("module_utils___helm__x", "from %._kube.errors import _SECRET", "imports _SECRET, which is private"),
        ("module_utils___kube__x", "from %._kube.errors import _SECRET as s", "imports _SECRET, which is private"),
        ("module_utils___helm__x", "from %._kube import errors as e\ne._SECRET", "private name e._SECRET"),
        (
            "module_utils___helm__x",
            "from %._kube import errors\n_SECRET = 2\nerrors._SECRET",
            "private name errors._SECRET",
        ),
        ("module_utils___helm__x", "def f(client): return client._pool.proxy", "private name client._pool"),
    ],
)
def test_each_kind_of_violation_is_found(path: str, source: str, expected: str) -> None:
    bad = made(**{path: source})
    (only,) = violations({**GOOD, **bad})
    assert expected in only
    assert only.startswith(tuple(bad))


def test_cycles_inside_a_package_are_found() -> None:
    sources = made(
        module_utils___kube__a="from %._kube import b",
        module_utils___kube__b="def f():\n  from %._kube.c import x",
        module_utils___kube__c="import %._kube.a",
    )
    (only,) = violations({**GOOD, **sources})
    names = [f"module_utils._kube.{name}" for name in "abca"]
    assert only == f"a cycle of imports: {' -> '.join(names)}"


def test_a_ninth_single_file_is_found() -> None:
    sources = {f"module_utils/_args{number}.py": "" for number in range(MOST_SINGLE_FILES)}
    assert not [entry for entry in violations(sources) if "single files" in entry]
    more = violations({**sources, "module_utils/_one.py": "", "module_utils/__init__.py": ""})
    assert [entry for entry in more if "9 single files" in entry]
