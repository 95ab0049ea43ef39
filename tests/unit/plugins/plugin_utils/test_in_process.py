# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's work in the task's own process sees what it would see in a process of its own."""

from __future__ import annotations

import datetime
import gc
import sys
import types
from pathlib import Path
from typing import Any, NoReturn

import pytest
from ansible.template import trust_as_template
from ansible_collections.servicemesh.platform.plugins.module_utils import _args, _module
from ansible_collections.servicemesh.platform.plugins.plugin_utils._in_process import (
    FailedError,
    InProcess,
    InProcessAction,
    as_module_sees,
    same_python,
    secrets_in,
)


def test_arguments_lose_tags_and_types_that_json_has_not() -> None:
    tagged = trust_as_template("{{ x }}")
    assert tagged.__class__ is not str
    seen = as_module_sees({"definitions": [{"name": tagged, "day": datetime.date(2026, 1, 2)}], "wait": True})
    assert seen == {"definitions": [{"name": "{{ x }}", "day": "2026-01-02"}], "wait": True}
    assert seen["definitions"].__class__ is list
    assert seen["definitions"][0].__class__ is dict


@pytest.mark.parametrize("interpreter", [None, "", "auto", "auto_silent", sys.executable])
def test_no_choice_and_the_same_choice_stay_here(interpreter: str | None) -> None:
    assert same_python(interpreter)


def test_another_python_is_another_though_it_links_to_this_one(tmp_path: Path) -> None:
    link = tmp_path / "python3"
    link.symlink_to(sys.executable)
    assert not same_python(str(link))


def test_every_credential_is_found() -> None:
    params = {
        "api_key": "a1",
        "password": "b2",
        "username": "u",
        "proxy_headers": {"basic_auth": "c3", "proxy_basic_auth": None},
        "kubeconfig": {"users": [{"name": "x", "user": {"token": "d4", "client-key-data": "e5"}}]},
    }
    found = {*secrets_in(params, _args.CONNECTION), *_module.kubeconfig_secrets(params["kubeconfig"])}
    assert found == {"a1", "b2", "c3", "d4", "e5"}
    assert list(secrets_in({"kubeconfig": "/a/path"}, _args.CONNECTION)) == []


def test_a_failure_carries_its_result_and_a_warning_comes_once() -> None:
    call = InProcess({}, check_mode=True, diff=False)
    call.warn("w")
    call.warn("w")
    assert call.warnings == ["w"]
    with pytest.raises(FailedError) as failure:
        call.fail_json("no", objects=[1])
    assert failure.value.args[0] == {"failed": True, "msg": "no", "objects": [1]}


def test_messages_and_warnings_are_no_commands_for_the_terminal() -> None:
    """A message may end with the last line of a container's log."""

    def work(call: Any) -> NoReturn:
        call.warn("\x1b[31mred\x1b[0m")
        call.fail_json(msg="its last line: \x1b]0;owned\x07\x1b[2Jgone\x00", detail="\x1b[1mas it is")

    action = InProcessAction.__new__(InProcessAction)
    action.MODULE = types.SimpleNamespace(work=work, ARGUMENTS={})  # type: ignore[assignment]
    action._task = types.SimpleNamespace(diff=False)
    done = action._worked({}, check_mode=False)
    assert (done["msg"], done["warnings"]) == ("its last line: gone", ["red"])
    assert done["detail"] == "\x1b[1mas it is", "data stays as it is"


def test_what_is_imported_with_a_plugin_is_left_out_of_the_workers_garbage_collections() -> None:
    before, kept = gc.get_freeze_count(), [[number] for number in range(1000)]
    try:
        type("Another", (InProcessAction,), {})
        assert gc.get_freeze_count() >= before + len(kept)
    finally:
        gc.unfreeze()
