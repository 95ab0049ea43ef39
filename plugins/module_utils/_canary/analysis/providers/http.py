# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider `url`: a number in the JSON of an HTTP endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.servicemesh.platform.plugins.module_utils import _http
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import verdict
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.metrics import (
    Metric,
    Subject,
    filled,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.base import (
    Request,
    Servers,
    Trial,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.known import Known
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.providers.provider import (
    NumberProvider,
    Options,
    Row,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Sample, Status
from ansible_collections.servicemesh.platform.plugins.module_utils._http import NoReplyError

try:
    import jmespath  # type: ignore[import-untyped]
    import jmespath.functions  # type: ignore[import-untyped]
except ImportError:  # reported by `tried`
    jmespath = None

SECONDS = 5.0  # for one answer, with redirects
MOST = 1024 * 1024  # bytes of one answer


class HttpEndpoint(NumberProvider):
    """One number (or true or false) that a JMESPath expression finds in an answer."""

    option = "url"
    options = {
        "url": {
            "type": "str",
            "description": [
                "URL that returns JSON. C($service), C($namespace), C($subset), C($workload) and C($window) are replaced. The answer may "
                "take 5 seconds and have 1 MiB, redirects included.",
                "Users and passwords belong in O(analysis[].headers), because the URL is recorded.",
            ],
            "approval_description": "URL that returns JSON.",
        },
        "value": {
            "type": "str",
            "description": "JMESPath expression of the number, or of V(true) or V(false), in the response.",
        },
        "headers": {
            "type": "dict",
            "no_log": True,
            "description": "Headers of the request to O(analysis[].url). They are not recorded; each later call needs them again.",
            "approval_description": "Headers of the request. They are not recorded; each later call needs them again.",
        },
    }
    row = Row(
        measures="one number, or true or false, that the JMESPath expression `value` finds in JSON",
        limits="5 s, 1 MiB, redirects (up to 5) included",
        at_start="the expression",
    )
    approval_options = ("url", "value", "headers")
    tells_versions_apart = False

    def findings(self, entry: Options) -> list[str]:
        url = str(entry["url"])
        found = []
        if not url.startswith(tuple(f"{scheme}://" for scheme in _http.SCHEMES)):
            found.append(f"url is {url!r}; expected a URL that begins with http:// or https://")
        elif "@" in urlsplit(url).netloc:
            found.append("url contains a user or password, which would be recorded; expected them in headers")
        if not entry.get("value"):
            found.append("value is missing; expected a JMESPath expression that finds the number in the answer")
        return found

    def query(self, metric: Metric, subject: Subject, window: float) -> str:
        return filled(str(metric.source), subject, window)

    def tried(self, _servers: Servers, metric: Metric, _subject: Subject, _known: Known | None) -> Trial:
        text = path_finding(str(metric.options.get("value") or ""))
        return Trial((f"analysis {metric.name}: {text}",)) if text else Trial()

    def measure(self, _servers: Servers, request: Request) -> Sample:
        options = request.metric.options
        url = self.query(request.metric, request.subject, request.window)
        headers = {str(name): str(value) for name, value in (options.get("headers") or {}).items()}
        try:
            seconds = min(SECONDS, request.deadline.left())
            reply = _http.get(url, seconds=seconds, most=MOST, headers={"Accept": "application/json", **headers})
            sample = sample_of(reply, str(options.get("value") or ""))
        except TimeoutError:
            sample = Sample(Status.ERROR, detail=f"no time was left of the metric's {request.deadline.seconds:g} s")
        except NoReplyError as error:
            sample = Sample(Status.ERROR, detail=str(error))
        if sample.status is Status.OK:
            return sample
        return Sample(sample.status, detail=f"{url.partition('?')[0]}: {sample.detail}")


def sample_of(reply: _http.Reply, path: str) -> Sample:
    """Sample of a complete answer. Raises NoReplyError when it has no JSON."""
    if not 200 <= reply.status < 300:
        return Sample(Status.ERROR, detail=f"the answer has the status {reply.status}; expected 200")
    document = _http.json_of(reply.body, unique=True)
    try:
        found = jmespath.search(path, document)
    except Exception as error:  # an expression can fail in many ways on a document that it was not made for
        return Sample(
            Status.ERROR,
            detail=f"value {path!r} cannot be found in the answer: {str(error)[:200] or type(error).__name__}",
        )
    return verdict.sample_of_value(found)


def path_finding(path: str) -> str:
    """What is wrong with a JMESPath expression; empty when nothing is. Unknown functions are errors of a search, not of the parser."""
    if jmespath is None:
        return "the Python package jmespath is missing; install it to read values from HTTP responses"
    try:
        tree = jmespath.compile(path).parsed
    except jmespath.exceptions.JMESPathError as error:
        return f"value is {path!r}; expected a JMESPath expression ({error})"
    except RecursionError:
        return "value is nested too deep; expected a JMESPath expression"
    for name, given in _calls(tree):
        function = jmespath.functions.Functions.FUNCTION_TABLE.get(name)
        if function is None:
            return f"value is {path!r}: there is no function {name}; expected a function of JMESPath"
        signature = function["signature"]
        variadic = bool(signature) and signature[-1].get("variadic")
        if given < len(signature) or (given > len(signature) and not variadic):
            return f"value is {path!r}: function {name} has {given} arguments; expected {len(signature)}"
    return ""


def _calls(tree: Any) -> Iterator[tuple[str, int]]:
    """(name, number of arguments) of each function call."""
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            children = node.get("children") or []
            if node.get("type") == "function_expression":
                yield str(node["value"]), len(children)
            nodes += children
