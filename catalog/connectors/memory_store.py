"""What all sessions' views of a memory catalog share: the objects, who has changed what, sequences' counters.

Every object is immutable and every change makes another version of it. What a session has changed lies beside the
committed objects until its transaction ends: its own statements see it through `objects`, nobody else does. So undoing is
forgetting, a savepoint is a copy of a small dictionary, and a reader that holds a version sees one state for as long as
it likes. Who may change an object is not decided here (exec/locks.py).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from shoal.catalog.connector import TableStatistics
from shoal.catalog.connectors.memory_segments import Segment
from shoal.catalog.declarations import FunctionDefinition, NumberSequence, TableDefinition, TypeDefinition
from shoal.catalog.errors import ObjectNotInPrerequisiteState, OutOfMemory, SequenceLimit, SerializationFailure

Key = tuple[str, str]
"""(schema, name)."""
TEMPORARY = "pg_temp_"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One version of a table, view or materialized view. `number` stays the same in all its versions."""

    number: int
    definition: TableDefinition
    segments: tuple[Segment, ...] = ()
    known: dict[str, TableStatistics] = field(default_factory=dict)
    """Statistics, once somebody has asked."""

    @property
    def rows(self) -> int:
        return sum(segment.rows for segment in self.segments)

    def changed(self, segments: tuple[Segment, ...]) -> Table:
        return replace(self, segments=segments, known={})


@dataclass(slots=True)
class Counter:
    """Where a sequence stands. Not transactional, as in PostgreSQL."""

    value: int
    called: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class MemorySequence:
    number: int
    definition: NumberSequence
    counter: Counter


@dataclass(frozen=True, slots=True, eq=False)
class MemoryFunction:
    """Under a name that no relation has (`function_key`)."""

    number: int
    definition: FunctionDefinition


@dataclass(frozen=True, slots=True, eq=False)
class MemoryType:
    """Shares its names with relations, each of which is the type of its rows."""

    number: int
    definition: TypeDefinition


Object = Table | MemorySequence | MemoryFunction | MemoryType


def function_key(schema: str, definition: FunctionDefinition) -> Key:
    return schema, f"\0{definition.name}({', '.join(definition.signature)})"


@dataclass(frozen=True, slots=True)
class Mark:
    """A state of a session's uncommitted changes."""

    changes: Mapping[Key, Object | None]
    schemas: Mapping[str, str | None]
    deferred: frozenset[Key]
    moves: int = 0


@dataclass(slots=True)
class Workspace:
    """What is one session's own. `changes`: new versions, None for what was dropped; `schemas`: comments of new ones."""

    schema: str
    """Of its temporary tables."""
    changes: dict[Key, Object | None] = field(default_factory=dict)
    schemas: dict[str, str | None] = field(default_factory=dict)
    temporary: dict[Key, Object] = field(default_factory=dict)
    deferred: set[Key] = field(default_factory=set)
    """Tables whose deferred foreign keys are to be checked at the end."""
    definitions: int = 0
    """Goes up when names or columns change."""
    followed: bool = False
    """Rows are to be found under the new ids that updates give them, by `moves`: old ids and new ones."""
    moves: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    taken: dict[int, int] = field(default_factory=dict)
    """The last value that the session has taken from each sequence."""
    last: int | None = None

    @property
    def is_empty(self) -> bool:
        return not self.changes and not self.schemas and not self.temporary


