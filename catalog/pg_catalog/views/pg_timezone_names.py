"""pg_timezone_names: the zones of the tz database as they are now. PostgreSQL 15 documentation, 54.31."""

import datetime
import zoneinfo
from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot

MICROSECOND_NS = 1000


def session_rows(snapshot: Snapshot, session: Any) -> Iterator[dict[str, Any]]:
    now = datetime.datetime.now(datetime.UTC)
    for name in sorted(zoneinfo.available_timezones()):
        local = now.astimezone(zoneinfo.ZoneInfo(name))
        offset = local.utcoffset() or datetime.timedelta()
        yield {"name": name, "abbrev": local.tzname(), "is_dst": bool(local.dst()),
               "utc_offset": (0, 0, offset // datetime.timedelta(microseconds=1) * MICROSECOND_NS)}
