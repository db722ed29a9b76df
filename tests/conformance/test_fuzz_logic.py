"""The judge of generated queries: some seeds, and that it sees what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from conformance import fuzz_logic
from conformance.fuzz_identities import test_of as made_of

SEEDS = range(1, 13)


@pytest.fixture(scope="module")
def judge() -> Iterator[fuzz_logic.Judge]:
    with fuzz_logic.judge() as made:
        yield made


def test_no_contradiction(judge: fuzz_logic.Judge) -> None:
    for seed in SEEDS:
        assert judge.run(seed) == "", f"seed {seed}"
    assert judge.queries > 10 * len(SEEDS)
    assert judge.unanswered.total() < len(SEEDS) / 4


def test_contradictions_are_seen(judge: fuzz_logic.Judge) -> None:
    """A predicate that is another each time it is asked contradicts itself."""
    connection = next(iter(judge.plans.values()))
    flighty = replace(made_of(1), source="tc AS q1", predicate="random() < 0.5", items="q1.id AS c0")
    with pytest.raises(fuzz_logic.Wrong):
        judge.partitioned(connection, flighty, judge.same_on_all_plans("SELECT q1.id AS c0 FROM tc AS q1"))
    with pytest.raises(fuzz_logic.Wrong):
        judge.same_on_all_plans("SELECT q1.id FROM tc AS q1 WHERE random() < 0.5")
