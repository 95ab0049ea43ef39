# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who failed: flags, codes and statuses, alone and combined."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis import faults
from ansible_collections.servicemesh.platform.plugins.module_utils._canary.analysis.faults import (
    FLAGS,
    GRPC_STATUSES,
    Failures,
    Fault,
    Outcome,
    Ruling,
    classify,
)
from hypothesis import given
from hypothesis import strategies as st

REPORTERS = (faults.SOURCE, faults.DESTINATION)
# What Envoy 1.40 writes when a configuration names a flag that it does not know ("value must be in list [...]").
ENVOY = (  # noqa: SIM905  # as Envoy prints it
    "LH UH UT LR UR UF UC UO NR DI FI RL UAEX RLSE DC URX SI IH DPE UMSDR RFCF NFCF DT UPE NC OM DF DO DR UDO"
).split()


def ruling(
    code: str,
    flags: str = "-",
    *,
    grpc: str | None = None,
    at: str = faults.DESTINATION,
    counts: Failures | None = None,
) -> Ruling:
    labels = {"request_protocol": "http" if grpc is None else "grpc", "response_code": code, "response_flags": flags}
    return classify({**labels, "grpc_response_status": grpc or ""}, at, counts)


def test_every_flag_of_envoy_has_a_row() -> None:
    assert sorted(FLAGS) == sorted(ENVOY)


@pytest.mark.parametrize(
    ("code", "flags", "fault", "outcome"),
    [
        ("200", "-", Fault.NOBODY, Outcome.SERVED),
        ("101", "-", Fault.NOBODY, Outcome.SERVED),
        ("101", "DC", Fault.NOBODY, Outcome.SERVED),  # a WebSocket ends when one side goes away
        ("101", "UC,DC", Fault.SERVER, Outcome.FAILED),
        ("304", "-", Fault.NOBODY, Outcome.SERVED),
        ("404", "-", Fault.CALLER, Outcome.SERVED),
        ("429", "-", Fault.CALLER, Outcome.SERVED),
        ("429", "RL", Fault.CALLER, Outcome.UNCOUNTED),
        ("499", "-", Fault.NEITHER, Outcome.UNCOUNTED),
        ("500", "-", Fault.SERVER, Outcome.FAILED),
        ("503", "-", Fault.SERVER, Outcome.FAILED),
        ("599", "-", Fault.SERVER, Outcome.FAILED),
        ("504", "UT", Fault.SERVER, Outcome.FAILED),
        ("503", "UF,URX", Fault.SERVER, Outcome.FAILED),
        ("503", "URX", Fault.SERVER, Outcome.FAILED),
        ("409", "URX", Fault.CALLER, Outcome.SERVED),
        ("503", "UO", Fault.NEITHER, Outcome.UNCOUNTED),
        ("503", "UO,URX", Fault.NEITHER, Outcome.UNCOUNTED),
        ("503", "FI", Fault.NEITHER, Outcome.UNCOUNTED),
        ("500", "DI", Fault.SERVER, Outcome.FAILED),
        ("200", "DI", Fault.NOBODY, Outcome.SERVED),
        ("0", "-", Fault.NEITHER, Outcome.UNCOUNTED),
        ("0", "DC", Fault.NEITHER, Outcome.UNCOUNTED),
        ("0", "DR", Fault.NEITHER, Outcome.UNCOUNTED),
        ("0", "UC", Fault.SERVER, Outcome.FAILED),
        ("200", "DC", Fault.NEITHER, Outcome.UNCOUNTED),
        ("200", "UC", Fault.SERVER, Outcome.FAILED),  # the answer broke off
        ("408", "SI", Fault.NEITHER, Outcome.UNCOUNTED),
        ("504", "SI", Fault.SERVER, Outcome.FAILED),
        ("503", "UF,ZZ", Fault.UNKNOWN, Outcome.UNKNOWN),
        ("200", "", Fault.UNKNOWN, Outcome.UNKNOWN),
        ("", "UF", Fault.UNKNOWN, Outcome.UNKNOWN),
        ("600", "-", Fault.UNKNOWN, Outcome.UNKNOWN),
        ("²00", "-", Fault.UNKNOWN, Outcome.UNKNOWN),
    ],
)
def test_codes_and_flags(code: str, flags: str, fault: Fault, outcome: Outcome) -> None:
    found = ruling(code, flags)
    assert (found.fault, found.outcome) == (fault, outcome), found


