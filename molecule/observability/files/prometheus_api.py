# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query Prometheus through the API server's service proxy: KUBECONFIG NAMESPACE SECONDS REQUEST [REQUEST ...].

A request is a path (`rules`), or `query=` and an expression, or `alert=` with STATUS and the label app of an alert that the receiver `sink`
must have got last of all alerts with this app. Prints the data of the answers as a JSON list. With SECONDS above 0,
repeats the requests, which are queries then, until all of them have a sample, so that one process waits for all.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.parse
from typing import Any

from kubernetes import config


def main(kubeconfig: str, namespace: str, seconds: str, *requests: str) -> None:
    """Send the requests and print the answers. Exit with an error when one fails, or has no sample in time."""
    api = config.new_client_from_config(config_file=kubeconfig or None)
    headers = {
        item["key"]: item["value"] for item in api.configuration.auth_settings().values() if item["in"] == "header"
    }
    services = f"{api.configuration.host}/api/v1/namespaces/{namespace}/services"
    base = f"{services}/prometheus:9090/proxy/api/v1"

    def answer(request: str) -> Any:
        path, _, query = request.partition("=")
        if path == "alert":
            status, app = query.split()
            return {"result": [one for one in received(app)[-1:] if one["status"] == status]}
        address = f"{base}/{path}?{urllib.parse.urlencode({'query': query})}" if query else f"{base}/{path}"
        response = api.rest_client.pool_manager.request("GET", address, headers=headers)
        if response.status != 200:
            sys.exit(f"{address}: {response.status} {response.data.decode(errors='replace')}")
        return json.loads(response.data)["data"]

    def received(app: str) -> list[Any]:
        response = api.rest_client.pool_manager.request("GET", f"{services}/sink:8080/proxy/", headers=headers)
        if response.status != 200:
            return []
        return [one for one in json.loads(response.data)["data"]["result"] if one["labels"].get("app") == app]

    deadline = time.monotonic() + float(seconds)
    while True:
        answers = [answer(request) for request in requests]
        missing = [request for request, data in zip(requests, answers, strict=True) if not data.get("result")]
        if not float(seconds) or not missing:
            break
        if time.monotonic() > deadline:
            sys.exit("\n".join(["No sample:", *missing]))
        time.sleep(1)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
