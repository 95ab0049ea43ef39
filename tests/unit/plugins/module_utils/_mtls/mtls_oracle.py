# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A slow second implementation of mTLS verdicts, written from Istio's rules over plain dicts. It shares no code with the engine.

It knows sidecars, Services with a ClusterIP or headless, PeerAuthentication and DestinationRule. For one client pod and one service port
it returns all pairs (what is sent, what is accepted) that can happen, one for each cluster and pod.
"""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]
OUTCOME = {
    ("mtls", "STRICT"): "strict",
    ("mtls", "PERMISSIVE"): "encrypted_not_enforced",
    ("mtls", "DISABLE"): "broken",
    ("mtls", "NOT_ENFORCED"): "broken",
    ("plaintext", "STRICT"): "broken",
    ("plaintext", "PERMISSIVE"): "plaintext_allowed",
    ("plaintext", "DISABLE"): "plaintext",
    ("plaintext", "NOT_ENFORCED"): "plaintext",
    ("tls", "STRICT"): "broken",
    ("tls", "PERMISSIVE"): "not_enforced",
    ("tls", "DISABLE"): "not_enforced",
    ("tls", "NOT_ENFORCED"): "not_enforced",
}
SEVERITY = ["strict", "encrypted_not_enforced", "not_enforced", "unknown", "plaintext_allowed", "plaintext", "broken"]


def by_age(objects: list[Obj]) -> list[Obj]:
    meta = [
        (o["metadata"]["creationTimestamp"], o["metadata"]["name"], o["metadata"]["namespace"], i)
        for i, o in enumerate(objects)
    ]
    return [objects[entry[3]] for entry in sorted(meta)]


def within(selector: Obj, labels: Obj) -> bool:
    return set(selector.items()) <= set(labels.items())


def chosen_labels(policy: Obj) -> Obj:
    selector = policy["spec"].get("selector")
    return {} if selector is None else selector.get("matchLabels", {})


def set_mode(policy: Obj | None) -> str | None:
    if policy is None or "mtls" not in policy["spec"] or policy["spec"]["mtls"]["mode"] == "UNSET":
        return None
    return policy["spec"]["mtls"]["mode"]


class Oracle:
    def __init__(self, objects: list[Obj], root: str, auto: bool) -> None:
        def kind(name: str) -> list[Obj]:
            return [entry for entry in objects if entry["kind"] == name]

        self.pods, self.services, self.slices = kind("Pod"), kind("Service"), kind("EndpointSlice")
        self.policies, self.rules = by_age(kind("PeerAuthentication")), kind("DestinationRule")
        self.root, self.auto = root, auto

    # --- server

    def policy_mode(self, namespace: str, labels: Obj, port: int) -> str:
        mesh = [p for p in self.policies if p["metadata"]["namespace"] == self.root and not chosen_labels(p)]
        inner = [p for p in self.policies if p["metadata"]["namespace"] == namespace != self.root]
        broad = [p for p in inner if not chosen_labels(p)]
        narrow = [p for p in inner if chosen_labels(p) and within(chosen_labels(p), labels)]
        mode = "PERMISSIVE"
        for scope in (mesh, broad, narrow):
            if scope and set_mode(scope[0]) is not None:
                mode = set_mode(scope[0]) or ""
        if narrow:
            own = narrow[0]["spec"].get("portLevelMtls", {}).get(str(port))
            if own is not None and own["mode"] != "UNSET":
                return own["mode"]
        return mode

    def has_proxy(self, pod: Obj) -> bool:
        return any(container["name"] == "istio-proxy" for container in pod["spec"]["containers"])

    def accepts(self, pod: Obj, port: int) -> str:
        meta = pod["metadata"]
        excluded = meta["annotations"].get("traffic.sidecar.istio.io/excludeInboundPorts", "").split(",")
        if not self.has_proxy(pod) or str(port) in excluded:
            return "NOT_ENFORCED"
        return self.policy_mode(meta["namespace"], meta["labels"], port)

    # --- client

    def host_of(self, rule: Obj) -> str:
        host = rule["spec"]["host"]
        if host != "*" and "." not in host:
            return f"{host}.{rule['metadata']['namespace']}.svc.cluster.local"
        return host

    def exports(self, rule: Obj) -> list[str]:
        return ["."] if "workloadSelector" in rule["spec"] else rule["spec"].get("exportTo", [])

    def level(self, rules: list[Obj], host: str) -> list[Obj]:
        """Rules for the most specific host among some rules, with its rules in the order in which they are merged."""
        matching = []
        for rule in rules:
            pattern = self.host_of(rule)
            if pattern == host or (pattern.startswith("*") and host.endswith(pattern[1:])):
                matching.append(pattern)
        if not matching:
            return []
        best = host if host in matching else max(matching, key=len)
        return [rule for rule in rules if self.host_of(rule) == best]

    def merged(self, rules: list[Obj]) -> list[Obj]:
        ordered = [r for r in by_age(rules) if "workloadSelector" in r["spec"]] + [
            r for r in by_age(rules) if "workloadSelector" not in r["spec"]
        ]
        out: list[Obj] = []
        for rule in ordered:
            mine = {
                "from": rule["metadata"]["namespace"],
                "exports": set(self.exports(rule)),
                "selector": rule["spec"].get("workloadSelector", {}).get("matchLabels")
                if "workloadSelector" in rule["spec"]
                else None,
                "policy": rule["spec"].get("trafficPolicy"),
                "subsets": list(rule["spec"].get("subsets", [])),
            }
            separate = True
            for other in out:
                if mine["exports"] == other["exports"]:
                    separate = False
                elif other["exports"] and mine["exports"] >= other["exports"]:
                    separate = True
                else:
                    separate = True
                    continue
                if (
                    mine["selector"] is not None
                    and other["selector"] is not None
                    and mine["selector"] != other["selector"]
                ):
                    separate = True
                    continue
                if (mine["selector"] is None) == (other["selector"] is None):
                    separate = False
                if other["policy"] is None:
                    other["policy"] = mine["policy"]
                taken = [subset["name"] for subset in other["subsets"]]
                other["subsets"] += [subset for subset in mine["subsets"] if subset["name"] not in taken]
            if separate:
                out.append(mine)
        return out

    def rule_for(self, client: Obj, service: Obj) -> Obj | None:
        mine, theirs = client["metadata"]["namespace"], service["metadata"]["namespace"]
        host = f"{service['metadata']['name']}.{theirs}.svc.cluster.local"

        def private(rule: Obj) -> bool:
            exports = self.exports(rule)
            return len(set(exports)) == 1 and exports[0] in (".", rule["metadata"]["namespace"])

        def of(namespace: str) -> list[Obj]:
            return [rule for rule in self.rules if rule["metadata"]["namespace"] == namespace]

        if mine == self.root:
            first = self.level([r for r in of(mine) if private(r)], host)
        else:
            at_home = [r for r in of(mine) if not self.exports(r) or {"*", ".", mine} & set(self.exports(r))]
            first = self.level(at_home, host)
        found = self.merged(first)
        for namespace in (theirs, self.root):
            if not found:
                shown = self.merged(self.level([r for r in of(namespace) if not private(r)], host))
                found = [m for m in shown if not m["exports"] or {"*", mine} & m["exports"]]
        last = None
        for entry in found:
            if entry["selector"] is None:
                last = entry
            elif entry["from"] == mine and within(entry["selector"], client["metadata"]["labels"]):
                return entry
        return last

    @staticmethod
    def block(policy: Obj | None, port: int) -> tuple[Obj | None, bool]:
        for setting in (policy or {}).get("portLevelSettings", []):
            if setting["port"]["number"] == port:
                return setting, True
        return policy, False

    @staticmethod
    def mode_of(policy: Obj | None) -> str | None:
        return None if policy is None or "tls" not in policy else policy["tls"]["mode"]

    def marked(self, policy: Obj | None, port: int) -> str | None:
        setting, own = self.block(policy, port)
        if own and self.mode_of(setting) is not None:
            return self.mode_of(setting)
        return self.mode_of(policy)

    def sends(
        self, rule: Obj | None, subset: Obj | None, service: Obj, number: int, pod: Obj, port: int, all_pods: list[Obj]
    ) -> str:
        top = rule["policy"] if rule else None
        block, _own = self.block(top, number)
        mode, mark = self.mode_of(block), self.marked(top, number)
        if subset is not None:
            inner = subset.get("trafficPolicy")
            inner_block, inner_own = self.block(inner, number)
            if inner is not None and (inner_own or self.mode_of(inner_block) is not None):
                mode = self.mode_of(inner_block)
            inner_mark = self.marked(inner, number)
            mark = mark if inner_mark is None else inner_mark
        if mode is not None:
            return {"DISABLE": "plaintext", "ISTIO_MUTUAL": "mtls"}.get(mode, "tls")
        if not self.auto:
            return "plaintext"
        headless = service["spec"]["clusterIP"] == "None"
        claims = [p["metadata"]["labels"].get("security.istio.io/tlsMode", "disabled") for p in all_pods]
        if headless and "disabled" in claims:
            return "plaintext"
        namespace = service["metadata"]["namespace"]
        if self.policy_mode(namespace, {}, -1) == "DISABLE":
            return "plaintext"
        if headless:
            return "mtls"
        meta = pod["metadata"]
        if meta["labels"].get("security.istio.io/tlsMode") != "istio":
            return "plaintext"
        if mark is not None:
            return "mtls" if mark == "ISTIO_MUTUAL" else "plaintext"
        return "plaintext" if self.policy_mode(meta["namespace"], meta["labels"], port) == "DISABLE" else "mtls"

    def calls(self, client: Obj, service: Obj, number: int) -> list[tuple[str, str]]:
        """(sent, accepted) for every cluster that a client has for a service port, and every pod in it."""
        meta = service["metadata"]
        (slice_,) = [
            s
            for s in self.slices
            if s["metadata"]["labels"]["kubernetes.io/service-name"] == meta["name"]
            and s["metadata"]["namespace"] == meta["namespace"]
        ]
        name = next(port["name"] for port in service["spec"]["ports"] if port["port"] == number)
        port = next(entry["port"] for entry in slice_["ports"] if entry["name"] == name)
        refs = [(e["targetRef"]["namespace"], e["targetRef"]["name"]) for e in slice_["endpoints"]]
        behind = [p for p in self.pods if (p["metadata"]["namespace"], p["metadata"]["name"]) in refs]
        rule = self.rule_for(client, service)
        headless = (
            service["spec"]["clusterIP"] == "None"
        )  # its clusters lead where the application connects to, those of subsets as well
        found = []
        for subset in [None, *(rule["subsets"] if rule else [])]:
            for pod in behind:
                if subset is None or headless or within(subset.get("labels", {}), pod["metadata"]["labels"]):
                    sent = self.sends(rule, subset, service, number, pod, port, behind)
                    found.append((sent, self.accepts(pod, port)))
        return found


def worst(pairs: list[tuple[str, str]]) -> str:
    """The verdict that decides."""
    return max((OUTCOME[pair] for pair in pairs), key=SEVERITY.index)
