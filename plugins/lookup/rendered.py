# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role's template -> the objects in it, or its text."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rendered
short_description: What a template of a role makes, as objects or as text
version_added: 0.1.0
author: servicemesh.platform contributors (@servicemesh)
description:
  - Renders a Jinja template and returns the objects of its YAML documents, read as kubectl reads YAML. Documents without content are left
    out.
  - P(ansible.builtin.template#lookup) returns a text, and copies all variables of the host first, which takes longer than to render most
    templates of this collection.
options:
  _terms:
    description: The template, found as P(ansible.builtin.template#lookup) finds it. One term is expected.
    type: list
    elements: str
    required: true
  form:
    description: What to return, the V(objects) of all documents as one list, the V(value) of the only document, or the V(text).
    type: str
    choices: [objects, value, text]
    default: objects
  template_vars:
    description: Variables that the template sees beside those of the host, or in place of them.
    type: dict
    default: {}
notes:
  - A template with other delimiters than Jinja's says so in its first line,
    C(#jinja2:variable_start_string:'[[', variable_end_string:']]').
seealso:
  - plugin: ansible.builtin.template
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Apply the objects of a template
  servicemesh.platform.apply:
    definitions: "{{ lookup('servicemesh.platform.rendered', 'manifests.yml.j2') }}"
"""

RETURN = r"""
_raw:
  description: One list of objects, or one value or text.
  type: list
  elements: raw
"""

import os
from collections import ChainMap
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.template import trust_as_template
from ansible_collections.servicemesh.platform.plugins.module_utils._kube import kubectl_yaml
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError


class LookupModule(LookupBase):
    """Lookup plugin."""

    def run(self, terms: list[str], variables: Any = None, **options: Any) -> list[Any]:
        """A list with the list of objects, or with the value or the text."""
        self.set_options(var_options=variables, direct=options)
        if len(terms) != 1:
            raise AnsibleLookupError(f"rendered: {len(terms)} terms are given; expected the name of one template")
        path = self.find_file_in_search_path(variables, "templates", terms[0])
        if not path:
            raise AnsibleLookupError(
                f"rendered: there is no template {terms[0]!r} in the folders templates of the search path"
            )
        text = self._rendered(path, variables)
        form = self.get_option("form")
        try:
            if form == "text":
                return [text]
            if form == "value":
                return [kubectl_yaml.value(text)]
            return [[document.value for document in kubectl_yaml.read(text, terms[0])]]
        except KubeError as error:
            place = f"{terms[0]}, " if form == "value" else ""  # documents are named
            raise AnsibleLookupError(f"rendered: {place}{error}") from error

    def _rendered(self, path: str, variables: Any) -> str:
        """The text that a template makes; its folder is where it finds what it includes."""
        more = dict(self.get_option("template_vars"))
        templar = self._templar.copy_with_new_env(
            searchpath=[os.path.dirname(path)],
            # The variables themselves: the lookup `services` knows them again. Others are a layer above them.
            available_variables=ChainMap(more, variables) if more else variables,
        )
        text = templar.template(trust_as_template(self._loader.get_text_file_contents(path)), escape_backslashes=False)
        if text is None:  # nothing but comments
            return ""
        if not isinstance(text, str):  # a single expression that is no text
            raise AnsibleLookupError(
                f"rendered: {path} makes a value that is no text; expected text, for example by the filter to_json"
            )
        return text
