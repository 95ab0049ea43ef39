# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only client of a Pushgateway: by URL, or through the API server's proxy to a Service. Each request is made once, in a short time."""

from __future__ import annotations

from ansible_collections.servicemesh.platform.plugins.module_utils import _http
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.push import Push, is_pushgateway, path_of
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.series import CONTENT_TYPE
from ansible_collections.servicemesh.platform.plugins.module_utils._http import NoReplyError
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.client import Client
from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import (
    AnswerError,
    ApiError,
    KubeError,
    UnreachableError,
)
from ansible_collections.servicemesh.platform.plugins.module_utils._prometheus import Endpoint, proxy_path

SECONDS = 2.0  # for a push: as much as a driver may lose by each call
TRIAL = 5.0  # seconds for the look before a start
_MOST = 65536  # bytes of an answer
_STATUS = "/api/v1/status"


class PushgatewayError(KubeError):
    """A request without the answer that was expected; the message is the reason."""


class Pushgateway:
    """Pushes to one server."""

    def __init__(self, endpoint: Endpoint, client: Client) -> None:
        self.endpoint, self._client = endpoint, client

    def look(self) -> None:
        """Changes nothing. Raises PushgatewayError when no Pushgateway answers."""
        try:
            status = _http.json_of(self._sent("GET", _STATUS, None, TRIAL))
        except NoReplyError as error:
            raise PushgatewayError(f"{error}, and so no Pushgateway") from None
        if not is_pushgateway(status):
            raise PushgatewayError(f"what answers at {_STATUS} is no Pushgateway")

    def push(self, push: Push) -> None:
        """Raises PushgatewayError when it was not accepted."""
        data = push.text.encode() if push.text else None
        self._sent("PUT" if push.text else "DELETE", path_of(push.group), data, SECONDS)

    def _sent(self, method: str, path: str, data: bytes | None, seconds: float) -> bytes:
        if self.endpoint.url:
            return self._by_url(method, self.endpoint.url.rstrip("/") + path, data, seconds)
        return self._by_proxy(method, f"{proxy_path(self.endpoint.service) or ''}{path}", data, seconds)

    def _by_url(self, method: str, url: str, data: bytes | None, seconds: float) -> bytes:
        headers = {"Content-Type": CONTENT_TYPE}
        try:
            reply = self.endpoint.send(method, url, data=data, seconds=seconds, most=_MOST, headers=headers)
        except NoReplyError as error:
            raise PushgatewayError(str(error)) from None
        if reply.status not in (200, 202):
            text = " ".join(reply.body[:200].decode(errors="replace").split())
            raise PushgatewayError(f"HTTP {reply.status}{f': {text}' if text else ''}")
        return reply.body

    def _by_proxy(self, method: str, path: str, data: bytes | None, seconds: float) -> bytes:
        try:
            return self._client.send(method, path, data, CONTENT_TYPE, seconds=seconds, most=_MOST)
        except ApiError as error:
            if error.status == 403 and error.reason == "Forbidden":
                raise PushgatewayError(
                    f"{error}. Expected the rights to get, update and delete services/proxy there"
                ) from None
            raise PushgatewayError(str(error)) from None
        except (UnreachableError, AnswerError) as error:
            raise PushgatewayError(str(error)) from None
