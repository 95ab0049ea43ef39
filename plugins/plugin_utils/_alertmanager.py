# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and receivers of an inventory -> Alertmanager's configuration, with files in the place of references to Secrets. No I/O.

A reference is a dict `{secret: NAME, key: KEY}` under a key that ends in `_file`, as Alertmanager names what it reads from files.

PRIVATE: may change at any time.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from ansible_collections.servicemesh.platform.plugins.plugin_utils._secret_references import is_reference, keys_of
from ansible_collections.servicemesh.platform.plugins.plugin_utils._service import checks as is_

# Where the Secrets are mounted, as the Prometheus Operator mounts those of its Alertmanager.
SECRETS = "/etc/alertmanager/secrets"
NOBODY = "nobody"
_FILE = "_file"
# Keys whose values are secret (Alertmanager's config/config.go and config/notifiers.go, those of type Secret and SecretURL, and
# prometheus/common's config/http_config.go); each has a sibling with _file, but for secret_key.
_SECRET = re.compile(
    r"(.*_)?(password|secret|token|token_id|credentials|api_key|user_key|service_key|routing_key|webhook_url|secret_key)"
    r"|slack_api_url|http_headers"
)
# URLs that hold a token in some receivers and none in others: the key, and the list of receivers where it is secret.
_SLACK, _WEBHOOK = ("slack_configs", "api_url"), ("webhook_configs", "url")
_DEFAULT_ROUTE: Mapping[str, t.Any] = {
    "group_by": ["alertname", "namespace", "app"],
    "group_wait": "30s",
    "group_interval": "5m",
    "repeat_interval": "4h",
}

Path = tuple[str, ...]


def configuration(
    receivers: Sequence[Mapping[str, t.Any]],
    route: Mapping[str, t.Any],
    settings: Mapping[str, t.Any],
    inhibit_rules: Sequence[Mapping[str, t.Any]],
) -> dict[str, t.Any]:
    """Alertmanager's configuration. Without receivers, alerts are shown and sent to nobody; without a route, all go to the first one."""
    known = [*receivers] or [{"name": NOBODY}]
    result: dict[str, t.Any] = {
        "route": {"receiver": known[0]["name"], **_DEFAULT_ROUTE, **route},
        "receivers": [_with_files(one) for one in known],
    }
    if settings:
        result["global"] = _with_files(settings)
    if inhibit_rules:
        result["inhibit_rules"] = [dict(one) for one in inhibit_rules]
    return result


def secrets(*parts: t.Any) -> dict[str, list[str]]:
    """Secret -> its keys that the parts of a configuration refer to, both in alphabetical order."""
    return keys_of(
        value
        for part in parts
        for path, value in _walk(part)
        if path and path[-1].endswith(_FILE) and is_reference(value)
    )


def _with_files(value: t.Any, key: str = "") -> t.Any:
    """A part of the configuration with paths of files instead of references."""
    if key.endswith(_FILE) and is_reference(value):
        return f"{SECRETS}/{value['secret']}/{value['key']}"
    if isinstance(value, Mapping):
        return {str(name): _with_files(item, str(name)) for name, item in value.items()}
    return [_with_files(item) for item in value] if isinstance(value, (list, tuple)) else value


def _walk(value: t.Any, path: Path = ()) -> Iterator[tuple[Path, t.Any]]:
    """(path, value) of everything in a part of the configuration; nothing below a reference."""
    yield path, value
    if isinstance(value, Mapping) and not (path and path[-1].endswith(_FILE)):
        for key, item in value.items():
            yield from _walk(item, (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _walk(item, path)


# Findings -------------------------------------------------------------------------------------------------------------


def findings(
    receivers: Sequence[t.Any], route: Mapping[str, t.Any], settings: Mapping[str, t.Any], domain: str = "cluster.local"
) -> Iterator[str]:
    """Receivers without a name or twice, routes to nobody, secrets that are written down, and references that are none."""
    names: list[str] = []
    for index, one in enumerate(receivers):
        name = str(one.get("name") or "") if isinstance(one, Mapping) else ""
        if not name or name in names:
            what = "has no name" if not name else f"has the name {name!r}, as one before it"
            yield f"observability_alert_receivers[{index}]: {what}; expected a name of its own, to which routes refer"
        names.append(name)
        yield from _secret_findings(f"observability_alert_receivers[{index}]", one, domain)
    yield from _secret_findings("observability_alert_global", settings, domain)
    for path, value in _walk(route):
        if path and path[-1] == "receiver" and value not in names:
            known = ", ".join(names) or "none"
            yield (
                f"observability_alert_route.{'.'.join(path)}: {value!r} is no receiver (there are {known}); expected one of "
                "observability_alert_receivers"
            )


def _secret_findings(variable: str, part: t.Any, domain: str) -> Iterator[str]:
    for path, value in _walk(part):
        if not path:
            continue
        key, place = path[-1], f"{variable}.{'.'.join(path)}"
        if key.endswith(_FILE):
            yield from _reference_findings(place, value)
        elif _SECRET.fullmatch(key) or path[-2:] == _SLACK:
            yield f"{place}: is written down; expected {place}{_FILE}: {{secret: <name of a Secret>, key: <its key>}}"
        elif path[-2:] == _WEBHOOK and _may_hold_a_secret(value, domain):
            yield (
                f"{place}: is written down, and the URL of a host outside the cluster may hold a token; expected {place}{_FILE}: "
                "{secret: <name of a Secret>, key: <its key>}"
            )


def _may_hold_a_secret(url: t.Any, domain: str) -> bool:
    """Whether a URL is anything but the plain address of a Service of the cluster."""
    try:
        parts = urlsplit(str(url))
    except ValueError:
        return True
    host = parts.hostname or ""
    inside = bool(host) and ("." not in host or host.endswith((".svc", f".svc.{domain}")))
    return not inside or bool(parts.query or "@" in parts.netloc)


def _reference_findings(place: str, value: t.Any) -> Iterator[str]:
    if not is_reference(value):
        shown = "a text" if isinstance(value, str) else "something else"
        yield f"{place}: is {shown}; expected a reference to a Secret, {{secret: <its name>, key: <its key>}}, which is mounted there"
    elif is_.subdomain(str(value["secret"])):
        yield f"{place}.secret: {value['secret']!r} is not {is_.subdomain(str(value['secret']))}"
    elif not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", str(value["key"])):
        yield f"{place}.key: {value['key']!r} is no key of a Secret; expected letters, digits, '-', '_' and '.'"
