"""What the Python checks share: parts that run one after another, each reported by one line; one failure stops none.

Runs in the clients' own environment: standard library only.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

Part = Callable[[], Any]


class Check:
    """The parts of one script; `@check.part` adds a function (plain or async), `check.run()` ends the process."""

    def __init__(self, version: str) -> None:
        self._parts: list[tuple[str, Part]] = []
        self._version = version
        self._failed = False
        self._itemised = False

    def that(self, what: str, holds: object, seen: object = "") -> None:
        """Reports one of the many things a part looks at, and goes on; `seen` explains one that does not hold."""
        self._itemised = True
        if holds:
            print(f"ok {what}", flush=True)
        else:
            self._failed = True
            print(f"failed {what}: {str(seen)[-900:]!r}", flush=True)

    def part(self, what: str) -> Callable[[Part], Part]:
        def add(function: Part) -> Part:
            self._parts.append((what, function))
            return function
        return add

    def run(self) -> None:
        """Runs all parts, or those whose names hold a word of the command line; exits with 1 after a failure."""
        print(f"version: {self._version}", flush=True)
        words = sys.argv[1:]
        for what, function in self._parts:
            if words and not any(word in what for word in words):
                continue
            self._itemised = False
            try:
                answer = function()
                if inspect.iscoroutine(answer):
                    asyncio.run(answer)
            except Exception as error:
                self._failed = True
                place = next((frame for frame in reversed(traceback.extract_tb(error.__traceback__))
                              if frame.filename == sys.argv[0]), None)
                where = f" (line {place.lineno}: {place.line})" if place else ""
                print(f"failed {what}: {type(error).__name__}: {' '.join(str(error).split())[:600]}{where}", flush=True)
                if os.environ.get("SHOAL_CLIENT_TRACE"):
                    traceback.print_exc()
            else:
                if not self._itemised:
                    print(f"ok {what}", flush=True)
        sys.exit(1 if self._failed else 0)


def equal(got: object, want: object) -> None:
    """Values and types must be the same. Raises: AssertionError saying both."""
    if got != want or type(got) is not type(want):
        raise AssertionError(f"got {got!r}, want {want!r}")


def raises(action: Callable[[], object], code: str, code_of: Callable[[Any], str | None]) -> Any:
    """The error of an action that must fail with a SQLSTATE as the driver shows it. Raises: AssertionError."""
    try:
        action()
    except Exception as error:
        if code_of(error) != code:
            raise AssertionError(f"got {code_of(error)} ({error}), want SQLSTATE {code}") from error
        return error
    raise AssertionError(f"no error, want SQLSTATE {code}")
