# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is required before a canary gets traffic, and which other tools write its routes. Pure: live objects in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._canary.merged_rules import Merged, merged, visible
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.routes import Aim
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.diagnosis import selects
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.readiness import condition

Obj = Mapping[str, Any]

# Tool -> its managers (managedFields), prefixes of its labels and annotations, and its kinds of owners.
_TOOLS: dict[str, tuple[frozenset[str], tuple[str, ...], frozenset[str]]] = {
    "flagger": (frozenset({"flagger"}), ("flagger.app/",), frozenset({"Canary"})),
    "argo-rollouts": (
        frozenset({"rollouts-controller", "argo-rollouts"}),
        ("rollout.argoproj.io/", "argo-rollouts.argoproj.io/"),
        frozenset({"Rollout"}),
    ),
    "argocd": (
        frozenset({"argocd-controller", "argocd-application-controller"}),
        ("argocd.argoproj.io/",),
        frozenset(),
    ),
    "flux": (
        frozenset({"kustomize-controller", "helm-controller"}),
        ("kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/"),
        frozenset(),
    ),
}
TOOLS = tuple(_TOOLS)


def other_tools(obj: Obj, accepted: Iterable[str] = ()) -> list[str]:
    """A finding for each tool that manages this object. `accepted`: tools that the user configured to leave the weights alone."""
    meta = obj["metadata"]
    who = f"{obj.get('kind', 'object')} {meta.get('namespace', '')}/{meta['name']}"
    keys = {**(meta.get("labels") or {}), **(meta.get("annotations") or {})}
    writers = {str(entry.get("manager") or "") for entry in meta.get("managedFields") or [] if _owns_spec(entry)}
    owners = {str(entry.get("kind") or "") for entry in meta.get("ownerReferences") or []}
    found = []
    for tool, (managers, prefixes, kinds) in _TOOLS.items():
        if tool in accepted:
            continue
        signs = [f"manager {name}" for name in sorted(writers & managers)]
        signs += [f"owner {kind}" for kind in sorted(owners & kinds)]
        signs += [key for key in sorted(keys) if key.startswith(prefixes) and not _is_left_alone(key, str(keys[key]))]
        if signs:
            found.append(
                f"{who} is managed by {tool} ({', '.join(signs)}), which would set the weights back. "
                f"Configure {tool} to ignore spec.http, then set takeover: [{tool}]"
            )
    return found


def _owns_spec(entry: Obj) -> bool:
    return "f:spec" in (entry.get("fieldsV1") or {})


def _is_left_alone(key: str, value: str) -> bool:
    """Whether the tool is configured to leave the object alone (Flux: `kustomize.toolkit.fluxcd.io/reconcile: disabled`)."""
    if key.endswith("/reconcile"):
        return value == "disabled"
    return key.endswith("/ssa") and value in ("Ignore", "IfNotPresent")


def rule_for(rules: Iterable[Obj], aim: Aim) -> tuple[Merged | None, list[Obj]]:
    """(the service's own DestinationRule as Istio merges it, rules with a wildcard host that it shadows).

    An exact host wins over wildcards (pilot/pkg/model/push_context.go, destinationRule); the winner inherits nothing.
    """
    rules = list(rules)
    own = [rule for rule in _exact(rules, aim) if rule["metadata"].get("namespace") in (aim.namespace, None)]
    shadowed = [
        rule
        for rule in rules
        if (host := str((rule.get("spec") or {}).get("host") or "")).startswith("*") and aim.host.endswith(host[1:])
    ]
    return visible(merged(own), aim.namespace), shadowed


def _exact(rules: Iterable[Obj], aim: Aim) -> list[Obj]:
    return [
        rule
        for rule in rules
        if aim.means(str((rule.get("spec") or {}).get("host") or ""), rule["metadata"].get("namespace") or "")
    ]


