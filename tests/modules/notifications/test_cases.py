"""The table of cases in the guide is the test of the decision: every row, every transport."""

from typing import get_args

import pytest

from modules.notifications.domain import decision as deciding
from modules.notifications.domain import gates
from modules.notifications.domain.decision import decide
from modules.notifications.domain.reasons import Never, NotNow, Now
from tests.modules.notifications.situations import GUIDE, Case, cases, situation, told

CASES = cases(GUIDE.read_text())
REASONS = {*get_args(Never), *get_args(NotNow), *get_args(Now)}


def contradictions(case: Case) -> list[str]:
    """Return where the decision is another than the table's."""
    found = []
    for name, snapshot in situation(case.situation).snapshots().items():
        verdict = case.verdicts[name]
        if verdict is not None and verdict != (decided := told(decide(snapshot), snapshot)):
            found.append(f"{case.situation}: {name} is to {verdict!r}, and does {decided!r}")
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.situation)
def test_every_row_is_as_the_guide_says(case: Case) -> None:
    assert contradictions(case) == []


def test_the_table_says_it_all() -> None:
    assert len(CASES) >= 60
    assert len({case.situation for case in CASES}) == len(CASES)
    shown = " ".join(verdict for case in CASES for verdict in case.verdicts.values() if verdict)
    assert {reason for reason in REASONS if f"`{reason}`" not in shown} == set()
    for source in ("chosen", "number", "default_zone"):
        assert f"({source})" in shown


def test_the_guide_explains_every_reason() -> None:
    explained = GUIDE.read_text().partition("## Reasons")[2]
    assert {reason for reason in REASONS if f"`{reason}`" not in explained} == set()


@pytest.mark.parametrize("gate", gates.GATES, ids=lambda gate: gate.__name__)
def test_the_table_notices_a_gate_that_is_left_out(gate: gates.Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "GATES", [other for other in gates.GATES if other is not gate])
    assert [found for case in CASES for found in contradictions(case)]


@pytest.mark.parametrize("rules", ["OF_THE_NEWS", "OF_THE_WAY"])
def test_the_table_notices_a_rule_that_is_left_out(rules: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for reason in getattr(gates, rules):
        others = {other: holds for other, holds in getattr(gates, rules).items() if other != reason}
        with monkeypatch.context() as patch:
            patch.setattr(gates, rules, others)
            assert [found for case in CASES for found in contradictions(case)], reason


@pytest.mark.parametrize("text", ["nothing", "read; ", "at 25:00", "active; likes music"])
def test_what_isnt_understood_isnt_passed_over(text: str) -> None:
    with pytest.raises(ValueError, match=r"understood|must be in"):
        situation(text)
