# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy makes of paths what tests/path_readings.py says: the binary of the local cluster, with Istio's normalisations."""

from __future__ import annotations

import http.client
import json
import random
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import closed
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.paths import AMBIGUOUS, in_any_case

from tests.path_readings import escapes, normalised, spelled
from tests.rules.tools import CACHE

Obj = dict[str, Any]
API = "type.googleapis.com/envoy.extensions.filters"
MODES = {"BASE": (False, False), "MERGE_SLASHES": (True, False), "DECODE_AND_MERGE_SLASHES": (True, True)}
PIECES = (
    "a", "admin", "A", ".", "..", "/", "//", "\\", ";", ";x", "..;", "%2e;", "%2F", "%2f", "%5c", "%2e", "%2E", "%61", "%41", "%252f",
    "%3b", "%", "%2", "%20", "%00", "%C3%A9", "%c3%a9", ".json", ":x", ",", "~", "%7E", "%7f", "%zz", "*", "'", "(b)",
)  # fmt: skip
# The regular expressions of the routes, which Envoy's RE2 and Python read alike.
PATTERNS = {
    "dots": str(closed.first()["match"][0]["headers"][":path"]["regex"]),
    "codes": AMBIGUOUS,
    "case": in_any_case("/a/admin"),
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def listener(port: int, merge: bool, decode: bool) -> Obj:
    headers = [{"header": {"key": "x-path", "value": "%REQ(:PATH)%"}}]
    routes: list[Obj] = []
    for names in (
        [name for bit, name in enumerate(PATTERNS) if number & 1 << bit] for number in range(2 ** len(PATTERNS))
    ):
        matches = [
            {"name": ":path", "string_match": {"safe_regex": {"regex": text}}, "invert_match": name not in names}
            for name, text in PATTERNS.items()
        ]
        added = [*headers, {"header": {"key": "x-patterns", "value": " ".join(names) or "none"}}]
        routes.append(
            {
                "match": {"prefix": "/", "headers": matches},
                "direct_response": {"status": 200},
                "response_headers_to_add": added,
            }
        )
    manager = {
        "@type": f"{API}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "normalize_path": True,
        "merge_slashes": merge,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD" if decode else "KEEP_UNCHANGED",
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{API}.http.router.v3.Router"}}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}, "filter_chains": [chain]}


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The ports of an Envoy, one for each normalisation."""
    found = {mode: free_port() for mode in MODES}
    path = tmp_path_factory.mktemp("envoy") / "boot.json"
    listeners = [{"name": mode, **listener(found[mode], *MODES[mode])} for mode in MODES]
    path.write_text(json.dumps({"static_resources": {"listeners": listeners}}), encoding="utf-8")
    binaries = sorted(CACHE.glob("envoy-*/bin/envoy"), key=lambda one: one.stat().st_mtime)
    assert binaries, f"{CACHE} has no Envoy: make up fetches it"
    argv = [str(binaries[-1]), "-c", str(path), "--concurrency", "1", "--use-dynamic-base-id", "-l", "error"]
    log = Path(path.parent / "log")
    with log.open("wb") as output, subprocess.Popen(argv, stdout=output, stderr=output) as process:
        try:
            end = time.monotonic() + 60
            while not all(open_(port) for port in found.values()):
                assert time.monotonic() < end, log.read_text(encoding="utf-8")
                assert process.poll() is None, log.read_text(encoding="utf-8")
                time.sleep(0.1)
            yield found
        finally:
            process.terminate()


def open_(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("mode", MODES)
def test_envoy_makes_of_paths_what_the_model_says(ports: dict[str, int], mode: str) -> None:
    draw = random.Random(1)  # noqa: S311  # tests, no secret
    targets = [*spelled("/a", "admin"), *escapes("/a", "metrics")]
    targets += [
        "/" + "".join(draw.choices(PIECES, k=draw.randint(0, 8))) + draw.choice(["", "", "?x=/../"])
        for _number in range(1500)
    ]
    connection = http.client.HTTPConnection("127.0.0.1", ports[mode])
    refused = 0
    for target in targets:
        connection.request("GET", target)
        answer = connection.getresponse()
        answer.read()
        if answer.status == 400:
            connection.close()
        path = normalised(target, *MODES[mode])
        refused += path is None
        if path is None:
            assert answer.status == 400, target
            continue
        sent = path + target[len(target.partition("?")[0]) :]
        assert answer.getheader("x-path") == sent, target
        names = [name for name, text in PATTERNS.items() if re.fullmatch(text, sent)]
        assert answer.getheader("x-patterns") == (" ".join(names) or "none"), target
    assert 0 < refused < len(targets) / 4
