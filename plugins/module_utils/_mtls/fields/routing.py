# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of the kinds of networking.istio.io that change where calls go, or patch proxies: VirtualService and EnvoyFilter. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.servicemesh.platform.plugins.module_utils._mtls.fields.table import (
    Row,
    Table,
    below,
    decides,
    irrelevant,
)

_PARSE = "parse/virtual_service.py"
_HTTP, _HTTP_MATCH = "spec.http[]", "spec.http[].match[]"
_NAME = "a name in logs and metrics"
_TARGET = ("host", "subset", "port.number")
_TEXTS = ("exact", "prefix", "regex")


def _connections() -> Iterator[Row]:
    """Routes of TCP and TLS connections."""
    for place in ("spec.tcp[]", "spec.tls[]"):
        match = f"{place}.match[]"
        yield from decides("routes.py", *below(match, "port", "gateways[]", "sourceNamespace", "sourceLabels.*"))
        yield from decides(_PARSE, f"{match}.destinationSubnets[]", f"{place}.route[].weight")
        yield from decides("routes.py", *below(f"{place}.route[].destination", *_TARGET))
    yield from decides(_PARSE, "spec.tls[].match[].sniHosts[]")
    yield from irrelevant("not used by istiod", "spec.tcp[].match[].sourceSubnet")


VIRTUAL_SERVICE = Table(
    decides("routes.py", "spec.hosts[]", "spec.exportTo[]"),
    decides(_PARSE, "spec.gateways[]"),
    decides("routes.py", *below(_HTTP_MATCH, "port", "gateways[]", "sourceNamespace", "sourceLabels.*")),
    decides(
        _PARSE,
        *(f"{_HTTP_MATCH}.{field}.{kind}" for field in ("uri", "scheme", "method", "authority") for kind in _TEXTS),
        *(
            f"{_HTTP_MATCH}.{field}.*.{kind}"
            for field in ("headers", "withoutHeaders", "queryParams")
            for kind in _TEXTS
        ),
    ),
    irrelevant(_NAME, f"{_HTTP}.name", f"{_HTTP_MATCH}.name", f"{_HTTP_MATCH}.statPrefix"),
    irrelevant("a match that needs a path stays one that does not take all calls", f"{_HTTP_MATCH}.ignoreUriCase"),
    decides("routes.py", *below(f"{_HTTP}.route[].destination", *_TARGET)),
    decides("routes.py", *below(f"{_HTTP}.mirror", *_TARGET), *below(f"{_HTTP}.mirrors[].destination", *_TARGET)),
    decides("routes.py", *below(f"{_HTTP}.delegate", "name", "namespace")),
    decides(_PARSE, *below(_HTTP, "route[].weight", "mirrors[].percentage.value", "mirrorPercentage.value")),
    decides(_PARSE, *below(_HTTP, "mirrorPercent", "mirror_percent", "redirect.**", "directResponse.**")),
    irrelevant(
        "it changes what is sent after the destination is chosen",
        *below(_HTTP, "rewrite.**", "headers.**", "route[].headers.**"),
    ),
    irrelevant(
        "it ends, delays or repeats calls, which stay as they are", *below(_HTTP, "timeout", "retries.**", "fault.**")
    ),
    irrelevant("it answers preflights of browsers, and sets headers of answers", f"{_HTTP}.corsPolicy.**"),
    _connections(),
)

_PATCH = "spec.configPatches[]"
_PLACES = (
    *("LISTENER", "FILTER_CHAIN", "LISTENER_FILTER", "NETWORK_FILTER", "HTTP_FILTER", "EXTENSION_CONFIG", "BOOTSTRAP"),
    *("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE", "CLUSTER"),
)
_OPERATIONS = (
    *("MERGE", "ADD", "REMOVE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE"),
    "MERGE_AND_REPLACE_LIST",
)

ENVOY_FILTER = Table(
    decides("envoy_filters.py", "spec.workloadSelector.labels.*", "spec.targetRefs[].name"),
    decides("parse/envoy_filter.py", "spec.targetRefs[].kind"),
    irrelevant(
        "a target counts whatever its group and its namespace", *below("spec.targetRefs[]", "group", "namespace")
    ),
    irrelevant("a patch that may change TLS counts whatever the order", "spec.priority", f"{_PATCH}.patch.filterClass"),
    decides("parse/envoy_filter.py", f"{_PATCH}.applyTo", values=_PLACES),
    decides("parse/envoy_filter.py", f"{_PATCH}.patch.operation", values=_OPERATIONS),
    decides("parse/envoy_filter.py", f"{_PATCH}.patch.value.**"),
    decides(
        "parse/envoy_filter.py",
        f"{_PATCH}.match.context",
        values=("ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"),
    ),
    decides(
        "parse/envoy_filter.py",
        *below(f"{_PATCH}.match", "cluster.service", "cluster.name", "listener.filterChain.filter.subFilter.name"),
    ),
    irrelevant(
        "it narrows what a patch is for; the patch counts as if it were for all",
        *below(f"{_PATCH}.match.cluster", "portNumber", "subset"),
        *below(f"{_PATCH}.match.listener", "name", "portName", "portNumber", "listenerFilter"),
        *below(
            f"{_PATCH}.match.listener.filterChain",
            *("name", "sni", "applicationProtocols", "transportProtocol", "destinationPort", "filter.name"),
        ),
        *below(f"{_PATCH}.match", "proxy.**", "routeConfiguration.**", "waypoint.**"),
    ),
)
