# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A canary under ansible-runner, as AWX runs it: ``cancelled.py FOLDER`` runs FOLDER/play.yml until FOLDER/cancel exists."""

from __future__ import annotations

import sys
from pathlib import Path

import ansible_runner

folder = Path(sys.argv[1])
(folder / "runner").mkdir()
done = ansible_runner.run(
    private_data_dir=str(folder / "runner"),
    playbook=str(folder / "play.yml"),
    inventory="localhost,",
    cmdline=f"-e @{folder / 'options.json'}",
    settings={"pexpect_timeout": 1, "suppress_env_files": True},
    cancel_callback=(folder / "cancel").exists,
)
print(f"status {done.status}", flush=True)
