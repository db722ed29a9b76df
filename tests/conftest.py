"""Fixtures that every test folder shares."""

pytest_plugins = ["tests.postgres_server"]
