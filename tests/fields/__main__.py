# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields that there are, as files.

``python -m tests.fields <folder of istio> <folder of istio.io/api> <folder of sigs.k8s.io/gateway-api>``.

Writes ``tests/cases/fields/istio.json``, ``kubernetes.json`` and ``gateway_api.json``. The unit tests hold the table of `_mtls/fields`
against them. Run it for a new version of Istio or of the Python package ``kubernetes``; each field that is new then fails a test until the
table has a row for it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import yaml
from kubernetes import client

from tests.fields.proto import Protos
from tests.fields.schema import Leaf, of_crd

TARGET = Path(__file__).parent.parent / "cases" / "fields"
_KUBERNETES = {"Pod": "V1Pod", "Service": "V1Service", "EndpointSlice": "V1EndpointSlice", "Namespace": "V1Namespace"}
_KEY = re.compile(r'"((?:[a-z]+\.)*istio\.io/[A-Za-z0-9_.-]+)"')
_YAML_KEY = re.compile(r'^ +"?((?:[a-z]+\.)*istio\.io/[A-Za-z0-9_.-]+)"?:', re.MULTILINE)
_SWITCH = re.compile(r'(?:env\.Register\w*|registerAmbient)\(\s*"([A-Z_0-9]+)"')
_NEWEST = ("v1", "v1beta1", "v1alpha3", "v1alpha1")


def main(istio: Path, api: Path, gateway_api: Path) -> int:
    """Writes the files."""
    TARGET.mkdir(parents=True, exist_ok=True)
    _write("istio.json", {"version": istio.name.partition("@")[2], **_istio(istio, api)})
    fields = {kind: dict(sorted(_of_type(name, "", ()))) for kind, name in _KUBERNETES.items()}
    _write("kubernetes.json", {"version": kubernetes.__version__, "kinds": fields})
    _write("gateway_api.json", {"version": gateway_api.name.partition("@")[2], "kinds": _gateway_api(gateway_api)})
    return 0


def _write(name: str, content: dict[str, Any]) -> None:
    (TARGET / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _istio(istio: Path, api: Path) -> dict[str, Any]:
    kinds: dict[str, dict[str, Leaf]] = {}
    crds = istio / "manifests/charts/base/files/crd-all.gen.yaml"
    for crd in yaml.safe_load_all(crds.read_text(encoding="utf-8")):
        by_version = of_crd(crd)
        newest = next(version for version in _NEWEST if version in by_version)
        kinds[crd["spec"]["names"]["kind"]] = by_version[newest]
    kinds["MeshConfig"] = dict(sorted(Protos(api).leaves("istio.mesh.v1alpha1.MeshConfig")))
    return {"kinds": kinds, "keys": _keys(istio, api), "switches": _switches(istio)}


def _gateway_api(folder: Path) -> dict[str, dict[str, Leaf]]:
    """Fields of the kinds of which each field has a row. The experimental channel has those of the standard one as well."""
    path = folder / "config/crd/experimental/gateway.networking.k8s.io_backendtlspolicies.yaml"
    by_version = of_crd(yaml.safe_load(path.read_text(encoding="utf-8")))
    return {"BackendTLSPolicy": by_version[next(version for version in _NEWEST if version in by_version)]}


def _keys(istio: Path, api: Path) -> dict[str, list[str]]:
    """Annotations and labels with the kinds that they are for; those that only the code knows are for none."""
    found: dict[str, list[str]] = {}
    for path in ("annotation/annotations.yaml", "label/labels.yaml"):
        for entries in yaml.safe_load((api / path).read_text(encoding="utf-8")).values():
            for entry in entries:
                kinds = {*found.get(entry["name"], ()), *(entry.get("resources") or ())}
                found[entry["name"]] = sorted(kinds)
    for folder in ("pilot", "pkg", "cni", "tools"):
        for path in sorted((istio / folder).rglob("*.go")):
            if not path.name.endswith("_test.go") and "test" not in path.relative_to(istio).parts:
                for key in _KEY.findall(path.read_text(encoding="utf-8")):
                    found.setdefault(key, [])
    for path in sorted((istio / "manifests/charts").rglob("*.yaml")):
        for key in _YAML_KEY.findall(path.read_text(encoding="utf-8")):
            found.setdefault(key, [])
    # The code has the first one without a domain (pkg/kube/inject), and only the documentation has the other.
    return {**found, "istio-injection": ["Namespace"], "istio.io/global": ["Service"]}


def _switches(istio: Path) -> list[str]:
    """Variables of istiod's environment."""
    found: set[str] = set()
    for path in sorted((istio / "pilot/pkg/features").glob("*.go")):
        if not path.name.endswith("_test.go"):
            found.update(_SWITCH.findall(path.read_text(encoding="utf-8")))
    return sorted(found)


def _of_type(name: str, path: str, above: tuple[str, ...]) -> Iterator[tuple[str, Leaf]]:
    """(path, type) of everything in a type of the Python package `kubernetes`."""
    model = getattr(client, name)
    for attribute, declared in model.openapi_types.items():
        kind: str = declared
        where, shape = f"{path}.{model.attribute_map[attribute]}".lstrip("."), ""
        while match := re.fullmatch(r"list\[(.*)\]|dict\(str, (.*)\)|List\[(.*)\]|Dict\[str, (.*)\]", kind):
            shape += "[]" if match[1] or match[3] else ".*"
            kind = next(part for part in match.groups() if part)
        if hasattr(getattr(client, kind, None), "openapi_types") and kind not in above:
            yield from _of_type(kind, where + shape, (*above, name))
        else:
            types = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}
            yield where + shape, types.get(kind, "object" if kind.startswith("V1") else kind)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*(Path(folder) for folder in sys.argv[1:])))