@pytest.mark.parametrize(
    ("status", "flags", "code", "fault", "outcome"),
    [
        ("0", "-", "200", Fault.NOBODY, Outcome.SERVED),
        ("1", "-", "200", Fault.NEITHER, Outcome.UNCOUNTED),
        ("5", "-", "200", Fault.CALLER, Outcome.SERVED),
        ("13", "-", "200", Fault.SERVER, Outcome.FAILED),  # trailers only: the code says 200
        ("14", "UF,URX", "200", Fault.SERVER, Outcome.FAILED),
        (
            "2",
            "DR",
            "200",
            Fault.NEITHER,
            Outcome.UNCOUNTED,
        ),  # cancelled before its status: Envoy makes 2 of the code 200
        ("", "DC", "0", Fault.NEITHER, Outcome.UNCOUNTED),
        ("", "-", "0", Fault.NEITHER, Outcome.UNCOUNTED),
        ("", "-", "200", Fault.UNKNOWN, Outcome.UNKNOWN),
        ("17", "-", "200", Fault.UNKNOWN, Outcome.UNKNOWN),
        ("OK", "-", "200", Fault.UNKNOWN, Outcome.UNKNOWN),
    ],
)
def test_grpc_is_judged_by_its_status(status: str, flags: str, code: str, fault: Fault, outcome: Outcome) -> None:
    found = ruling(code, flags, grpc=status)
    assert (found.fault, found.outcome) == (fault, outcome), found


def test_what_counts_can_be_set() -> None:
    strict = Failures(grpc=frozenset({5}), http=frozenset({404}))
    assert ruling("404", counts=strict).outcome is Outcome.FAILED
    assert ruling("500", counts=strict).outcome is Outcome.FAILED
    assert ruling("200", grpc="5", counts=strict).outcome is Outcome.FAILED
    assert ruling("200", grpc="13", counts=strict).outcome is Outcome.SERVED


@pytest.mark.parametrize(
    ("flags", "outcome"),
    [("-", Outcome.SERVED), ("UF,URX", Outcome.FAILED), ("URX", Outcome.FAILED), ("NR", Outcome.UNCOUNTED)],
)
def test_a_tcp_connection_has_flags_alone(flags: str, outcome: Outcome) -> None:
    assert classify({"request_protocol": "tcp", "response_flags": flags}, faults.SOURCE).outcome is outcome


def test_what_is_not_understood_is_named() -> None:
    assert ruling("200", "ZZ").by == "response_flags='ZZ'"
    assert ruling("").by == "the label response_code is missing"
    assert classify({"response_flags": "-"}, faults.SOURCE).by == "the label request_protocol is missing"


def test_a_flag_may_mean_another_thing_at_the_other_end() -> None:
    assert ruling("503", "LH").fault is Fault.SERVER
    assert ruling("503", "LH", at=faults.SOURCE).fault is Fault.NEITHER


flag_sets = st.lists(st.sampled_from(ENVOY), unique=True, max_size=4)
codes = st.sampled_from(["0", "200", "304", "404", "499", "500", "503", "504"])
answers = st.one_of(st.none(), st.sampled_from([str(status) for status in GRPC_STATUSES]))


@given(flag_sets, codes, answers, st.sampled_from(REPORTERS))
def test_flags_are_judged_one_by_one(flags: list[str], code: str, grpc: str | None, at: str) -> None:
    """A server's flag decides, then a caller's, then one of neither; their order says nothing, and no other flag changes the rest."""
    found = ruling(code, ",".join(flags) or "-", grpc=grpc, at=at)
    alone = [ruling(code, flag, grpc=grpc, at=at) for flag in flags if ruling(code, flag, grpc=grpc, at=at).by == flag]
    order = [Fault.SERVER, Fault.CALLER, Fault.NEITHER]
    if alone:
        assert found.fault is min((one.fault for one in alone), key=order.index)
    else:
        assert found == ruling(code, grpc=grpc, at=at)
    assert ruling(code, ",".join(reversed(flags)) or "-", grpc=grpc, at=at).fault is found.fault


@given(
    st.dictionaries(st.sampled_from(["response_code", "response_flags", "grpc_response_status"]), st.text(max_size=9))
)
def test_a_request_counts_as_served_only_by_labels_that_are_known(labels: dict[str, str]) -> None:
    for protocol in ("http", "grpc", "tcp", ""):
        found = classify({**labels, "request_protocol": protocol}, faults.SOURCE)
        flags = labels.get("response_flags", "")
        if found.outcome is Outcome.SERVED:
            assert flags == "-" or set(flags.split(",")) <= set(ENVOY)
            assert protocol != ""
