# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of everything that talks to a cluster, and the message for several findings at once. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# The API server answers some mistakes of the sender with 500 InternalError and nothing but a text
# (apimachinery, managedfields/internal/typeconverter.go; serializer errors of the request's body).
_SENDERS_ERROR = (
    "failed to create typed patch object",
    "failed to create manager for existing fields",
    "unable to decode",
    "illegal base64",
    "cannot unmarshal",
    "failed to convert",
)
# Only the text tells that a webhook cannot be called (apiserver, pkg/util/webhook/client.go and admission/plugin/webhook/*/dispatcher.go;
# apiextensions-apiserver, pkg/apiserver/conversion/webhook_converter.go).
_WEBHOOK = ("failed calling webhook", "failed to call webhook", "conversion webhook for")
# A webhook with side effects refuses a dry run with 400 BadRequest (apiserver, pkg/admission/plugin/webhook/errors/statuserror.go).
_NO_DRY_RUN = "does not support dry run"
# Another object has the name by now: 409 Conflict without causes, as for other conflicts
# (apiserver, pkg/registry/rest/delete.go, BeforeDelete, and pkg/storage/interfaces.go, Preconditions.Check).
_OTHER_UID = ("the UID in the precondition", "UID in precondition")


class KubeError(Exception):
    """An error with a message for the user: what failed, what was found, what to do."""


class ApiError(KubeError):
    """An answer of the API server that is not a success."""

    def __init__(self, method: str, path: str, status: int, body: Mapping[str, Any]) -> None:
        self.method, self.path, self.status, self.body = method, path, status, body
        self.reason = str(body.get("reason") or "")
        self.details: Mapping[str, Any] = body.get("details") or {}
        self.message = str(body.get("message") or f"HTTP {status}")
        super().__init__(self.message)

    @property
    def field(self) -> str:
        """The field that the server refuses first, as it names it (`spec.ports[0].port`); empty when it names none."""
        causes = self.details.get("causes") or [{}]
        return str(causes[0].get("field") or "")

    @property
    def by_webhook(self) -> bool:
        """Whether a webhook could not be called; it may be starting."""
        return self.status in (500, 503, 504) and any(hint in self.message for hint in _WEBHOOK)

    @property
    def by_sender(self) -> bool:
        """Whether the request is wrong, although the status blames the server."""
        return self.status == 500 and any(hint in self.message for hint in _SENDERS_ERROR)

    @property
    def by_dry_run(self) -> bool:
        """Whether only the dry run is refused, because a webhook does not support it."""
        return self.status == 400 and _NO_DRY_RUN in self.message

    @property
    def by_other_object(self) -> bool:
        """Whether the object with the UID of the request does not exist any more, and another one has its name."""
        return self.status == 409 and any(hint in self.message for hint in _OTHER_UID)

    @property
    def by_outage(self) -> bool:
        """Whether the server is overloaded or down, independent of the request."""
        return self.status in (429, 502, 503, 504) and not self.by_webhook

    @property
    def by_content(self) -> bool:
        """Whether the object itself is refused, whatever else the cluster has: it cannot be read, or a field has a value that is not valid.

        Admission answers with other statuses, or names no field (apiserver, pkg/admission/plugin/webhook/errors/statuserror.go, and
        pkg/admission/plugin/policy/validating/dispatcher.go).
        """
        if self.status == 422:
            return any(isinstance(cause, Mapping) and cause.get("field") for cause in self.details.get("causes") or [])
        return self.by_sender or (self.status == 400 and self.reason == "BadRequest" and not self.by_dry_run)

    @property
    def refused(self) -> bool:
        """Whether the server refuses this request, and would refuse it again: no outage, no timeout, and no expired credentials (401)."""
        return self.by_sender or (400 <= self.status < 500 and self.status not in (401, 408, 425, 429))


class ConflictError(KubeError):
    """Fields of an object belong to other managers, from whom they are not taken over."""


class UnreachableError(KubeError):
    """The API server gave no answer."""


class StoppedError(KubeError):
    """The work ended early, because the run that it belongs to has ended or was asked to."""

    def __init__(self, why: str) -> None:
        super().__init__(f"Stopped: {why}. What was done until then stays; run again to continue")


class AnswerError(KubeError):
    """An answer that is not complete, takes too long, or is too large."""


def numbered(title: str, findings: Sequence[str]) -> str:
    """One message for all `findings`: on the title's line when there is one, else counted and listed below it."""
    if len(findings) == 1:
        return f"{title}: {findings[0]}"
    return f"{title} ({len(findings)} findings):\n" + "\n".join(f"  - {finding}" for finding in findings)
