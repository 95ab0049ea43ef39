# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lookup `rendered` makes of a template, beside what ansible.builtin.template makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from tests import role_values  # noqa: F401  # lookups are found from here on

TEXTS = {
    "objects.j2": "{# two, and one that is empty #}\n{% include 'one.j2' %}\n---\n\n---\n{{ {'kind': 'B', 'on': ports} | to_json }}\n",
    "one.j2": "kind: A\nname: {{ name }}\nanswer: yes\n{% if later is defined %}\nlater: {{ later }}\n{% endif %}\n",
    "list.j2": "- {{ name }}\n- 8080\n",
    "brackets.j2": "#jinja2:variable_start_string:'[[', variable_end_string:']]'\nsum({{ $labels.pod }}) > [[ ports[0] ]]\n",
    "comment.j2": "{# nothing #}\n",
    "broken.j2": "kind: [\n",
    "number.j2": "{{ ports }}",
    "undefined.j2": "name: {{ nobody }}\n",
}


@pytest.fixture
def made(tmp_path: Path) -> Any:
    (tmp_path / "templates").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / "templates" / name).write_text(text)
    loader = DataLoader()
    loader.set_basedir(str(tmp_path))
    known = {
        "ansible_search_path": [str(tmp_path)],
        "name": trust_as_template("{{ base }}-x"),
        "base": "web",
        "ports": [80, 81],
    }
    templar = Templar(loader=loader, variables=known)
    return lambda expression: templar.template(trust_as_template("{{ " + expression + " }}"))


def rendered(template: str, more: str = "") -> str:
    return f"lookup('servicemesh.platform.rendered', '{template}'{more})"


def test_objects_are_those_of_all_documents_as_kubectl_reads_them(made: Any) -> None:
    assert made(rendered("objects.j2")) == [
        {"kind": "A", "name": "web-x", "answer": True},
        {"kind": "B", "on": [80, 81]},
    ]
    assert made(rendered("comment.j2")) == []


def test_a_value_and_a_text(made: Any) -> None:
    assert made(rendered("list.j2", ", form='value'")) == ["web-x", 8080]
    assert made(rendered("brackets.j2", ", form='text'")) == "sum({{ $labels.pod }}) > 80\n"


@pytest.mark.parametrize("template", ["objects.j2", "list.j2", "brackets.j2"])
def test_the_text_is_that_of_ansibles_own_lookup(made: Any, template: str) -> None:
    assert made(rendered(template, ", form='text'")) == made(f"lookup('ansible.builtin.template', '{template}')")


def test_variables_of_a_call_are_seen_by_it_alone(made: Any) -> None:
    more = ", template_vars={'later': 5, 'name': 'other'}"
    with_more, without = made(f"[{rendered('one.j2', more)}, {rendered('one.j2')}]")
    assert (with_more[0]["later"], with_more[0]["name"]) == (5, "other")
    assert without[0] == {"kind": "A", "name": "web-x", "answer": True}


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("missing.j2", "there is no template 'missing.j2'"),
        ("broken.j2", "rendered: broken.j2, document 1, line "),
        ("number.j2", "makes a value that is no text; expected text"),
        ("undefined.j2", "'nobody' is undefined"),
    ],
)
def test_what_cannot_be_rendered_is_named(made: Any, template: str, words: str) -> None:
    with pytest.raises(AnsibleError) as caught:
        made(rendered(template))
    chain, texts = caught.value, []
    while chain is not None:
        texts.append(str(chain))
        chain = chain.__cause__  # type: ignore[assignment]
    assert words in "\n".join(texts)
