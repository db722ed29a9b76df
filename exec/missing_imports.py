"""Optional packages of pyarrow that are not installed, remembered so that it stops looking for them.

Called once by each process of ours before it works: server/cli.py (serve, query) and exec/worker/__main__.py.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

_OPTIONAL = {"dateutil": "dateutil.relativedelta"}
"""What pyarrow's type inference imports, by the package it belongs to."""


def remember_missing_imports() -> None:
    """Makes the imports of missing optional packages fail at once in this process.

    pyarrow tries them whenever it infers a type: in `pa.array` and `pa.scalar` without one, and for each Python number or
    string given to a kernel. Python does not remember that an import failed, so each time it searches the whole path
    again (30 us or more; 3 us with this). Installed packages stay importable.
    """
    for package, module in _OPTIONAL.items():
        if package not in sys.modules and find_spec(package) is None:
            for name in (package, module):
                sys.modules[name] = None  # type: ignore[assignment]  # Python: "import of ... halted; None in sys.modules"
