# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every panel of every dashboard has data while the platform has requests."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import Cluster, Ingress

FOLDER = Path(__file__).resolve().parents[2] / "roles" / "observability" / "files" / "dashboards"
COLLECTIONS = ["users", "products", "orders", "payments", "reviews", "recommendations"]
LIMIT = 150.0  # seconds; a platform that has just started needs two scrapes and two evaluations of the objectives
ONE_SERVICE = "order-service"  # of a variable that has one value


def panels() -> list[tuple[str, str]]:
    """(dashboard and panel or variable, PromQL) with all values of the variables that may have several."""
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        several = {one["name"]: one.get("multi") for one in board["templating"]["list"]}

        def filled(query: str, several: dict[str, Any] = several) -> str:
            query = query.replace("$service", ".+" if several.get("service") else ONE_SERVICE)
            return query.replace("$namespace", ".+")

        for panel in board["panels"]:
            found += [(f"{path.stem}: {panel['title']}", filled(one["expr"])) for one in panel.get("targets", [])]
        for one in board["templating"]["list"]:
            if series := re.fullmatch(r"label_values\((.+), \w+\)", one.get("definition", "")):
                found.append((f"{path.stem}: variable {one['name']}", filled(series[1])))
    return found


@contextmanager
def requests(ingress: Ingress, token: str) -> Iterator[list[int]]:
    """Requests to every service from outside, some ten a second, while the block runs. Yields their statuses, which grow."""
    statuses: list[int] = []
    done = threading.Event()

    def send() -> None:
        while not done.is_set():
            statuses.extend(ingress("GET", f"/api/{name}", token=token).status for name in COLLECTIONS)
            done.wait(0.5)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        yield statuses
    finally:
        done.set()
        sender.join(timeout=60)


def has_data(cluster: Cluster, query: str) -> bool:
    """Whether there is a sample that is a number."""
    return any(not math.isnan(float(sample["value"][1])) for sample in cluster.promql(query))


def test_each_panel_has_data_while_there_are_requests(
    cluster: Cluster, ingress: Ingress, account: dict[str, Any]
) -> None:
    wanted = panels()
    assert len(wanted) > 50
    with requests(ingress, account["token"]) as statuses:
        end = time.monotonic() + LIMIT
        while (wanted or not statuses) and time.monotonic() < end:
            wanted = [(panel, query) for panel, query in wanted if not has_data(cluster, query)]
            time.sleep(2 if wanted else 0)
    assert set(statuses) == {200}
    assert wanted == [], "without data: " + "\n".join(f"{panel}: {query}" for panel, query in wanted)
