"""What kernels may know beside their arguments: the query's pinned settings, names from the catalog, random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from shoal.exec.plan.fragment import TaskSettings

DEFAULT_SETTINGS = TaskSettings(now_us=0)


class Names(Protocol):
    """What functions may ask of the catalog: names of object identifiers and back, definitions, comments."""

    def name_of(self, kind: str, oid: int) -> str | None:
        """The name a reg* type prints for an oid; kind is the type's name ("regclass")."""

    def oid_of(self, kind: str, name: str) -> int | None:
        """The oid that a name means as a reg* type."""

    def is_visible(self, kind: str, oid: int) -> bool | None:
        """Whether an object is found by its bare name (`kind`: "table", "type" ...); None for no such object."""

    def existing_path(self) -> Sequence[str]:
        """The schemas of the search path that exist, in its order."""

    def answer(self, function: str, arguments: Sequence[Any]) -> Any:
        """The answer of a catalog function, such as pg_get_viewdef or obj_description."""

    def relation(self, name: str, columns: Sequence[str]) -> pa.RecordBatch | None:
        """These columns of a view of pg_catalog, as the session sees it."""


@dataclass(slots=True)
class EvaluationContext:
    """What kernels may know beside their arguments. One per task; not shared between threads."""

    settings: TaskSettings = DEFAULT_SETTINGS
    names: Names | None = None
    fragment: int = 0
    partition: int = 0
    calls: int = 0
    """Evaluations of volatile functions so far: with settings.seed and the task's place it seeds random()."""
    time_zone: str = field(init=False)

    def __post_init__(self) -> None:
        self.time_zone = self.settings.time_zone

    def random(self) -> np.random.Generator:
        """A generator that gives the same numbers when a task is run again."""
        self.calls += 1
        return np.random.default_rng([self.settings.seed & (1 << 64) - 1, self.fragment, self.partition, self.calls])
