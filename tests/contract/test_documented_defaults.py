# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Computed defaults of role variables are documented in words.

Documentation tools refuse a template as the default of a typed option (``type: int``). Such an option has no ``default``; the last line of
its description says what the template does, with each variable and each literal that the template reads.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from jinja2 import Environment, meta, nodes

from tests.contract.tree import ROOT, is_computed, load, roles

BEGINS = "Defaults to "
MARKED = re.compile(r"\b[CV]\(([^()]*)\)")


def words_of(template: str) -> set[str]:
    """Names of the variables and texts of the literals in a template, in lower case; empty texts are left out."""
    tree = Environment(autoescape=True).parse(template)
    literals = {str(node.value) for node in tree.find_all(nodes.Const) if node.value not in ("", None)}
    literals |= {"[]" for node in tree.find_all(nodes.List) if not node.items}
    literals |= {"{}" for node in tree.find_all(nodes.Dict) if not node.items}
    # default(x, true): the second argument says which values count as missing, it is not a default.
    for node in tree.find_all(nodes.Filter):
        if node.name == "default" and len(node.args) > 1:
            literals -= {str(node.args[1].value)} if isinstance(node.args[1], nodes.Const) else set()
    return {word.lower() for word in literals | meta.find_undeclared_variables(tree)}


def computed() -> list[tuple[str, str]]:
    """(role, variable) of each option of a role whose default is computed and no text."""
    return [
        (role, name)
        for role in roles()
        for name, default in (load(ROOT / "roles" / role / "defaults" / "main.yml") or {}).items()
        if is_computed(options(role)[name], default)
    ]


def options(role: str) -> dict[str, Any]:
    return load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ platform_replicas | default(3) }}", {"platform_replicas", "3"}),
        ("{{ platform_canary | default({}, true) }}", {"platform_canary", "{}"}),
        ("{{ a | default([]) }}", {"a", "[]"}),
        ("{{ a | default('STRICT') | lower }}", {"a", "strict"}),
        ("{{ a == 'pvc' and not b | default('') }}", {"a", "b", "pvc"}),
    ],
)
def test_words_of_a_template(template: str, words: set[str]) -> None:
    assert words_of(template) == words


def test_there_are_computed_defaults() -> None:
    assert ("user_service", "user_service_replicas") in computed()


@pytest.mark.parametrize(("role", "name"), computed())
def test_a_computed_default_is_told_in_the_description(role: str, name: str) -> None:
    option, default = options(role)[name], load(ROOT / "roles" / role / "defaults" / "main.yml")[name]
    assert "default" not in option, f"{role}: {name}: a template is no {option['type']}; describe the default"
    last = option["description"][-1]
    assert last.startswith(BEGINS), f"{role}: the last line of the description of {name} begins with {BEGINS!r}"
    told = {word.lower() for word in MARKED.findall(last)}
    assert words_of(default) <= told, f"{role}: {name}: {sorted(words_of(default) - told)} of {default} is not told"
