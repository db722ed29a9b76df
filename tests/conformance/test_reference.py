"""The reference pages are what the registries say."""

from __future__ import annotations

from conformance.reference import pages


def test_the_pages_are_current() -> None:
    for path, text in pages().items():
        assert path.read_text() == text, f"{path.name} is out of date: run python -m conformance.reference"
