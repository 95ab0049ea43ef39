# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query Prometheus through the API server's service proxy: KUBECONFIG NAMESPACE PATH [QUERY ...].

Prints the data of the answers as a JSON list.
"""

from __future__ import annotations

import json
import sys
import urllib.parse

from kubernetes import config


def main(kubeconfig: str, namespace: str, path: str, *queries: str) -> None:
    """Request PATH, once for each query if there are any."""
    api = config.new_client_from_config(config_file=kubeconfig or None)
    headers = {
        item["key"]: item["value"] for item in api.configuration.auth_settings().values() if item["in"] == "header"
    }
    base = f"{api.configuration.host}/api/v1/namespaces/{namespace}/services/prometheus:9090/proxy/api/v1/{path}"
    answers = []
    for address in [f"{base}?{urllib.parse.urlencode({'query': query})}" for query in queries] or [base]:
        answer = api.rest_client.pool_manager.request("GET", address, headers=headers)
        if answer.status != 200:
            sys.exit(f"{address}: {answer.status} {answer.data.decode(errors='replace')}")
        answers.append(json.loads(answer.data)["data"])
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
