"""Running scripts: their steps against one server, and the differences from what is expected.

Every script can be sent in three ways: as it stands; byte by byte; and coalesced, that is with all that a session has
to say before it must read in one send.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from conformance.wire import frames
from conformance.wire.script import Operation, Script, ScriptError, Step, Wait
from conformance.wire.sessions import Target, Wire

Replay = Literal["plain", "bytewise", "coalesced"]
REPLAYS: tuple[Replay, ...] = ("plain", "bytewise", "coalesced")
_ANSWERED = ("Query", "Sync", "FunctionCall")
_AT_ONCE = 6
"""Scripts that run beside each other."""


@dataclass(frozen=True)
class Difference:
    script: Script
    step: Step
    expected: Sequence[str]
    found: Sequence[str]

    def __str__(self) -> str:
        lines = difflib.unified_diff(self.expected, self.found, "expected", "found", lineterm="", n=20)
        return f"{self.script.title} (line {self.step.line})\n" + "\n".join(f"    {line}" for line in list(lines)[2:])


def _wait_of(step: Step) -> Wait | None:
    """What to read after a step's batch; None: nothing."""
    if step.wait is not None:
        return step.wait
    count = sum(operation.name in _ANSWERED for operation in step.operations)
    count += any(operation.name == "Startup" for operation in step.operations)
    return Wait("ReadyForQuery", count) if count else None


def _is_message(operation: Operation) -> bool:
    return operation.name[0].isupper()


def _may_join(before: Step, after: Step) -> bool:
    """Whether `after` may be sent before the answers to `before` are read."""
    return (before.session == after.session and all(map(_is_message, (*before.operations, *after.operations)))
            and not any(operation.name == "SSLRequest" for operation in before.operations)
            and (before.wait is None or before.wait.kind not in ("end", "byte", "nothing")))


def answers(script: Script, target: Target, replay: Replay = "plain") -> list[list[str]]:
    """What the server says in each step of the script."""
    wires: dict[str, Wire] = {}
    numbers: dict[int, str] = {}
    found: list[list[str]] = []
    position = 0
    try:
        while position < len(script.steps):
            group = [script.steps[position]]
            while (replay == "coalesced" and position + len(group) < len(script.steps)
                   and _may_join(group[-1], script.steps[position + len(group)])):
                group.append(script.steps[position + len(group)])
            position += len(group)
            letter = group[0].session
            wire = wires.get(letter)
            if wire is None:
                wire = wires[letter] = Wire(target, replay == "bytewise" and not script.whole, numbers, letter)
                if group[0].operations and group[0].operations[0].name not in ("connect", "pause", "cancel"):
                    wire.start()
            _perform([operation for step in group for operation in step.operations], wire, wires)
            found += [wire.read(wait) if (wait := _wait_of(step)) is not None else [] for step in group]
    except (ScriptError, OSError) as error:
        found.append([f"{type(error).__name__}: {error}"])
    finally:
        for wire in wires.values():
            wire.close()
    return found + [["(not reached)"]] * (len(script.steps) - len(found))


def _perform(operations: Iterable[Operation], wire: Wire, others: dict[str, Wire]) -> None:
    data = b""
    for operation in operations:
        if _is_message(operation):
            data += frames.encode(operation)
            continue
        if data:
            wire.send(data)
            data = b""
        wire.act(operation, others)
    if data:
        wire.send(data)


def expected(script: Script, recorded: Sequence[Sequence[str]] | None, own: bool) -> list[Sequence[str]]:
    """What each step should be answered: PostgreSQL's words (just now, or on record), or Shoal's own where it has."""
    return [step.own if own and step.own is not None else (recorded[i] if recorded is not None else step.expected)
            for i, step in enumerate(script.steps)]


def differences(script: Script, found: Sequence[Sequence[str]], wanted: Sequence[Sequence[str]]) -> list[Difference]:
    return [Difference(script, step, want, have) for step, want, have in zip(script.steps, wanted, found, strict=True)
            if list(want) != list(have)]


def run_all(scripts: Sequence[Script], target: Target, replay: Replay = "plain") -> list[list[list[str]]]:
    """The answers to all scripts, several at a time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda script: answers(script, target, replay), scripts))
