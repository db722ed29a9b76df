"""Reference pages made from the registries: functions, settings, connectors; of functions also what is missing.

Usage: python -m conformance.reference            writes the pages; a test compares them with what this would write
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from conformance.corpora import ROOT
from conformance.functions import missing
from shoal.catalog import connector
from shoal.catalog.registry import built_in
from shoal.exec.functions import reference
from shoal.server.settings import SETTINGS

CAPABILITIES = {connector.SupportsFilter: "filters", connector.SupportsExpressions: "expressions",
                connector.SupportsLimit: "limits",
                connector.SupportsSnapshot: "one snapshot a query", connector.SupportsWrite: "writes",
                connector.SupportsSchemas: "schemas", connector.SupportsPieces: "late columns",
                connector.SupportsInterrupt: "interrupts"}
NOTE = "<!-- Made by `python -m conformance.reference`; do not edit. -->\n\n"


def connectors() -> str:
    """A table of the connectors: URL schemes, where they are read, what they can do."""
    schemes = defaultdict(list)
    for scheme, cls in built_in().items():
        schemes[cls].append(f"`{scheme}:`")
    lines = [NOTE + "# Connectors\n",
             "| connector | URLs | read by | can do besides reading | module |", "|---|---|---|---|---|"]
    for cls, names in schemes.items():
        able = ", ".join(text for capability, text in CAPABILITIES.items() if issubclass(cls, capability))
        reader = "the coordinator" if cls.placement == "coordinator" else "workers"
        module = (sys.modules[cls.__module__].__doc__ or "").split("\n")[0].rstrip(".")
        lines.append(f"| {cls.kind} | {' '.join(names)} | {reader} | {able or '-'} | {module} |")
    return "\n".join(lines) + "\n"


def settings() -> str:
    """A table of the settings that SET and SHOW know."""
    lines = [NOTE + "# Settings\n", "| setting | default | meaning |", "|---|---|---|"]
    for setting in sorted(SETTINGS.values(), key=lambda s: s.name.lower()):
        default = f"`{setting.default}`" if setting.default else "empty"
        lines.append(f"| `{setting.name}` | {default} | {setting.doc}{' (fixed)' if setting.fixed else ''} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    return {ROOT / "catalog" / "CONNECTORS.md": connectors(), ROOT / "server" / "SETTINGS.md": settings(),
            ROOT / "exec" / "FUNCTIONS.md": NOTE + reference.markdown() + "\n" + missing.markdown()}


def main() -> int:
    for path, text in pages().items():
        path.write_text(text)
        print(path.relative_to(ROOT), len(text.splitlines()), "lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
