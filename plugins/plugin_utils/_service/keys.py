# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""The keys of a service definition: types, defaults, limits and descriptions, written once.

`make generate` makes docs/service-definition.md, the argument specs of role microservice and the JSON Schema for editors of them.
"""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service.schema import Field


def _probe(text: str, path: str, delay: int, period: int, timeout: int, failures: int) -> Field:
    fields = {
        "path": Field("str", path, check=is_.path, text="Path of the probe."),
        "initial_delay": Field("int", delay, check=is_.between(0, 3600), text="Seconds before the first probe."),
        "period": Field("int", period, check=is_.between(1, 3600), text="Seconds from one probe to the next."),
        "timeout": Field("int", timeout, check=is_.between(1, 3600), text="Seconds to wait for an answer."),
        "failure_threshold": Field(
            "int",
            failures,
            check=is_.between(1, 1000),
            text="Consecutive failures until the probe counts as failed.",
        ),
    }
    return Field("object", fields=fields, optional=True, text=text)


def _resources(text: str, cpu: str, memory: str) -> Field:
    fields = {
        "cpu": Field("str", cpu, check=is_.positive_quantity, text="CPU, for example `50m` or `0.5`."),
        "memory": Field("str", memory, check=is_.positive_quantity, text="Memory, for example `128Mi`."),
    }
    return Field("object", fields=fields, text=text)


_METHOD = Field("str", check=is_.method)
_NAME = Field("str", check=is_.subdomain)

_RETRIES = Field(
    "object",
    optional=True,
    text="Retries by the calling proxy. Without it those of Istio.",
    fields={
        "attempts": Field("int", 3, check=is_.between(0, 100), text="Number of retries; 0 for none."),
        "per_try_timeout": Field(
            "str",
            check=is_.duration,
            text="Time for each try. With it, choose a `retry_on` that retries a try that took too long, `gateway-error`, `5xx` or "
            "`reset`; else the first slow try ends the request, before `timeout`.",
        ),
        "retry_on": Field(
            "str",
            "connect-failure,refused-stream",
            check=is_.retry_on,
            text="Conditions for a retry: Envoy's policies and status codes, separated by commas.",
        ),
    },
)

_CORS = Field(
    "object",
    optional=True,
    text="Cross-origin rules for browsers. The gateway then answers a preflight itself.",
    fields={
        "allow_origins": Field(
            "list",
            required=True,
            item=Field("str", check=is_.origin),
            check=is_.nonempty,
            text="Origins such as `https://ecommerce.example.com`, `*` for any.",
        ),
        "allow_methods": Field("list", ["GET"], item=_METHOD, text="Methods."),
        "allow_headers": Field(
            "list", item=Field("str", check=is_.header), text="Request headers that scripts may set."
        ),
        "expose_headers": Field(
            "list", item=Field("str", check=is_.header), text="Response headers that scripts may read."
        ),
        "allow_credentials": Field("bool", False, text="Whether browsers may send cookies."),
        "max_age": Field("str", "24h", check=is_.duration, text="How long a browser may cache the answer."),
    },
)

_ROUTE = Field(
    "object",
    fields={
        "prefix": Field(
            "str",
            required=True,
            check=is_.prefix,
            text="This path and all paths below it: `/api/users` is not `/api/users-export`.",
        ),
        "ingress": Field(
            "bool", True, text="Whether the ingress gateway serves the route. `false` serves it inside the mesh only."
        ),
        "methods": Field(
            "list",
            ["GET"],
            item=_METHOD,
            check=is_.nonempty,
            text="Methods that the ingress gateway may call. `GET` allows `HEAD`.",
        ),
        "require_jwt": Field(
            "bool", False, text="Whether a call through the ingress gateway needs a valid token. It needs `jwt`."
        ),
        "timeout": Field("str", check=is_.duration, text="Time limit of the whole request, including retries."),
        "retries": _RETRIES,
        "cors": _CORS,
    },
)

_CALLER = Field(
    "object",
    fields={
        "service_account": Field(
            "str",
            required=True,
            check=is_.service_account,
            text="ServiceAccount of the caller, `*` for all of the namespace.",
        ),
        "namespace": Field("str", check=is_.label, text="Namespace of the caller. The default is that of the service."),
        "methods": Field("list", required=True, item=_METHOD, check=is_.nonempty, text="Methods. `GET` allows `HEAD`."),
        "paths": Field(
            "list",
            required=True,
            item=Field("str", check=is_.pattern),
            check=is_.nonempty,
            text="Paths. `*` stands for one segment, or at the end for any rest.",
        ),
    },
)

_TRAFFIC = Field(
    "object",
    text="The DestinationRule.",
    fields={
        # PASSTHROUGH is not offered: Istio infers no mutual TLS for it (pilot/pkg/networking/core/cluster_tls.go).
        "load_balancer": Field(
            "str",
            "LEAST_REQUEST",
            check=is_.one_of("LEAST_REQUEST", "ROUND_ROBIN", "RANDOM"),
            text="Algorithm that chooses endpoints.",
        ),
        "max_connections": Field("int", 100, check=is_.between(1, 2**31 - 1), text="TCP connections."),
        "http1_max_pending_requests": Field(
            "int", 1000, check=is_.between(1, 2**31 - 1), text="Maximum of requests that wait for a connection."
        ),
        "max_requests_per_connection": Field(
            "int", 10, check=is_.between(0, 2**31 - 1), text="Maximum of requests on one connection; 0 for no limit."
        ),
        "consecutive_5xx_errors": Field(
            "int",
            5,
            check=is_.between(0, 2**31 - 1),
            text="Consecutive errors after which an endpoint is ejected; 0 for never.",
        ),
        "interval": Field("str", "30s", check=is_.duration, text="Interval between checks of the endpoints."),
        "base_ejection_time": Field("str", "30s", check=is_.duration, text="Duration of an endpoint's first ejection."),
        "max_ejection_percent": Field(
            "int",
            50,
            check=is_.between(0, 100, "a percentage"),
            text="Maximum of endpoints that may be ejected at once, in percent. With Istio's default of 10 none of three pods could be.",
        ),
    },
)

_SECRET_ENV = Field(
    "object",
    fields={
        "name": Field("str", required=True, check=is_.env_name, text="Name of the variable."),
        "secret": Field("str", required=True, check=is_.subdomain, text="Name of the Secret."),
        "key": Field("str", required=True, check=is_.secret_key, text="Key in the Secret."),
    },
)

_GENERATED_SECRET = Field(
    "object",
    fields={
        "name": Field("str", required=True, check=is_.subdomain, text="Name of the Secret."),
        "key": Field("str", required=True, check=is_.secret_key, text="Key in the Secret."),
        "length": Field("int", 48, check=is_.between(16, 1024), text="Number of characters."),
    },
)

_JWT = Field(
    "object",
    optional=True,
    text="Tokens that the service accepts: a RequestAuthentication. A route with `require_jwt` needs it.",
    fields={
        "issuer": Field("str", required=True, check=is_.nonempty, text="Issuer of the tokens."),
        "audiences": Field(
            "list",
            item=Field("str", check=is_.nonempty),
            text="Accepted audiences. A token must have one of them.",
        ),
        "jwks": Field("str", "", text="Public keys as JSON. Set either `jwks` or `jwks_uri`."),
        "jwks_uri": Field(
            "str", "", check=is_.uri, text="URL of the public keys. A host outside of the mesh needs a ServiceEntry."
        ),
        "forward_token": Field("bool", True, text="Whether the service receives the token."),
    },
)

# What the role observability records and alerts on. Its variable `observability_slo` has the same keys, for all services.
SLO = Field(
    "object",
    optional=True,
    text="Service level objective, of which alerts and the error budget are made. What is not given here is that of `observability_slo`.",
    fields={
        "enabled": Field("bool", text="Whether the service has one."),
        "availability": Field(
            "float",
            check=is_.objective,
            text="Percentage of the requests that are answered, and not with a 5xx; below 100.",
        ),
        "latency": Field(
            "float", check=is_.objective, text="Percentage of the requests that end within `latency_ms`; below 100."
        ),
        "latency_ms": Field(
            "int",
            check=is_.latency_bound,
            text="Milliseconds: a bound of the proxies' histogram, such as 100, 250, 500, 1000 or 2500.",
        ),
    },
)

DEFINITION = Field(
    "object",
    fields={
        "name": Field(
            "str",
            required=True,
            check=is_.service_name,
            text="Name of the service, and of its ServiceAccount, Deployment, Service, VirtualService and DestinationRule.",
        ),
        "namespace": Field("str", "ecommerce", check=is_.label, text="Namespace of the service."),
        "version": Field(
            "str",
            "",
            check=is_.label_value,
            text="Label `version` of the pods, for telemetry only. The default is the tag of the image.",
        ),
        "image": Field("str", required=True, check=is_.image, text="Image of the container."),
        "image_pull_policy": Field(
            "str",
            "IfNotPresent",
            check=is_.one_of("Always", "IfNotPresent", "Never"),
            text="When the kubelet pulls the image.",
        ),
        "image_pull_secrets": Field("list", item=_NAME, text="Names of the image pull Secrets."),
        "command": Field("list", item=Field("str"), text="Entry point, instead of that of the image."),
        "args": Field("list", item=Field("str"), text="Arguments, instead of those of the image."),
        "track": Field(
            "str",
            "stable",
            check=is_.one_of("stable", "canary"),
            text="Label `track` of the pods, part of the selector, so it cannot be changed.",
        ),
        "replicas": Field(
            "int", 3, check=is_.between(0, 10000), text="Number of pods. Not used while autoscaling is enabled."
        ),
        "port": Field("int", 8080, check=is_.port, text="Port of the container."),
        "service_port": Field("int", 80, check=is_.port, text="Port of the Service."),
        "env": Field("map", check=is_.env_names, text="Environment variables."),
        "secret_env": Field("list", item=_SECRET_ENV, text="Environment variables from existing Secrets."),
        "generated_secrets": Field(
            "list",
            item=_GENERATED_SECRET,
            text="Secrets with a random value, created if they do not exist, never changed and never shown.",
        ),
        "config": Field(
            "map",
            check=is_.env_names,
            text="Environment variables through the ConfigMap `<name>-config`. A change replaces the pods. Empty deletes it.",
        ),
        "writable_paths": Field(
            "list",
            ["/tmp"],  # noqa: S108
            item=Field("str", check=is_.absolute),
            text="Writable directories, an emptyDir for each. The rest of the root file system is read-only.",
        ),
        "run_as": Field(
            "object",
            text="User and group of the process.",
            fields={
                "user": Field(
                    "int",
                    1000,
                    check=is_.between(1, 2**31 - 1, "a user that is not root,"),
                    text="Numeric user; not root.",
                ),
                "group": Field(
                    "int",
                    1000,
                    check=is_.between(1, 2**31 - 1, "a group that is not root,"),
                    text="Numeric group; not root.",
                ),
            },
        ),
        "resources": Field(
            "object",
            text="Requests and limits of the container.",
            fields={
                "requests": _resources("Resources that the scheduler reserves.", "50m", "128Mi"),
                "limits": _resources("Maximum that the container may use.", "500m", "512Mi"),
            },
        ),
        "probes": Field(
            "object",
            text="HTTP probes of the container. An empty dictionary disables a probe.",
            fields={
                "liveness": _probe("If it fails, the kubelet restarts the container.", "/health", 30, 10, 5, 3),
                "readiness": _probe("While it fails, the pod gets no requests.", "/ready", 5, 5, 3, 3),
                "startup": _probe("Until it succeeds, the other probes wait. None by default.", "/health", 0, 5, 3, 30),
            },
        ),
        "termination": Field(
            "object",
            text="How a pod ends.",
            fields={
                "grace_period": Field("int", 45, check=is_.between(1, 3600), text="Seconds until the pod is killed."),
                "pre_stop": Field(
                    "int",
                    10,
                    check=is_.between(0, 3600),
                    text="Seconds that the container keeps serving until all proxies know that it terminates.",
                ),
            },
        ),
        "max_surge": Field(
            "str",
            "1",
            check=is_.count_or_percent,
            text="Pods above the number of replicas in a rolling update, or a percentage.",
        ),
        "max_unavailable": Field(
            "str",
            "0",
            check=is_.count_or_percent,
            text="Pods below the number of replicas in a rolling update, or a percentage.",
        ),
        "topology_spread": Field("bool", True, text="Spread the pods over nodes and zones when possible."),
        "disruption_budget": Field(
            "object",
            text="PodDisruptionBudget.",
            fields={
                "enabled": Field("bool", True, text="Whether to create one."),
                "max_unavailable": Field(
                    "str",
                    "1",
                    check=is_.count_or_percent,
                    text="Pods that may be unavailable at once, or a percentage.",
                ),
            },
        ),
        "autoscaling": Field(
            "object",
            text="HorizontalPodAutoscaler.",
            fields={
                "enabled": Field("bool", False, text="Whether to create one."),
                "min": Field("int", 3, check=is_.between(1, 10000), text="Fewest pods."),
                "max": Field("int", 10, check=is_.between(1, 10000), text="Most pods."),
                "cpu": Field(
                    "int",
                    80,
                    check=is_.between(1, 1000, "a percentage"),
                    text="CPU target in percent of the request of the application's container.",
                ),
            },
        ),
        "metrics": Field(
            "object",
            text="Annotations by which Prometheus finds the metrics. The sidecar merges them with its own.",
            fields={
                "enabled": Field("bool", True, text="Whether the service has metrics."),
                "path": Field("str", "/metrics", check=is_.path, text="Path of the metrics."),
            },
        ),
        "pod_annotations": Field("map", check=is_.annotation_keys, text="More annotations of the pods."),
        "routes": Field(
            "list",
            item=_ROUTE,
            text="Paths that the service serves, the longer prefix first: in the mesh by VirtualService `<name>`, to callers outside by "
            "`<name>-ingress`.",
        ),
        "traffic": _TRAFFIC,
        "callers": Field(
            "list",
            item=_CALLER,
            text="Callers in the mesh that may call the service, besides the ingress gateway. An allow rule for each.",
        ),
        "jwt": _JWT,
        "slo": SLO,
        "rollout": Field(
            "str", "rolling", check=is_.one_of("rolling", "canary"), text="How a new version is released."
        ),
    },
)
