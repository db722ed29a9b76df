"""pg_proc: functions that users made, after PostgreSQL's own. PostgreSQL 15 documentation, 53.39."""

from shoal.catalog.pg_catalog.routines import rows

__all__ = ["rows"]
