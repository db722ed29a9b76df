"""Optional packages that are not there, so that libraries stop looking for them.

Called once by each process of ours before it works: server/cli.py (serve, query) and exec/worker/__main__.py.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec


def remember_missing_pandas() -> None:
    """Makes `import pandas` fail at once in this process, if pandas is not installed.

    pyarrow tries that import in every `pa.array` and `pa.scalar` that is given no type or Python objects. Python keeps no
    failed imports, so it searches the whole path each time, for some 100 us. Where pandas is installed nothing changes:
    connectors of others may use it.
    """
    if "pandas" not in sys.modules and find_spec("pandas") is None:
        sys.modules["pandas"] = None  # type: ignore[assignment]  # documented: "import of pandas halted"