class MemoryStore:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.committed: dict[Key, Object] = {}
        self.schemas: dict[str, str] = {"public": ""}
        self.max_bytes: int | None = None
        self.changes = 0
        """Goes up with every committed change of names or columns."""
        self.pins: dict[str, Mapping[Key, Object]] = {}
        self._workspaces: dict[str, Workspace] = {}
        self._row_ids = self._numbers = self._own_sessions = 0

    # --- what a session sees

    def workspace(self, session: str) -> Workspace | None:
        return self._workspaces.get(session)

    def own(self, session: str) -> Workspace:
        """The session's workspace, made if need be."""
        with self.lock:
            found = self._workspaces.get(session)
            if found is None:
                found = self._workspaces[session] = Workspace(TEMPORARY + session)
            return found

    def objects(self, session: str) -> Mapping[Key, Object]:
        """Everything there is for the session; not to be changed."""
        with self.lock:
            space = self._workspaces.get(session)
            if space is None or space.is_empty:
                return self.committed
            found: dict[Key, Object] = {**self.committed, **space.temporary}
            for key, version in space.changes.items():
                if version is None:
                    found.pop(key, None)
                else:
                    found[key] = version
            return found

    def find(self, session: str, key: Key) -> Object | None:
        space = self._workspaces.get(session)
        if space is not None:
            if key in space.changes:
                return space.changes[key]
            if key in space.temporary:
                return space.temporary[key]
        return self.committed.get(key)

    def schema_comments(self, session: str) -> dict[str, str]:
        """The schemas the session sees, with their comments."""
        with self.lock:
            space = self._workspaces.get(session)
            found = dict(self.schemas)
            if space is not None:
                for schema, comment in space.schemas.items():
                    if comment is None:
                        found.pop(schema, None)
                    else:
                        found[schema] = comment
                if any(key[0] == space.schema for key in (*space.temporary, *space.changes)):
                    found[space.schema] = ""
            return found

    # --- changing

    @contextmanager
    def writing(self, session: str) -> Iterator[str]:
        """The session to write for: `session`, or where there is none, one whose transaction ends with the block."""
        if session:
            yield session
            return
        with self.lock:
            self._own_sessions += 1
            own = f"own {self._own_sessions}"
        try:
            yield own
            self.commit(own)
        finally:
            self.end(own)

    def put(self, session: str, key: Key, version: Object | None, defines: bool = True) -> None:
        """`version` is what the session sees under this name from now on. `defines`: names or columns change."""
        with self.lock:
            space = self.own(session)
            space.changes[key] = version
            space.definitions += defines

    def put_schema(self, session: str, schema: str, comment: str | None) -> None:
        with self.lock:
            space = self.own(session)
            space.schemas[schema] = comment
            space.definitions += 1

    def mark(self, session: str) -> Mark:
        with self.lock:
            space = self._workspaces.get(session)
            return Mark({}, {}, frozenset()) if space is None else Mark(
                dict(space.changes), dict(space.schemas), frozenset(space.deferred), len(space.moves))

    def restore(self, session: str, mark: Mark) -> None:
        with self.lock:
            space = self._workspaces.get(session)
            if space is not None:
                space.changes, space.schemas, space.deferred = dict(mark.changes), dict(mark.schemas), set(mark.deferred)
                space.definitions += 1
                del space.moves[mark.moves:]

    def commit(self, session: str) -> None:
        """Makes the session's changes everybody's.

        Raises: SerializationFailure (40001) where another session, not held back by a lock, has changed the same object.
        """
        with self.lock:
            space = self._workspaces.get(session)
            if space is None:
                return
            space.followed, space.moves = False, []
            shared = {key: version for key, version in space.changes.items() if key[0] != space.schema}
            committed = {**self.committed, **{k: v for k, v in shared.items() if v is not None}}
            for key, version in shared.items():
                if version is None:
                    committed.pop(key, None)
            defines = bool(space.schemas) or any(
                (old := self.committed.get(key)) is None or version is None or old.definition is not version.definition
                for key, version in shared.items())
            schemas = {**self.schemas, **{k: v for k, v in space.schemas.items() if v is not None}}
            for schema, comment in space.schemas.items():
                if comment is None:
                    schemas.pop(schema, None)
            for key in shared:
                if key[0] not in schemas and key in committed:
                    raise SerializationFailure(f'schema "{key[0]}" was dropped by another session')
            self.committed, self.schemas = committed, schemas or {"public": ""}
            self.changes += defines
            self._end_temporary(space)
            space.changes, space.schemas, space.deferred = {}, {}, set()

    @staticmethod
    def _end_temporary(space: Workspace) -> None:
        """ON COMMIT for temporary tables."""
        for key, version in space.changes.items():
            if key[0] == space.schema:
                if version is None:
                    space.temporary.pop(key, None)
                else:
                    space.temporary[key] = version
        for key, version in list(space.temporary.items()):
            if isinstance(version, Table) and version.definition.on_commit != "preserve":
                if version.definition.on_commit == "drop":
                    del space.temporary[key]
                    space.definitions += 1
                elif version.segments:
                    space.temporary[key] = version.changed(())

    def rollback(self, session: str) -> None:
        self.restore(session, Mark({}, {}, frozenset()))

    def end(self, session: str) -> None:
        """The session is over, with all that is its own."""
        with self.lock:
            self._workspaces.pop(session, None)

    # --- numbers

    def new_number(self) -> int:
        with self.lock:
            self._numbers += 1
            return self._numbers

    def new_ids(self, count: int) -> np.ndarray:
        """`count` row ids that no row had before."""
        with self.lock:
            first, self._row_ids = self._row_ids, self._row_ids + count
        return np.arange(first, first + count, dtype=np.int64)

    def bytes_used(self) -> int:
        """Bytes of the rows of all tables, committed or not; segments that versions share count once."""
        with self.lock:
            versions = [*self.committed.values()]
            for space in self._workspaces.values():
                versions += [v for v in (*space.temporary.values(), *space.changes.values()) if v is not None]
            segments = {id(s): s.size_bytes for version in versions if isinstance(version, Table) for s in version.segments}
            return sum(segments.values())

    def require_room(self, name: str, size_bytes: int) -> None:
        """Raises: OutOfMemory (53200) when `size_bytes` more would pass the limit."""
        if self.max_bytes is not None and self.bytes_used() + size_bytes > self.max_bytes:
            raise OutOfMemory(f'catalog "{name}" may hold {self.max_bytes} bytes, which this statement exceeds',
                              hint="Delete rows, or raise --memory or the catalog's max_bytes.")

    # --- sequences

    def next_values(self, session: str, sequence: MemorySequence, count: int) -> list[int]:
        """Raises: SequenceLimit (2200H)."""
        info, counter = sequence.definition, sequence.counter
        found: list[int] = []
        with self.lock:
            while len(found) < count:
                value = counter.value + info.increment if counter.called else counter.value
                if not info.minimum <= value <= info.maximum:
                    bound = "maximum" if info.increment > 0 else "minimum"
                    if not info.cycle:
                        limit = info.maximum if info.increment > 0 else info.minimum
                        raise SequenceLimit(f'nextval: reached {bound} value of sequence "{info.name}" ({limit})')
                    value = info.minimum if info.increment > 0 else info.maximum
                counter.value, counter.called = value, True
                found.append(value)
            if found:
                space = self.own(session)
                space.taken[sequence.number] = space.last = found[-1]
        return found

    def last_value(self, session: str, sequence: MemorySequence | None) -> int:
        """Raises: ObjectNotInPrerequisiteState (55000) before the session has taken one."""
        space = self._workspaces.get(session)
        if sequence is None:
            if space is None or space.last is None:
                raise ObjectNotInPrerequisiteState("lastval is not yet defined in this session")
            return space.last
        if space is None or sequence.number not in space.taken:
            raise ObjectNotInPrerequisiteState(
                f'currval of sequence "{sequence.definition.name}" is not yet defined in this session')
        return space.taken[sequence.number]

    def set_value(self, session: str, sequence: MemorySequence, value: int, called: bool) -> None:
        with self.lock:
            sequence.counter.value, sequence.counter.called = value, called
            if called:
                self.own(session).taken[sequence.number] = value
