# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dashboards show.

A panel without data tells nobody whether nothing happened or nothing is measured. So what counts errors is zero where its requests are
counted (`_or_zero`), and what only a canary has is zero where its service has none (`service:without_canary`).
"""

from __future__ import annotations

from tests.generate.dashboards.grafana import Board, Panel, Row, Variable

_SERVICE = 'destination_service_namespace=~"$namespace", destination_service_name=~"$service"'
_RECORDED = f"service:requests:rate5m{{{_SERVICE}}}"
_BUCKETS = "service:request_duration_milliseconds_bucket:rate5m"
_BAD = 'response_code_class=~"5xx|0xx"'
NAMESPACE = Variable("namespace", "Namespace", "label_values(service:requests:rate5m, destination_service_namespace)")
SERVICE = Variable(
    "service",
    "Service",
    'label_values(service:requests:rate5m{destination_service_namespace=~"$namespace"}, destination_service_name)',
)
ONE_SERVICE = Variable("service", "Service", SERVICE.query, several=False)


def _or_zero(query: str, there: str) -> str:
    """A query, and 0 for each series of `there`, which has the same labels: what could be counted, and was not."""
    return f"({query})\nor 0 * ({there})"


def _share(by: str, part: str, whole: str) -> str:
    """Part of the whole for each of the labels `by`, 0 without the part. Nothing where the whole is 0."""
    total = f"sum by ({by}) ({whole})"
    return f"({_or_zero(f'sum by ({by}) ({part})', total)})\n/ ({total} > 0)"


def _quantile(share: float, by: str, buckets: str) -> str:
    return f"histogram_quantile({share}, sum by (le, {by}) ({buckets}))"


def _platform() -> Board:
    by = "destination_service_name, subset"
    legend = "{{destination_service_name}} {{subset}}"
    buckets = f"{_BUCKETS}{{{_SERVICE}}}"
    durations = [
        Panel(
            f"Request duration, p{share:.0%}".rstrip("%"),
            f"Time in which {share:.0%} of the requests end, at the caller's proxy.",
            [(_quantile(share, by, buckets), legend)],
            unit="ms",
        )
        for share in (0.5, 0.95, 0.99)
    ]
    services = [
        Panel(
            "Request rate",
            "Requests a second by service and subset, counted at the caller's proxy.",
            [(f"sum by ({by}) ({_RECORDED})", legend)],
            unit="reqps",
            width=12,
        ),
        Panel(
            "Error rate",
            "Share of the requests that end with a 5xx or without an answer.",
            [(_share(by, f"service:requests:rate5m{{{_SERVICE}, {_BAD}}}", _RECORDED), legend)],
            unit="percentunit",
            width=12,
        ),
        *durations,
        Panel(
            "Answers by class",
            "Requests a second by class of the status; 0xx had no answer.",
            [
                (
                    f"sum by (destination_service_name, response_code_class) ({_RECORDED})",
                    "{{destination_service_name}} {{response_code_class}}",
                )
            ],
            unit="reqps",
            width=12,
        ),
        Panel(
            "Ready pods",
            "Pods that get requests.",
            [
                (
                    'sum by (app, track) (service:ready_pods{namespace=~"$namespace", app=~"$service"})',
                    "{{app}} {{track}}",
                )
            ],
            kind="stat",
            width=6,
            limits=(1, 1),
            low_is_bad=True,
        ),
        Panel(
            "Ready databases",
            "Pods of databases and caches that get connections.",
            [('sum by (app) (up{job="datastore-readiness", namespace=~"$namespace"})', "{{app}}")],
            kind="stat",
            width=6,
            limits=(1, 1),
            low_is_bad=True,
        ),
    ]
    convergence = "sum by (le) (rate(pilot_proxy_convergence_time_bucket[5m]))"
    mesh = [
        Panel(
            "Firing alerts",
            "Alerts by name; `none` while nothing fires.",
            [
                (
                    'sum by (alertname, severity) (ALERTS{alertstate="firing"})\n'
                    'or label_replace(0 * count(up{job="mesh-proxies"}), "alertname", "none", "", "")',
                    "{{alertname}} {{severity}}",
                )
            ],
        ),
        Panel(
            "Configuration pushes",
            "What istiod sends to the proxies a second, by type of the resource; `refused` is what they did not take.",
            [
                ("sum by (type) (rate(pilot_xds_pushes[5m]))", "{{type}}"),
                (_or_zero("sum(rate(pilot_total_xds_rejects[5m]))", "sum(rate(pilot_xds_pushes[5m]))"), "refused"),
            ],
            unit="ops",
        ),
        Panel(
            "Time until a change has reached the proxies",
            "Half, and 99 of 100 proxies.",
            [
                (f'histogram_quantile(0.5, {convergence}) >= 0 or 0 * count(up{{job="istiod"}} == 1)', "p50"),
                (f'histogram_quantile(0.99, {convergence}) >= 0 or 0 * count(up{{job="istiod"}} == 1)', "p99"),
            ],
            unit="s",
        ),
    ]
    resources = [
        Panel(
            "CPU",
            "Cores that the containers of a pod use.",
            [('sum by (pod) (rate(container_cpu_usage_seconds_total{namespace=~"$namespace"}[5m]))', "{{pod}}")],
            unit="none",
        ),
        Panel(
            "Memory",
            "Working set of the containers of a pod.",
            [('sum by (pod) (container_memory_working_set_bytes{namespace=~"$namespace"})', "{{pod}}")],
            unit="bytes",
        ),
        Panel(
            "Time without CPU",
            "Share of the periods in which a container had to wait at its limit.",
            [
                (
                    'sum by (pod) (rate(container_cpu_cfs_throttled_periods_total{namespace=~"$namespace"}[5m]))\n'
                    '/ (sum by (pod) (rate(container_cpu_cfs_periods_total{namespace=~"$namespace"}[5m])) > 0)',
                    "{{pod}}",
                )
            ],
            unit="percentunit",
        ),
    ]
    taken = "sum by (pod) (rate(otelcol_receiver_accepted_spans_total[5m]))"
    lost = " or ".join(
        f"sum by (pod) (rate(otelcol_{what}_{of}_total[5m]))"
        for what in ("receiver_refused", "exporter_enqueue_failed", "exporter_send_failed")
        for of in ("spans", "log_records")
    )
    traces = [
        Panel(
            "Spans taken by the collector",
            "A second, by pod of the collector. Empty where the platform runs none.",
            [(taken, "{{pod}}")],
            unit="ops",
        ),
        Panel(
            "Spans and log lines lost",
            "Refused, or given up after five minutes, a second.",
            [(_or_zero(lost, taken), "{{pod}}")],
            unit="ops",
        ),
        Panel(
            "Queue of the collector",
            "Share of its capacity that waits to be sent; at 100 % it refuses.",
            [("otelcol_exporter_queue_size / otelcol_exporter_queue_capacity", "{{pod}} {{exporter}}")],
            unit="percentunit",
        ),
    ]
    rows = [Row("Services", services), Row("Mesh", mesh), Row("Resources", resources), Row("Traces and logs", traces)]
    return Board("ecommerce-mesh", "Ecommerce Service Mesh Dashboard", rows, [NAMESPACE, SERVICE])


def _service() -> Board:
    selector = f'reporter="source", {_SERVICE}'
    requests = f"rate(istio_requests_total{{{selector}}}[5m])"
    failed = f'rate(istio_requests_total{{{selector}, response_code=~"5..|0"}}[5m])'
    buckets = f"rate(istio_request_duration_milliseconds_bucket{{{selector}}}[5m])"
    version = "destination_version"
    versions = [
        Panel(
            "Requests by version",
            "Requests a second that reached a pod, by the label `version` of its pods.",
            [(f"sum by ({version}) ({requests})", "{{destination_version}}")],
            unit="reqps",
        ),
        Panel(
            "Errors by version",
            "Share of the requests that end with a 5xx or without an answer.",
            [(_share(version, failed, requests), "{{destination_version}}")],
            unit="percentunit",
        ),
        Panel(
            "Request duration by version, p95",
            "Time in which 95 % of the requests end.",
            [(_quantile(0.95, version, buckets), "{{destination_version}}")],
            unit="ms",
        ),
    ]
    calls = [
        Panel(
            "Requests by caller",
            "Requests a second, by the workload that sends them.",
            [(f"sum by (source_workload) ({requests})", "{{source_workload}}")],
            unit="reqps",
        ),
        Panel(
            "Answers by status",
            "Requests a second by status; 0 had no answer.",
            [(f"sum by (response_code) ({requests})", "{{response_code}}")],
            unit="reqps",
        ),
        Panel(
            "Requests by what the proxy says of them",
            "Envoy's response flags: `-` for none, UH no healthy pod, UO circuit breaker, UT timeout, URX retries used up.",
            [(f"sum by (response_flags) ({requests})", "{{response_flags}}")],
            unit="reqps",
        ),
    ]
    pods = [
        Panel(
            "Ready pods",
            "Pods that get requests, by track.",
            [('sum by (track) (service:ready_pods{namespace=~"$namespace", app=~"$service"})', "{{track}}")],
            unit="none",
        ),
        Panel(
            "CPU",
            "Cores that the service's own container uses, by pod.",
            [('sum by (pod) (rate(container_cpu_usage_seconds_total{container=~"$service"}[5m]))', "{{pod}}")],
            unit="none",
        ),
        Panel(
            "Memory",
            "Working set of the service's own container, by pod.",
            [('sum by (pod) (container_memory_working_set_bytes{container=~"$service"})', "{{pod}}")],
            unit="bytes",
        ),
    ]
    rows = [Row("Versions", versions), Row("Calls", calls), Row("Pods", pods)]
    return Board("ecommerce-service", "Service by version", rows, [NAMESPACE, ONE_SERVICE])


def _security() -> Board:
    requests = 'rate(istio_requests_total{reporter="destination"}[5m])'
    tls = 'rate(istio_requests_total{reporter="destination", connection_security_policy="mutual_tls"}[5m])'
    proxies = 'sum by (namespace, app) (up{job="mesh-proxies"})'
    traffic = [
        Panel(
            "Requests with mutual TLS",
            "Share of the requests, by the service that took them.",
            [
                (
                    _share("destination_service_namespace, destination_service_name", tls, requests),
                    "{{destination_service_name}}",
                )
            ],
            unit="percentunit",
            kind="bargauge",
            limits=(0.9, 1),
            low_is_bad=True,
        ),
        Panel(
            "Plaintext that was taken",
            "Requests or connections a second without mutual TLS, by the pods that took them.",
            [(_or_zero("sum by (namespace, app) (pod:plaintext_requests:rate5m)", proxies), "{{namespace}}/{{app}}")],
            unit="reqps",
        ),
        Panel(
            "Connections that were refused",
            "Connections a second that no filter chain of the proxy takes: plaintext under STRICT as a rule.",
            [
                (
                    "sum by (namespace, app) "
                    '(rate(envoy_listener_no_filter_chain_match{listener_address=~".+_15006"}[5m]))',
                    "{{namespace}}/{{app}}",
                )
            ],
            unit="cps",
        ),
        Panel(
            "Who calls whom",
            "Requests a second of the last five minutes, by the identity of the caller.",
            [
                (
                    f"sum by (source_principal, destination_service_name, connection_security_policy) ({requests}) > 0",
                    "",
                )
            ],
            kind="table",
            width=16,
        ),
        Panel(
            "Refused by policy",
            "Requests a second that an AuthorizationPolicy refused.",
            [
                (
                    'sum by (namespace, app) (rate(envoy_http_rbac{authz_enforce_result="denied"}[5m]))',
                    "{{namespace}}/{{app}}",
                )
            ],
            unit="reqps",
        ),
    ]
    certificates = [
        Panel(
            "Life left of the workloads' certificates",
            "The shortest of each service. Agents renew at half of it.",
            [("min by (namespace, app) (istio_agent_cert_expiry_seconds)", "{{namespace}}/{{app}}")],
            unit="s",
            width=12,
        ),
        Panel(
            "Life left of the authority's certificates",
            "Root and issuing certificate of istiod. Where it was given none (Secret cacerts), its root issues itself.",
            [
                ("min(citadel_server_root_cert_expiry_seconds)", "root"),
                (
                    "min(citadel_server_cert_chain_expiry_seconds) or min(citadel_server_root_cert_expiry_seconds)",
                    "issuing",
                ),
            ],
            unit="s",
            kind="stat",
            width=12,
            limits=(30 * 86400, 90 * 86400),
            low_is_bad=True,
        ),
    ]
    return Board("ecommerce-security", "Mesh security", [Row("Traffic", traffic), Row("Certificates", certificates)])


def _canary() -> Board:
    own = 'namespace=~"$namespace", service=~"$service"'
    none = f"service:without_canary{{{own}}}"
    # Pushed series have an empty instance. Where a watchdog serves them too, it knows better: it also sees what itself does.
    served = 'instance!=""'
    by = "destination_service_name, subset"
    legend = "{{destination_service_name}} {{subset}}"
    subsets = f'service:requests:rate5m{{{_SERVICE}, subset=~"stable|canary"}}'
    canary = f'service:requests:rate5m{{{_SERVICE}, subset="canary"}}'
    rollout = [
        Panel(
            "Weight",
            "Percent of the requests that a canary is to have, as its watchdog tells, or its driver pushes; 0 for a service without one.",
            [
                (
                    f"max by (namespace, service) (servicemesh_canary_weight{{{own}, {served}}})\n"
                    f"or max by (namespace, service) (servicemesh_canary_weight{{{own}}})\nor {none}",
                    "{{service}}",
                )
            ],
            unit="percent",
        ),
        Panel(
            "Share that it has",
            "Share of the requests that reached the canary, as the callers' proxies count them.",
            [(_share("destination_service_name", canary, subsets), "{{destination_service_name}}")],
            unit="percentunit",
        ),
        Panel(
            "Phase",
            "1 for the phase that a canary is in; `none` at 0 for a service without one.",
            [
                (
                    f"max by (namespace, service, phase) (servicemesh_canary_phase{{{own}, {served}}}) > 0\n"
                    f"or on (namespace, service) max by (namespace, service, phase) (servicemesh_canary_phase{{{own}}}) > 0\n"
                    f'or label_replace({none}, "phase", "none", "", "")',
                    "{{service}} {{phase}}",
                )
            ],
        ),
        Panel(
            "Verdicts",
            "Verdicts of the analysis in ten minutes.",
            [
                (
                    f"max by (namespace, service, verdict) (increase(servicemesh_canary_verdicts_total{{{own}}}[10m]))\nor {none}",
                    "{{service}} {{verdict}}",
                )
            ],
            width=12,
        ),
        Panel(
            "Time in its phase",
            "A pause waits for somebody.",
            [(f"canary:phase:age_seconds{{{own}}}\nor {none}", "{{service}} {{phase}}")],
            unit="s",
            width=12,
        ),
    ]
    compared = [
        Panel(
            "Requests",
            "Requests a second, stable and canary.",
            [(f"sum by ({by}) ({subsets})", legend)],
            unit="reqps",
        ),
        Panel(
            "Errors",
            "Share of the requests that end with a 5xx or without an answer.",
            [(_share(by, f'service:requests:rate5m{{{_SERVICE}, subset=~"stable|canary", {_BAD}}}', subsets), legend)],
            unit="percentunit",
        ),
        Panel(
            "Request duration, p95",
            "Time in which 95 % of the requests end.",
            [(_quantile(0.95, by, f'{_BUCKETS}{{{_SERVICE}, subset=~"stable|canary"}}'), legend)],
            unit="ms",
        ),
    ]
    return Board(
        "ecommerce-canary",
        "Canary",
        [Row("Rollout", rollout), Row("Stable and canary", compared)],
        [NAMESPACE, SERVICE],
    )


def _ingress() -> Board:
    gateway = 'reporter="source", source_workload=~".*ingressgateway.*"'
    mine = 'on (namespace, pod) group_left () max by (namespace, pod) (up{job="nginx-ingress"})'
    duration = "\nor ".join(
        [
            "histogram_quantile({share}, sum by (le) (rate(nginx_ingress_controller_response_duration_seconds_bucket[5m])))",
            "histogram_quantile({share}, "
            "sum by (le) (rate(nginx_ingress_controller_upstream_server_response_latency_ms_bucket[5m]))) / 1000",
        ]
    )
    controller = [
        Panel(
            "Requests",
            "Requests a second by class of the status. F5's controller counts those that reached an upstream.",
            [("sum by (response_code_class) (ingress:requests:rate5m)", "{{response_code_class}}")],
            unit="reqps",
        ),
        Panel(
            "Errors",
            "Share of the requests that end with a 5xx.",
            [
                (
                    _share(
                        "namespace", 'ingress:requests:rate5m{response_code_class="5xx"}', "ingress:requests:rate5m"
                    ),
                    "{{namespace}}",
                )
            ],
            unit="percentunit",
        ),
        Panel(
            "Time until the upstream has answered",
            "As the controller measures it.",
            [(duration.replace("{share}", "0.5"), "p50"), (duration.replace("{share}", "0.95"), "p95")],
            unit="s",
        ),
        Panel(
            "Open connections",
            "Connections of clients, by pod.",
            [("ingress:connections:active", "{{pod}}")],
            unit="none",
        ),
        Panel(
            "Configuration",
            "1: NGINX runs on its last configuration. 0: it refused it.",
            [("min by (pod) (ingress:last_reload:successful)", "{{pod}}")],
            kind="stat",
            limits=(1, 1),
            low_is_bad=True,
        ),
        Panel(
            "CPU of the controller",
            "Cores that it uses, by pod.",
            [(f"sum by (pod) (rate(container_cpu_usage_seconds_total[5m]) * {mine})", "{{pod}}")],
            unit="none",
        ),
    ]
    mesh = [
        Panel(
            "Requests at the gateway",
            "Requests a second that the ingress gateway sends to services.",
            [
                (
                    f"sum by (destination_service_name) (rate(istio_requests_total{{{gateway}}}[5m]))",
                    "{{destination_service_name}}",
                )
            ],
            unit="reqps",
        ),
        Panel(
            "Answers at the gateway",
            "By status; 403 is an access rule.",
            [(f"sum by (response_code) (rate(istio_requests_total{{{gateway}}}[5m]))", "{{response_code}}")],
            unit="reqps",
        ),
        Panel(
            "Memory of the controller",
            "Working set, by pod.",
            [(f"sum by (pod) (container_memory_working_set_bytes * {mine})", "{{pod}}")],
            unit="bytes",
        ),
    ]
    return Board("ecommerce-ingress", "Ingress", [Row("Controller", controller), Row("Gateway of the mesh", mesh)])


def _slo() -> Board:
    own = _SERVICE
    legend = "{{destination_service_name}} {{sli}}"
    budgets = [
        Panel(
            "Error budget that is left",
            "Of the window of the objectives: 100 % nothing is spent, 0 % all of it, below 0 more than there was.",
            [(f"slo:error_budget_left:ratio{{{own}}}", legend)],
            unit="percentunit",
            kind="bargauge",
            width=12,
            least=None,
            limits=(0, 0.25),
            low_is_bad=True,
        ),
        Panel(
            "Objectives",
            "Share of the requests that has to be good.",
            [(f"slo:objective:ratio{{{own}}}", legend)],
            unit="percentunit",
            kind="stat",
            width=12,
        ),
        Panel(
            "How fast it is spent, over an hour",
            "1 spends the budget of the window exactly; above 14.4 (and over five minutes) somebody is called.",
            [(f"slo:burn:rate1h{{{own}}}", legend)],
            width=12,
        ),
        Panel(
            "How fast it is spent, over six hours",
            "Above 6 (and over half an hour) somebody is called.",
            [(f"slo:burn:rate6h{{{own}}}", legend)],
            width=12,
        ),
        Panel(
            "Bad requests",
            "Requests a second that count as bad.",
            [(f"slo:bad_requests:rate5m{{{own}}}", legend)],
            unit="reqps",
            width=12,
        ),
        Panel(
            "What is left, over time",
            "Of the window's budget.",
            [(f"slo:error_budget_left:ratio{{{own}}}", legend)],
            unit="percentunit",
            width=12,
            least=None,
        ),
    ]
    return Board("ecommerce-slo", "Objectives", [Row("Error budgets", budgets)], [NAMESPACE, SERVICE])


BOARDS = (_platform(), _service(), _security(), _canary(), _ingress(), _slo())
