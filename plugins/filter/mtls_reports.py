# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Result of mtls_probe -> reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any


def mtls_reports(result: Mapping[str, Any], name: str) -> dict[str, str]:
    """The reports of a result, by the names of their files."""
    # Here, because Ansible loads the files of all filters in the order of their names until it has found the one that a template names:
    # in each task that names a later one, Jinja's templates and the mTLS engine would be imported.
    from ansible_collections.servicemesh.platform.plugins.module_utils._text import cleaned
    from ansible_collections.servicemesh.platform.plugins.plugin_utils._reports import junit, mtls

    report = cleaned(result)
    return {
        f"{name}.json": json.dumps(report, indent=1, sort_keys=True) + "\n",
        f"{name}.xml": junit.xml(report),
        f"{name}.html": mtls.html(report),
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"mtls_reports": mtls_reports}
