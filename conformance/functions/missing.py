"""The end of the manual's page of functions: what PostgreSQL 15 has and Shoal has not, by category, with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from conformance.functions import inventory, known, scope
from conformance.functions.inventory import Signature

_KINDS = (("functions", inventory.functions), ("operators", inventory.operators))


def markdown() -> str:
    """The section, made from pg_proc and pg_operator of PostgreSQL 15 and the registry."""
    lines = ["## What is missing", "",
             "Of PostgreSQL 15's pg_proc and pg_operator, without what only PostgreSQL itself calls. "
             "Names are those that no call of theirs means anything to Shoal; a few names of these categories answer.", "",
             "| Category | Why | Functions | Operators |", "|---|---|---|---|"]
    listed = {kind: inventory.by_category([one for one in signatures() if not inventory.is_known(one)])
              for kind, signatures in _KINDS}
    for category, reason in sorted(scope.REASONS.items()):
        functions, operators = (_names(listed[kind].get(category, [])) for kind, _ in _KINDS)
        lines.append(f"| {category} | {reason} | {functions or '-'} | {operators or '-'} |")
    lines += ["", "Different from PostgreSQL in the rest:", "", *_differences(), ""]
    return "\n".join(lines)


def _names(signatures: Sequence[Signature]) -> str:
    return ", ".join(f"`{name}`" for name in sorted({one.name for one in signatures})).replace("|", "\\|")


def _differences() -> Iterator[str]:
    for _, signatures in _KINDS:
        for signature in signatures():
            if not signature.category:
                for finding in inventory.findings(signature):
                    what = f"{finding.what} {finding.have}, in PostgreSQL {finding.want}" if finding.want else finding.what
                    yield f"- `{signature}`: {what}; {known.reason(signature) or 'not known why'}"
