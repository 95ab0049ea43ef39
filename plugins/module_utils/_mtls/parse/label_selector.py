# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LabelSelector of Kubernetes, as MeshConfigs and monitors have it. Pure."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.model import LabelSelector
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.parse.metadata import Obj

_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def label_selector(node: Obj) -> LabelSelector:
    """A LabelSelector (apimachinery pkg/apis/meta/v1/helpers.go).

    Raises ValueError, KeyError, TypeError or AttributeError for anything else.
    """
    if set(node) - {"matchLabels", "matchExpressions"}:
        raise ValueError(node)
    expressions = []
    for part in node.get("matchExpressions") or ():
        values = frozenset(str(value) for value in part.get("values") or ())
        if part["operator"] not in _OPERATORS or bool(values) != (part["operator"] in ("In", "NotIn")):
            raise ValueError(part)
        expressions.append((str(part["key"]), str(part["operator"]), values))
    labels = tuple(sorted((str(key), str(value)) for key, value in (node.get("matchLabels") or {}).items()))
    return LabelSelector(labels, tuple(expressions))
