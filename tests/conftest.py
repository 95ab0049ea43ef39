# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One way to import the collection in every test: Ansible's own loader, as in a run of ansible-playbook.

Without it the first test that happens to import a part of Ansible which brings the loader up changes how later ones import: collections
that were found by path have no metadata then, and a module that warns or deprecates fails.
"""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.loader import init_plugin_loader
from hypothesis import settings

init_plugin_loader([str(Path(__file__).parent.parent / ".collections")])

# Parts of `make test` run side by side: how long an example takes says nothing about it.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
