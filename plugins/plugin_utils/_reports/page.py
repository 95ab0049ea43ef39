# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""HTML pages of reports: one file each, which loads nothing, from the Jinja templates beside this file.

Whatever a template shows is cleaned and escaped here, so that no template has to think of it. What is good, bad or worst is decided before:
templates and their scripts only show it.
"""

from __future__ import annotations

import functools
import json
import typing as t
from pathlib import Path

import jinja2
from ansible_collections.servicemesh.platform.plugins.module_utils._text import clean, cleaned
from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"


def page(template: str, **values: t.Any) -> str:
    """A page of a template of this folder."""
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> jinja2.Environment:
    """Templates in which a missing value is an error, and whatever is not from a template is text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.globals |= {"asset": asset, "data": data}
    return environment


def _shown(value: t.Any) -> t.Any:
    """What an expression of a template becomes. Markup was made of parts that have been here."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def asset(name: str) -> Markup:
    """A style sheet or script of this folder, as it is."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704  # our own file


def data(value: t.Any) -> Markup:
    """A value as JSON that cannot end the script element that it stands in."""
    return Markup(json.dumps(cleaned(value)).replace("<", "\\u003c"))  # noqa: S704  # has no < any more
