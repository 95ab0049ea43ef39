# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a site's own: what is refused before anything changes, compared with promtool."""

from __future__ import annotations

import json
import random
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.platform.plugins.plugin_utils._role_rules import own_rules, promql

from tests.role_values import value
from tests.rules import tools

ROOT = Path(__file__).resolve().parents[4]
GOOD = [
    "up",
    "1h + 2",
    "0x1F ^ -2 ^ .5e-3",
    "-(a + on (b, c) group_left (d,) e) ^ 2",
    'a{b="c", d!~"e|f",} offset -5m @ end()',
    "a{b='it''s'}[5m]".replace("''", ""),
    "rate(a[5m:]) unless ignoring (b) c",
    "topk by (a) (3, b) or vector(1) # why",
    "sum (a) without (b,)",
    "a == bool 1 and b > bool on () c",
    '{"my.metric", "a.b"="c"}',
    "max_over_time(rate(a[1m])[1h:30s] @ start())",
    "count_values(`x`, by)",
    "atan2(a)".replace("atan2(a)", "a atan2 b"),
    "a % (b / c) - d",
    "OFFSET offset 1d",
    "Inf + NaN",
]
BAD = [
    "",
    "up up",
    "sum(",
    "rate(a[5m)",
    "a + ",
    "{a=b}",
    'a{b="c" d="e"}',
    "a offset",
    "1 +* 2",
    "sum by (a (b)",
    "a[5]m",
    "'a",
    "a))",
    "a ==",
    "a on (b) c",
    "a[b]",
    "5m5",
    "$a",
    "sum by a (b)",
    "a @ b",
    "bool",
]


def refused_by_promtool(folder: Path, expressions: list[str]) -> set[int]:
    """Indices of what promtool cannot parse. It tells all rules of a file at once; other errors than those of the grammar are left out."""
    rules = [{"record": f"a:{number}", "expr": text} for number, text in enumerate(expressions)]
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    command = [tools.find("promtool"), "check", "rules", str(folder / "rules.yml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    told = re.findall(r'rule (\d+), "a:\d+":(.*)', done.stdout + done.stderr)
    return {int(number) - 1 for number, why in told if re.search("could not parse|field 'expr'", why)}


def ours() -> list[str]:
    groups = yaml.safe_load(value("observability", "__observability_rules", inventory_hostname="one"))["groups"]
    return list(dict.fromkeys(rule["expr"] for group in groups for rule in group["rules"]))


@pytest.mark.parametrize("text", GOOD)
def test_promql_is_taken(text: str) -> None:
    assert promql.check(text) is None


@pytest.mark.parametrize("text", BAD)
def test_what_is_none_is_refused_with_its_place(text: str) -> None:
    said = promql.check(text)
    assert said
    assert re.search(r"at character \d|at the end", said), said


def test_promtool_takes_what_is_taken_here_and_nothing_that_it_takes_is_refused(tmp_path: Path) -> None:
    """Own rules, and what becomes of them when a token is lost, doubled or moved: a refusal here would keep somebody from a good rule."""
    dice = random.Random(20260)  # noqa: S311  # the same cases in each run
    cases = [*GOOD, *BAD, *ours()]
    for text in ours():
        parts = re.findall(r"\s+|\w+|.", text, re.DOTALL)
        for _again in range(4):
            at, other = dice.randrange(len(parts)), dice.randrange(len(parts))
            moved = list(parts)
            moved[at], moved[other] = moved[other], moved[at]
            cases.append("".join(dice.choice([parts[:at] + parts[at + 1 :], [*parts[: at + 1], *parts[at:]], moved])))
    theirs = refused_by_promtool(tmp_path, cases)
    mine = {number for number, text in enumerate(cases) if promql.check(text)}
    assert [cases[number] for number in mine - theirs] == []
    assert len(theirs) > 150
    assert len(mine) / len(theirs) > 0.8, "the rest are functions, arguments, types and regular expressions"
    known = set(range(len(GOOD), len(GOOD) + len(BAD)))
    assert known <= mine & theirs
    assert not theirs & set(range(len(GOOD)))


# Groups and rules ------------------------------------------------------------------------------------------------------


def of(rule: Any) -> list[str]:
    return list(own_rules.findings([{"name": "shop", "rules": [rule]}]))


def test_good_groups_have_no_findings() -> None:
    alert = {
        "alert": "A",
        "expr": "up == 0",
        "for": "1h30m",
        "labels": {"severity": "info"},
        "annotations": {"summary": "{{ $value }}"},
    }
    assert of(alert) == of({"record": "a:b", "expr": 1}) == []
    assert list(own_rules.findings([])) == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            {"alert": "A", "expr": "up =="},
            "observability_rules[0].rules[0].expr: 'up ==' is no PromQL: expected a value",
        ),
        ({"alert": "A", "expr": ""}, ".expr: '' is not an expression; expected PromQL"),
        (
            {"alert": "A", "expr": "up", "for": "soon"},
            ".for: 'soon' is not a duration of Prometheus; expected one such as 30s",
        ),
        ({"alert": "A", "record": "a", "expr": "up"}, ": has both alert and record; expected one of them"),
        ({"expr": "up"}, ": has neither alert and record"),
        ({"record": "a-b", "expr": "up"}, ".record: 'a-b' is not the name of a series"),
        ({"record": "a", "expr": "up", "for": "5m"}, ".for: belongs to alerts"),
        ({"alert": "A", "expression": "up"}, ".expression: unknown key"),
        (
            {"alert": "A", "expr": "up", "labels": {"severity": 1}},
            ".labels.severity: 1 is not a text; expected it in quotes",
        ),
        ({"alert": "A", "expr": "up", "labels": "x"}, ".labels: 'x' is not a dict"),
        ("up", ": 'up' is not a dict; expected a rule with the keys alert, record"),
    ],
)
def test_a_rule_that_prometheus_would_refuse_is_named(rule: Any, said: str) -> None:
    found = of(rule)
    assert any(said in finding for finding in found), found


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("x", "observability_rules: 'x' is not a list; expected groups of rules"),
        (["x"], "observability_rules[0]: 'x' is not a dict"),
        ([{"name": "a"}], "observability_rules[0].rules: None is not a list with rules"),
        ([{"rules": [{"record": "a", "expr": "1"}]}], "[0].name: None is not a text"),
        ([{"name": "ecommerce.mesh", "rules": [{"record": "a", "expr": "1"}]}], "'ecommerce.mesh' is taken"),
        ([{"name": "a", "rules": [{"record": "a", "expr": "1"}]}] * 2, "[1].name: 'a' is taken, another group has it"),
        ([{"name": "a", "intervall": "1m", "rules": [{"record": "a", "expr": "1"}]}], "did you mean interval?"),
    ],
)
def test_a_group_that_prometheus_would_refuse_is_named(groups: Any, said: str) -> None:
    found = list(own_rules.findings(groups))
    assert any(said in finding for finding in found), found
