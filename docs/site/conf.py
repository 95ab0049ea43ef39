# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration of Sphinx for the documentation site; docs/site/build.py makes it."""

from __future__ import annotations

import importlib.util
from typing import Any

from pygments.lexers.special import TextLexer

# The diagrams are drawn where docs-requirements.txt is installed, and are text for the checks of `make lint`.
DRAWS = importlib.util.find_spec("sphinxcontrib.mermaid") is not None

project = "servicemesh.platform"
author = "servicemesh.platform contributors"
project_copyright = f"2026, {author}"
extensions = ["myst_parser", "sphinx_antsibull_ext", *(["sphinxcontrib.mermaid"] if DRAWS else [])]
root_doc = "index"
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"] if DRAWS else []
html_theme = "sphinx_ansible_theme"
html_show_sphinx = False
html_copy_source = False
pygments_style = "ansible"
default_role = "any"
suppress_warnings = [
    "misc.highlighting_failure",  # examples with Jinja in YAML
    "myst.header",  # a guide may begin where another one ends
    "ref.ref",  # pages of Ansible's own documentation, whose index is not read: the site is built without a network
]


def setup(app: Any) -> None:
    """Languages that Pygments does not know."""
    if not DRAWS:
        app.add_lexer("mermaid", TextLexer)
