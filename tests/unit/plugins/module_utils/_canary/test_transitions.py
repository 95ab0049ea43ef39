# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What operations and verdicts make of a state."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import plan as plans
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import state as states
from ansible_collections.servicemesh.platform.plugins.module_utils._canary import transitions
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.verdict import Verdict, Window
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.plan import OnFailure
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.state import PauseCause, Phase, Stage


@pytest.mark.parametrize("phase", list(Phase))
def test_operations_are_idempotent_in_every_phase(phase: Phase) -> None:
    state = states.State(
        "r", "s", "n", plans.Plan((10, 50), pause_at=10), phase=phase, stage=Stage.COVER, index=0, weight=10, passes=1
    )
    for operation in (transitions.paused, transitions.frozen, transitions.interrupted):
        once = operation(state, 5.0)
        assert operation(once, 5.0) == once
    if phase in states.FINAL:
        assert (
            transitions.resumed(state, 5.0) == transitions.paused(state, 5.0) == transitions.frozen(state, 5.0) == state
        )


def test_paused_then_promoted_goes_on_with_the_steps_unless_full() -> None:
    paused = states.State(
        "r", "s", "n", plans.Plan((10, 50), pause_at=10), phase=Phase.PAUSED, index=0, weight=10, passes=1
    )
    on = transitions.promoted_by_hand(paused, 5.0, full=False)
    assert (on.phase, on.index, on.weight) == (Phase.SHIFTING, 1, 50)
    full = transitions.promoted_by_hand(paused, 5.0, full=True)
    assert (full.phase, full.stage, full.weight) == (Phase.PROMOTING, Stage.COVER, 10)


def test_a_signal_takes_back_the_step_that_was_not_judged() -> None:
    state = states.State("r", "s", "n", plans.Plan((10, 50)), phase=Phase.ANALYSING, index=1, before=10, weight=50)
    back = transitions.interrupted(state, 5.0)
    assert (back.phase, back.index, back.weight, back.before) == (Phase.PAUSED, 0, 10, 50)
    first = transitions.interrupted(state.replace(index=0, before=0, weight=10), 5.0)
    assert (first.phase, first.weight, first.before) == (Phase.PAUSED, 0, 10)


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize(
    ("on_failure", "phase"), [(OnFailure.ROLLBACK, Phase.ROLLING_BACK), (OnFailure.FREEZE, Phase.FROZEN)]
)
def test_every_verdict_leads_on_or_to_what_a_failure_does(
    verdict: Verdict, on_failure: OnFailure, phase: Phase
) -> None:
    plan = plans.Plan((50,), on_failure=on_failure, failures=1, inconclusives=1)
    state = states.State("r", "s", "n", plan, phase=Phase.ANALYSING, index=0, weight=50)
    after = transitions.judged(state, Window(verdict, "why"), 5.0, 5.0)
    assert after.phase is (Phase.PROMOTING if verdict is Verdict.PASS else phase)


def test_a_pause_says_its_cause_and_no_other_phase_has_one() -> None:
    plan = plans.Plan((10, 50), pause_at=10)
    state = states.State("r", "s", "n", plan, phase=Phase.ANALYSING, index=0, weight=10)
    planned = transitions.judged(state, Window(Verdict.PASS, "why"), 5.0, 5.0)
    by_hand = transitions.paused(state, 5.0)
    interrupted = transitions.interrupted(state, 5.0)
    assert [paused.pause_cause for paused in (planned, by_hand, interrupted)] == list(PauseCause)
    for paused in (planned, by_hand, interrupted):
        assert paused.phase is Phase.PAUSED
        for after in (
            transitions.resumed(paused, 6.0),
            transitions.frozen(paused, 6.0),
            transitions.rolling_back(paused, "why", 6.0),
            transitions.promoted_by_hand(paused, 6.0, full=True),
        ):
            assert after.pause_cause is None
