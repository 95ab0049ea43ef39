"""``make bench``: our `apply` against what people use today, whole commands on the same cluster in the same run.

251 objects: a Namespace and 50 each of ServiceAccount, ConfigMap, Service, VirtualService, DestinationRule. Each row is the median of
RUNS; the raw seconds stand beside it. "first" creates the objects in an empty namespace, "again" finds them unchanged.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
RUNS = 5
SERVICES = 50
KUBECONFIG = os.environ.get("KUBECONFIG", "")
KUBECTL = str(Path(KUBECONFIG).parent / "bin" / "kubectl")


def objects(namespace: str) -> list[dict[str, Any]]:
    """The set that everybody applies."""
    made: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}]
    for number in range(SERVICES):
        name = f"service-{number}"
        meta = {"name": name, "namespace": namespace}
        host = f"{name}.{namespace}.svc.cluster.local"
        made += [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"key": "value " * 20}},
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta,
                "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
            },
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "VirtualService",
                "metadata": meta,
                "spec": {"hosts": [host], "http": [{"route": [{"destination": {"host": host, "subset": "stable"}}]}]},
            },
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "DestinationRule",
                "metadata": meta,
                "spec": {"host": host, "subsets": [{"name": "stable", "labels": {"track": "stable"}}]},
            },
        ]
    return made


def playbook(folder: Path, task: dict[str, Any]) -> list[str]:
    """A playbook of one task, as a user would run it."""
    path = folder / f"play-{uuid.uuid4().hex[:6]}.yml"
    play = {"hosts": "localhost", "gather_facts": False, "vars": {"ansible_python_interpreter": sys.executable}}
    path.write_text(yaml.safe_dump([{**play, "tasks": [{"name": "Apply", **task}]}]))
    return [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", str(path)]


def seconds(argv: list[str]) -> float:
    """Wall-clock time of a whole command; a command that fails ends the benchmark with its output."""
    started = time.perf_counter()
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return time.perf_counter() - started


def contestants(folder: Path, manifest: Path) -> dict[str, list[str]]:
    """Name -> command."""
    ours = {"servicemesh.platform.apply": {"src": [str(manifest)], "wait": False}}
    theirs = {"kubernetes.core.k8s": {"src": str(manifest), "state": "present"}}
    return {
        "servicemesh.platform.apply (playbook)": playbook(folder, ours),
        "kubectl apply --server-side": [KUBECTL, "apply", "--server-side", "-f", str(manifest)],
        "kubernetes.core.k8s src (playbook)": playbook(folder, theirs),
    }


def measure(report: Callable[[str, str, list[float]], None]) -> None:
    """Each round gives every contestant a namespace of its own, first empty, then full."""
    with tempfile.TemporaryDirectory() as scratch:
        times: dict[tuple[str, str], list[float]] = {}
        for number in range(RUNS):
            print(f"round {number + 1} of {RUNS}", file=sys.stderr, flush=True)
            for position, contestant in enumerate(contestants(Path(scratch), Path("x"))):
                namespace = f"bench-{number}-{position}"
                manifest = Path(scratch) / f"{namespace}.yml"
                manifest.write_text(yaml.safe_dump_all(objects(namespace)))
                argv = contestants(Path(scratch), manifest)[contestant]
                try:
                    for when in ("first", "again"):
                        times.setdefault((when, contestant), []).append(seconds(argv))
                finally:
                    subprocess.run(
                        [KUBECTL, "delete", "namespace", namespace, "--wait=true", "--timeout=120s"],
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        check=False,
                    )
        for (when, contestant), figures in sorted(times.items()):
            report(when, contestant, figures)


def main() -> None:
    if not KUBECONFIG or not Path(KUBECTL).exists():
        raise SystemExit("KUBECONFIG must name the local cluster's kubeconfig: run this as make bench, after make up")
    rows: list[tuple[str, str, list[float]]] = []
    measure(lambda when, who, figures: rows.append((when, who, figures)))
    ours = {when: statistics.median(figures) for when, who, figures in rows if who.startswith("servicemesh")}
    print(
        f"{len(objects('x'))} objects, whole command, median of {RUNS} (load average at the end: {os.getloadavg()[0]:.1f})"
    )
    for when, who, figures in rows:
        middle = statistics.median(figures)
        raw = " ".join(f"{figure:.2f}" for figure in figures)
        print(f"{when:6} {who:40} {middle:6.2f} s  {middle / ours[when]:5.2f}x of ours   [{raw}]")


if __name__ == "__main__":
    main()
