# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All generated files. A file with several parts has an entry for each."""

from __future__ import annotations

import functools

from tests import conftest  # noqa: F401  # the collection can be imported from here on

# isort: split
from tests.generate import (
    canary_role,
    definition,
    failed_requests,
    json_schema,
    mesh_codes,
    mtls_fields,
    mtls_rules,
    providers,
)
from tests.generate.dashboards import grafana
from tests.generate.dashboards.boards import BOARDS
from tests.generate.files import Generated

GENERATED = (
    Generated("docs/canary-clusterrole.yml", canary_role.text),
    Generated("docs/canary.md", failed_requests.flags, "canary-flags"),
    Generated("docs/canary.md", failed_requests.statuses, "canary-statuses"),
    Generated("docs/canary.md", providers.rows, "canary-providers"),
    Generated("docs/diagnose.md", mesh_codes.codes, "mesh-codes"),
    Generated("docs/diagnose.md", mesh_codes.rights, "mesh-rights"),
    Generated("docs/mtls.md", mtls_fields.unsupported, "mtls-fields"),
    Generated("docs/mtls.md", mtls_rules.rules, "mtls-rules"),
    Generated("docs/mtls.md", mtls_rules.checks, "mtls-checks"),
    Generated("docs/service-definition.md", definition.tables, "service-definition"),
    Generated("docs/schemas/service-definition.schema.json", json_schema.text),
    Generated("plugins/doc_fragments/_canary.py", providers.for_metrics, "canary-metrics"),
    Generated("plugins/doc_fragments/_canary.py", providers.for_approvals, "canary-approvals"),
    Generated("roles/microservice/meta/argument_specs.yml", definition.argument_spec, "service-definition"),
    *(
        Generated(f"roles/observability/files/dashboards/{board.uid}.json", functools.partial(grafana.text, board))
        for board in BOARDS
    ),
)
