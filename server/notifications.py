"""LISTEN and NOTIFY between the sessions of one server. Delivery is the receiving session's matter (`deliver`).

Spec: PostgreSQL 15 documentation, LISTEN, NOTIFY.
"""

from __future__ import annotations

from typing import Protocol


class Listener(Protocol):
    def deliver(self, process_id: int, channel: str, payload: str) -> None:
        """Called with what some session sent; must not block."""


class Notifications:
    def __init__(self) -> None:
        self._listeners: dict[str, dict[Listener, None]] = {}

    def listen(self, channel: str, listener: Listener) -> None:
        self._listeners.setdefault(channel, {})[listener] = None

    def unlisten(self, channel: str | None, listener: Listener) -> None:
        """`channel` None: from all."""
        for name in [channel] if channel is not None else list(self._listeners):
            listeners = self._listeners.get(name, {})
            listeners.pop(listener, None)
            if not listeners:
                self._listeners.pop(name, None)

    def channels(self, listener: Listener) -> list[str]:
        """What it listens to."""
        return [channel for channel, listeners in list(self._listeners.items()) if listener in listeners]

    def publish(self, process_id: int, channel: str, payload: str) -> None:
        for listener in list(self._listeners.get(channel, ())):
            listener.deliver(process_id, channel, payload)
