# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A result of mtls_probe on a mesh that has every verdict, computed by the engine itself, and its reports."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.assemble import Snapshot
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.compliance import Excepted, Level, Wanted
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.engine import Engine
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.result import OPTIONS, Judged, result
from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.verdict import Proof, Verdict

from tests.unit.plugins.module_utils._mtls.mtls_objects import (
    destination_rule,
    mesh,
    namespace,
    obj,
    peer_authentication,
    pod,
    service,
)

ROOT = Path(__file__).parent.parent


class _NoClient:
    requests = 12


_LABELS = {"shop": {"istio-injection": "enabled"}, "web": {"istio-injection": "enabled"}}
_PROOFS = {
    Verdict.STRICT: (Proof.PROVED, "a meshed call was mutual TLS"),
    Verdict.BROKEN: (Proof.CLAIMED, "listener: Envoy runs STRICT"),
}
_ATTACK = "plain text was answered </script><script>alert(1)</script>"
_CERTIFICATE = {
    "workload": "shop/cart",
    "pod": "shop/cart-0",
    "identity": "spiffe://cluster.local/ns/shop/sa/cart",
    "expected": "spiffe://cluster.local/ns/shop/sa/cart",
    "hours_left": 23.5,
    "days_left": 0,
    "serial": "1",
    "roots": ["2"],
}


def result_of(
    objects: list[Any],
    levels: dict[str, Level],
    exceptions: tuple[Excepted, ...] = (),
    attack: str = "",
    what_if: dict[str, Any] | None = None,
    missing: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The result on a mesh. Calls are proved as `_PROOFS` says, and the first is contradicted by `attack`."""
    made = mesh(objects, missing=missing or {})
    engine = Engine(made)
    snapshot = Snapshot(made, _LABELS, (), (), {"objects": {}, "groups": len(made.groups)}, {})
    wanted = Wanted(levels, exceptions)
    seen = []
    for call in engine.calls():
        proof, evidence = _PROOFS.get(call.verdict, (Proof.UNPROVED, ""))
        seen.append(dataclasses.replace(call, proof=proof, evidence=evidence))
    if attack:
        seen[0] = dataclasses.replace(seen[0], proof=Proof.VIOLATED, evidence=attack)
    judged = Judged(snapshot, engine, seen, seen, wanted, (), [], {})
    params = {name: spec.get("default") for name, spec in OPTIONS.items()} | {"what_if": what_if}
    told = result(_NoClient(), params, judged, seen, [])  # type: ignore[arg-type]
    return {**told, "certificates": [_CERTIFICATE], "probe_calls": []}


def sample(extra: int = 0, callers: int = 0) -> dict[str, Any]:
    """A result with every verdict; `extra` adds that many services, `callers` that many workloads whose calls end differently."""
    names = ["cart", "catalog", "checkout", "legacy", "search"]
    names += [f"recommendation-and-personalization-service-{number:03d}" for number in range(extra)]
    pods = {name: pod("shop", name, account=name) for name in names}
    bare = pod("shop", "batch", sidecar=False)
    spaces = [f"customer-experience-team-{number:02d}" for number in range(callers)]
    objects: list[Any] = [
        *pods.values(),
        bare,
        pod("web", "front", account="front"),
        *(service("shop", name, [pods[name]], {80: 8080, 9090: 9090}) for name in names),
        service("shop", "batch", [bare]),
        service("shop", "idle", []),
        obj(
            "ServiceEntry",
            "web",
            "pay",
            {"hosts": ["pay.example.com"], "ports": [{"number": 443}], "resolution": "DNS"},
        ),
        namespace("shop", **{"istio-injection": "enabled"}),
        namespace("web", **{"istio-injection": "enabled"}),
        peer_authentication("shop"),
        peer_authentication("shop", "catalog", "PERMISSIVE", selector={"app": "catalog"}),
        peer_authentication("shop", "legacy", "DISABLE", selector={"app": "legacy"}),
        peer_authentication("shop", "search", "STRICT", selector={"app": "search"}, ports={9090: "PERMISSIVE"}),
        destination_rule("web", "checkout.shop.svc.cluster.local", "DISABLE", name="no-tls"),
        destination_rule("shop", "search.shop.svc.cluster.local", "DISABLE", ports=[]),
        *(pod(space, "web-frontend") for space in spaces),
        *(
            destination_rule(space, f"{names[number % len(names)]}.shop.svc.cluster.local", "DISABLE")
            for number, space in enumerate(spaces)
        ),
    ]
    exception = Excepted(service="shop/legacy", reason="until June <b>")
    return result_of(objects, {"shop": Level.STRICT}, (exception,), _ATTACK, {"namespaces": ["shop"], "mesh": False})


def _whole() -> list[Any]:
    pods = [pod("shop", name) for name in ("cart", "catalog", "checkout")]
    return [
        *pods,
        pod("web", "front"),
        *(service("shop", one["metadata"]["labels"]["app"], [one]) for one in pods),
        namespace("shop"),
        namespace("web"),
        peer_authentication("shop"),
    ]


def cases() -> dict[str, dict[str, Any]]:
    """Results by their answer. What STRICT would break is asked in each, and nothing does in `yes`."""
    strict, asked = {"shop": Level.STRICT}, {"namespaces": [], "mesh": True}
    unread = {"DestinationRule": "no permission: verb list on destinationrules.networking.istio.io is missing"}
    return {
        "yes": result_of(_whole(), strict, what_if=asked),
        "no": sample(),
        "unknown": result_of(_whole(), strict, what_if=asked, missing=unread),
        "nothing_demanded": result_of(_whole(), {}, what_if=asked),
    }


def reports(folder: Path, told: dict[str, Any]) -> dict[str, Path]:
    """Renders JSON, XML and HTML as the role does; suffix -> file."""
    data = folder / "result.json"
    data.write_text(json.dumps(told))
    done = subprocess.run(
        [
            *(
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-i",
                "localhost,",
                "tests/unit/roles/verify_mtls/render.yml",
            ),
            *(
                "-e",
                f"result={data}",
                "-e",
                f"directory={folder / 'reports'}",
                "-e",
                f"ansible_python_interpreter={sys.executable}",
            ),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {suffix: folder / "reports" / f"mtls-localhost.{suffix}" for suffix in ("json", "xml", "html")}
