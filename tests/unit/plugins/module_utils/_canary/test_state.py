# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a rollout and its JSON."""

from __future__ import annotations

import json

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import OnFailure
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import PauseCause, Phase, Stage


def test_a_long_history_fits_into_a_config_map() -> None:
    state = states.State("r", "s", "n", plans.Plan((1, 2)))
    for number in range(states.HISTORY_LIMIT + 50):
        state = state.noted(float(number), "window", "x" * 5000)
    assert len(state.history) == states.HISTORY_LIMIT
    text = states.to_json(state)
    assert len(text) <= states.SIZE_LIMIT
    kept = states.from_json(text).history
    assert kept[-1] == state.history[-1]
    assert len(kept) > 50


def test_a_state_survives_its_json_and_other_text_is_refused() -> None:
    state = states.State("r", "s", "n", plans.Plan((1, 2)), proof={"envoys": 2}).noted(5.0, "step", "x", checks=[])
    assert states.from_json(states.to_json(state)) == state
    for text in ("", "[]", "{}", '{"plan": 1}', states.to_json(state).replace('"resetting"', '"flying"')):
        with pytest.raises(ValueError, match=r"state|phase"):
            states.from_json(text)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("stage", [None, *Stage])
@pytest.mark.parametrize("cause", [None, *PauseCause])
def test_the_json_has_plain_strings_and_gives_the_same_values_back(
    phase: Phase, stage: Stage | None, cause: PauseCause | None
) -> None:
    plan = plans.Plan((1, 2), on_failure=OnFailure.FREEZE)
    state = states.State("r", "s", "n", plan, phase=phase, stage=stage, pause_cause=cause)
    values = json.loads(states.to_json(state))
    assert (values["phase"], values["stage"], values["plan"]["on_failure"]) == (str(phase), str(stage or ""), "freeze")
    again = states.from_json(states.to_json(state))
    assert again == state
    assert (type(again.phase), type(again.plan.on_failure)) == (Phase, OnFailure)
    assert again.stage is stage
    assert again.pause_cause is cause
