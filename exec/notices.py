"""What a statement has to say besides its result."""

from __future__ import annotations


class Notice(str):
    """A notice's message, with more fields than most notices have."""

    detail: str
    sqlstate: str

    def __new__(cls, message: str, detail: str = "", sqlstate: str = "00000") -> Notice:
        made = super().__new__(cls, message)
        made.detail, made.sqlstate = detail, sqlstate
        return made