def rule_findings(rules: Sequence[Obj], aim: Aim) -> list[str]:
    """Findings on the DestinationRules of the service: a missing subset, or the TLS mode of a wildcard rule that they drop.

    Besides the one of the service's namespace there may be others, for proxies with some labels and for callers of other namespaces.
    """
    rule, shadowed = rule_for(rules, aim)
    if rule is None:
        return [
            f"DestinationRule: none in namespace {aim.namespace} has host {aim.host}; expected one with both subsets"
        ]
    findings = _subset_findings(rule, aim)
    for other in _others(rules, aim, rule):
        findings += [f"{text}. Some callers get it instead of {rule}" for text in _subset_findings(other, aim, rule)]
    modes = {_tls_mode(entry) for name in (aim.stable, aim.canary) if (entry := rule.subset(name))} - {""}
    mine = _tls_mode(rule.spec)
    for wider in shadowed:
        mode = _tls_mode(wider["spec"])
        if mode and mode not in ({mine} | modes):
            where = f"{wider['metadata'].get('namespace', '')}/{wider['metadata']['name']}"
            findings.append(
                f"{rule} shadows DestinationRule {where} ({wider['spec']['host']}) and has "
                f"{'TLS mode ' + mine if mine else 'no trafficPolicy.tls'}; expected its mode {mode}, otherwise calls lose it"
            )
    return findings


def _subset_findings(rule: Merged, aim: Aim, main: Merged | None = None) -> list[str]:
    """`main`: the rule whose subsets have to be the same."""
    found = {name: rule.subset(name) for name in (aim.stable, aim.canary)}
    findings = [
        f"{rule} has no subset {name}; expected it with the labels of its pods"
        for name, entry in found.items()
        if not entry
    ]
    labels = {name: (entry or {}).get("labels") or {} for name, entry in found.items()}
    if not findings and labels[aim.stable] == labels[aim.canary]:
        findings.append(
            f"{rule}: subsets {aim.stable} and {aim.canary} have the same labels; expected labels that differ"
        )
    for name, entry in found.items():
        there = main.subset(name) if main else None
        if entry and there and labels[name] != (there.get("labels") or {}):
            findings.append(f"{rule}: subset {name} has other labels than that of {main}; expected the same")
    return findings


def _others(rules: Sequence[Obj], aim: Aim, main: Merged) -> list[Merged]:
    """Rules of the host that some callers get: by labels, by another exportTo, or in the namespace of the callers."""
    by_namespace: dict[str, list[Obj]] = {}
    for rule in _exact(rules, aim):
        by_namespace.setdefault(rule["metadata"].get("namespace") or aim.namespace, []).append(rule)
    return [one for group in by_namespace.values() for one in merged(group) if one != main]


def _tls_mode(spec: Obj) -> str:
    return str((((spec or {}).get("trafficPolicy") or {}).get("tls") or {}).get("mode") or "")


def subset_labels(rules: Sequence[Obj], aim: Aim, subset: str) -> dict[str, str]:
    """Labels of a subset; empty when the subset does not exist."""
    rule, _shadowed = rule_for(rules, aim)
    entry = rule.subset(subset) if rule else None
    return dict((entry or {}).get("labels") or {})


def is_ready(pod: Obj) -> bool:
    """Whether a pod gets traffic: it is ready, and not terminating."""
    return not pod["metadata"].get("deletionTimestamp") and condition(pod, "Ready").get("status") == "True"


def ready_pods(pods: Iterable[Obj], selector: Mapping[str, str], labels: Mapping[str, str]) -> list[str]:
    """Names of ready pods that the Service selects and that have the labels of a subset."""
    if not labels:
        return []
    wanted = {"matchLabels": {**selector, **labels}}
    return sorted(
        pod["metadata"]["name"]
        for pod in pods
        if is_ready(pod) and selects(wanted, pod["metadata"].get("labels") or {})
    )


def pod_findings(
    service: Obj | None, pods: Sequence[Obj], rules: Sequence[Obj], aim: Aim, needed: Mapping[str, int]
) -> list[str]:
    """Findings on pods: subsets with too few ready pods (`needed`: subset -> pods), and a pod in both subsets."""
    if service is None:
        return [
            f"Service {aim.namespace}/{aim.service} does not exist; expected it with the labels of the pods of both subsets as selector"
        ]
    selector = (service.get("spec") or {}).get("selector") or {}
    if not selector:
        return [
            f"Service {aim.namespace}/{aim.service} has no selector; expected the labels of the pods of both subsets"
        ]
    ready = {
        subset: ready_pods(pods, selector, subset_labels(rules, aim, subset)) for subset in (aim.stable, aim.canary)
    }
    findings = [
        f"subset {subset} selects {len(ready[subset])} ready pods; expected at least {number}"
        for subset, number in needed.items()
        if len(ready[subset]) < number
    ]
    both = sorted(set(ready[aim.stable]) & set(ready[aim.canary]))
    if both:
        findings.append(f"pod {both[0]} is in both subsets; expected subsets with labels that differ")
    return findings
