# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the requests act as: what options and the user of a kubeconfig say, as headers. No I/O.

The `kubernetes` package ignores these settings of a kubeconfig: its requests are made with all rights of the user itself.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.platform.plugins.module_utils._kube.errors import KubeError

# Settings of a user in a kubeconfig (client-go, tools/clientcmd/api/v1/types.go, AuthInfo).
USER, UID, GROUPS, EXTRA = "as", "as-uid", "as-groups", "as-user-extra"
SETTINGS = frozenset({USER, UID, GROUPS, EXTRA})
# Options of ours that replace a setting, as --as and --as-group of kubectl do.
_OPTIONS = {USER: "impersonate_user", GROUPS: "impersonate_groups"}
# Bytes of a header's name that stand for themselves (client-go, transport/round_trippers.go, headerKeyEscape).
_LEGAL = frozenset((string.ascii_letters + string.digits + "!#$&'*+-.^_`|~").encode())


def settings_of(user: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a kubeconfig's user that say whom it acts as; those that are empty are left out."""
    return {name: user[name] for name in sorted(SETTINGS) if user.get(name)}


def headers_of(options: Mapping[str, Any], settings: Mapping[str, Any], kubeconfig: str = "") -> list[tuple[str, str]]:
    """Headers of each request. `options` replace what the `settings` of the user in `kubeconfig` say. Raises KubeError.

    As client-go has them (tools/clientcmd/client_config.go, transport/round_trippers.go, impersonatingRoundTripper). Without a user to act
    as, the rest is refused (tools/clientcmd/validation.go, validateAuthInfo).
    """
    given = {**settings, **{name: options[option] for name, option in _OPTIONS.items() if options.get(option)}}
    origin = {name: f"kubeconfig {kubeconfig}: {name} of the user" for name in SETTINGS}
    origin |= {name: option for name, option in _OPTIONS.items() if options.get(option)}
    for name, value in given.items():
        if not _EXPECTED[name][0](value):
            raise KubeError(f"{origin[name]} is {str(value)[:80]!r}. Expected {_EXPECTED[name][1]}.")
    if given and USER not in given:
        name = next(iter(given))
        raise KubeError(
            f"{origin[name]} is given without a user to act as. Expected {USER} with it in the kubeconfig, or option {_OPTIONS[USER]}."
        )
    found = [("Impersonate-User", given[USER])] if given else []
    found += [("Impersonate-Uid", given[UID])] if UID in given else []
    found += [("Impersonate-Group", group) for group in given.get(GROUPS) or []]
    found += [
        (f"Impersonate-Extra-{_escaped(key)}", value)
        for key, values in (given.get(EXTRA) or {}).items()
        for value in values
    ]
    # The bytes that Go sends: http.client writes a header's value as Latin-1.
    return [(name, value.encode().decode("latin-1")) for name, value in found]


def _escaped(key: str) -> str:
    return "".join(chr(byte) if byte in _LEGAL else f"%{byte:02X}" for byte in key.encode())


def _text(value: Any) -> bool:
    """Whether it can be a header's value (golang.org/x/net/http/httpguts, ValidHeaderFieldValue)."""
    return isinstance(value, str) and all(char == "\t" or (char >= " " and char != "\x7f") for char in value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(_text(entry) for entry in value)


def _lists(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) and _texts(entry) for key, entry in value.items())


_EXPECTED = {
    USER: (_text, "a text without control characters"),
    UID: (_text, "a text without control characters"),
    GROUPS: (_texts, "a list of texts"),
    EXTRA: (_lists, "a mapping to lists of texts"),
}
