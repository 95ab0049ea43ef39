# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user sees who is in no list of users, as in containers of OpenShift and in execution environments of AWX."""

from __future__ import annotations

import json
import os
import pwd
import sys
import traceback
from collections.abc import Callable
from typing import Any

UID = 123456


def as_unknown_user(work: Callable[[], Any], **environment: str) -> Any:
    """What `work` returns, as JSON, in a process of its own whose user has no entry in the list of users, and no other environment.

    Root becomes such a user; another user cannot, and stays itself without its entry.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _become()
            os.environ.clear()
            os.environ.update(environment)
            os.write(writing, json.dumps(work()).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "see the traceback above"
    return json.loads(answer)


def _become() -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(UID)
        os.setuid(UID)
    else:  # nobody but root can be somebody else
        pwd.getpwuid = _unknown
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return
    raise AssertionError(f"user {os.getuid()} is known here")


def _unknown(uid: int) -> Any:
    raise KeyError(f"getpwuid(): uid not found: {uid}")
