"""Stopping a statement from outside: cancel requests and statement_timeout.

A session runs its statements in its own task. Inside `async with interrupts.statement(...)` another task may call
`request`, which cancels the session's task; the scope turns that cancellation, and only that, into QueryCanceled
(57014). Outside of it a request does nothing, as PostgreSQL ignores a cancel that comes too late.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from shoal.catalog.errors import QueryCanceled

USER_REQUEST = "canceling statement due to user request"
STATEMENT_TIMEOUT = "canceling statement due to statement timeout"


class Interrupts:
    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._reason: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timeout_s = 0.0

    def request(self, reason: str = USER_REQUEST) -> None:
        """Stops the statement that is running, if one is."""
        if self._task is not None and self._reason is None:
            self._reason = reason
            self._task.cancel()

    def statement(self, timeout_s: float = 0.0) -> Interrupts:
        """The scope of one statement; 0 is no timeout."""
        self._timeout_s = timeout_s
        return self

    async def __aenter__(self) -> None:
        self._task, self._reason = asyncio.current_task(), None
        if self._timeout_s > 0:
            self._timer = asyncio.get_running_loop().call_later(self._timeout_s, self.request, STATEMENT_TIMEOUT)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        task, self._task = self._task, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reason is None or task is None:
            return
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            if task.uncancel() == 0:
                raise QueryCanceled(self._reason) from None
            return  # the whole session is being stopped as well
        # The request came too late to be delivered, or someone below has turned it into an error of his own.
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if task.cancelling() > 1:
                raise
        task.uncancel()
        if isinstance(error, QueryCanceled):
            raise QueryCanceled(self._reason) from None
