"""How many rows predicates keep, and what they and expressions do to column statistics.

Known ranges are interpolated, equality takes one of the distinct values, patterns and unknown things get defaults.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from shoal.exec.optimizer.estimates import ColumnEstimate, Estimate, literal_position, type_width
from shoal.exec.optimizer.expressions import bare
from shoal.exec.plan.expr import COMPARISONS, Call, Case, Cast, ColumnRef, Expr, Literal

DEFAULT_RANGE = 1 / 3
DEFAULT_COLUMN_ORDER = 0.4
"""column < column."""
DEFAULT_HAVING = 0.1
"""A comparison with the result of an aggregate."""
DEFAULT_OTHER = 0.5
MIN_SELECTIVITY = 1e-9


def apply_predicates(estimate: Estimate, parts: Sequence[Expr]) -> Estimate:
    """The estimate after a filter on all these conjuncts."""
    if not parts:
        return estimate
    columns = dict(estimate.columns)
    share = 1.0
    for part in parts:
        share *= narrow(part, columns, estimate.rows)
    share = max(share, MIN_SELECTIVITY)
    rows = estimate.rows
    if share < 1.0:
        for key, column in columns.items():
            if column is estimate.columns[key]:
                columns[key] = column.thinned(rows, share)
            elif column.ndv > rows * share:
                columns[key] = column.thinned(column.ndv, rows * share / column.ndv)
    return Estimate(rows * share, columns, estimate.known)


def selectivity(expr: Expr, columns: dict[int, ColumnEstimate], rows: float) -> float:
    """The share of rows for which the predicate is TRUE."""
    return narrow(expr, dict(columns), rows)


def narrow(expr: Expr, columns: dict[int, ColumnEstimate], rows: float) -> float:
    """The predicate's selectivity; columns that it restricts are replaced in `columns`."""
    if isinstance(expr, Literal):
        return 1.0 if expr.value is True else 0.0
    if not isinstance(expr, Call):
        return DEFAULT_OTHER
    name, args = expr.name, expr.args
    if name == "and":
        share = 1.0
        for arg in args:
            share *= narrow(arg, columns, rows)
        return share
    if name == "or":
        missed = 1.0
        branches: list[dict[int, ColumnEstimate]] = []
        for arg in args:
            branch = dict(columns)
            missed *= 1.0 - narrow(arg, branch, rows)
            branches.append(branch)
        _unite(branches, columns)
        return 1.0 - missed
    if name in ("not", "is_not_true"):
        return max(1.0 - selectivity(args[0], columns, rows), 0.0)
    if name == "is_true":
        return narrow(args[0], columns, rows)
    if name in COMPARISONS:
        return _comparison(name, bare(args[0]), bare(args[1]), columns, rows)
    if name == "in":
        return _membership(bare(args[0]), len(args) - 1, columns, rows)
    if name == "eq_any" and isinstance(args[1], Literal) and isinstance(args[1].value, tuple):
        return _membership(bare(args[0]), len(args[1].value), columns, rows)
    if name in ("is_null", "is_not_null"):
        subject = args[0]
        nulls = columns[subject.id].nulls if isinstance(subject, ColumnRef) and subject.id in columns else 0.05
        return nulls if name == "is_null" else 1.0 - nulls
    if name in ("like", "ilike", "not_like", "not_ilike") and len(args) >= 2:
        share = _pattern(args[1])
        return 1.0 - share if name.startswith("not") else share
    if name in ("regex_match", "regex_imatch", "similar"):
        return 0.05
    return DEFAULT_OTHER


def _unite(branches: list[dict[int, ColumnEstimate]], columns: dict[int, ColumnEstimate]) -> None:
    """Narrows the columns that every branch of an OR narrows to what all branches together let through."""
    for key, before in list(columns.items()):
        after = [branch[key] for branch in branches]
        if any(column is before for column in after):
            continue
        ndv = min(sum(column.ndv for column in after), before.ndv)
        lows, highs = [column.low for column in after], [column.high for column in after]
        columns[key] = before.narrowed(ndv, None if None in lows else min(low for low in lows if low is not None),
                                       None if None in highs else max(high for high in highs if high is not None),
                                       ndv / max(before.ndv, 1.0))


def _pattern(pattern: Expr) -> float:
    if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
        return 0.05
    text = pattern.value
    letters = sum(1 for c in text if c not in "%_")
    if letters == 0:
        return 1.0
    if not text.startswith("%"):
        return 0.02
    return max(0.1 if not text.endswith("%") else 0.06, 0.01) / max(1.0, text.strip("%").count("%") * 4.0)


def _membership(subject: Expr, count: int, columns: dict[int, ColumnEstimate], rows: float) -> float:
    column = _estimate_of(subject, columns, rows)
    share = min(count / column.ndv, 1.0) * (1.0 - column.nulls)
    if isinstance(subject, ColumnRef) and subject.id in columns:
        kept = min(float(count), column.ndv)
        columns[subject.id] = column.narrowed(kept, column.low, column.high, min(count / column.ndv, 1.0))
    return share


def _comparison(name: str, left: Expr, right: Expr, columns: dict[int, ColumnEstimate], rows: float) -> float:
    if not isinstance(right, Literal):
        if name == "eq":
            a, b = _estimate_of(left, columns, rows), _estimate_of(right, columns, rows)
            return 1.0 / max(a.ndv, b.ndv, 1.0)
        if name == "ne":
            return 0.9
        return DEFAULT_HAVING * 2 if _aggregated(left, columns) or _aggregated(right, columns) else DEFAULT_COLUMN_ORDER
    column = _estimate_of(left, columns, rows)
    own = isinstance(left, ColumnRef) and left.id in columns
    at = literal_position(right)
    if name in ("eq", "ne"):
        outside = at is not None and column.low is not None and column.high is not None and not (
            column.low <= at <= column.high) and not right.type.is_string
        share = (0.5 / max(rows, 1.0) if outside else 1.0 / column.ndv) * (1.0 - column.nulls)
        if name == "ne":
            return max(1.0 - share - column.nulls, 0.0)
        if own:
            assert isinstance(left, ColumnRef)
            columns[left.id] = column.narrowed(1.0, at, at, 1.0 / column.domain)
        return share
    if column.aggregated:
        return DEFAULT_HAVING
    low, high = column.low, column.high
    if at is None or low is None or high is None:
        share = DEFAULT_RANGE
        if own and low is None and high is None:
            assert isinstance(left, ColumnRef)
            columns[left.id] = column.narrowed(column.ndv * share, None, None, share)
        return share
    span = high - low
    if name in ("lt", "le"):
        share = (at - low) / span if span > 0 else (1.0 if low < at or (name == "le" and low == at) else 0.0)
        new_low, new_high = low, min(high, at)
    else:
        share = (high - at) / span if span > 0 else (1.0 if high > at or (name == "ge" and high == at) else 0.0)
        new_low, new_high = max(low, at), high
    share = min(max(share, 0.5 / max(column.ndv, 1.0) if span > 0 else 0.0), 1.0)
    if own and share < 1.0:
        assert isinstance(left, ColumnRef)
        columns[left.id] = column.narrowed(column.ndv * share, new_low, max(new_high, new_low), share)
    return max(share, MIN_SELECTIVITY) * (1.0 - column.nulls)


def _aggregated(expr: Expr, columns: dict[int, ColumnEstimate]) -> bool:
    return isinstance(expr, ColumnRef) and expr.id in columns and columns[expr.id].aggregated


def _estimate_of(expr: Expr, columns: dict[int, ColumnEstimate], rows: float) -> ColumnEstimate:
    if isinstance(expr, ColumnRef):
        found = columns.get(expr.id)
        if found is not None:
            return found
    return expression_estimate(expr, Estimate(rows, columns))


_PARTS = {"month": 12.0, "day": 31.0, "dow": 7.0, "isodow": 7.0, "hour": 24.0, "quarter": 4.0, "doy": 366.0, "week": 53.0,
          "minute": 60.0, "second": 60.0}
_PART_DAYS = {"year": 365.25, "isoyear": 365.25, "decade": 3652.5, "century": 36525.0}
_TRUNC_DAYS = {**_PART_DAYS, "quarter": 91.3, "month": 30.44, "week": 7.0, "day": 1.0}


def expression_estimate(expr: Expr, below: Estimate) -> ColumnEstimate:
    """Statistics of a computed column."""
    if isinstance(expr, ColumnRef):
        return below.column(expr.id)
    width = type_width(expr.type)
    if isinstance(expr, Literal):
        at = literal_position(expr)
        return ColumnEstimate(1.0, 1.0, 1.0 if expr.value is None else 0.0, at, at, width)
    if isinstance(expr, Cast):
        inner = expression_estimate(expr.arg, below)
        numbers = expr.type.is_number and expr.arg.type.is_number
        return ColumnEstimate(inner.ndv, inner.domain, inner.nulls, inner.low if numbers else None,
                              inner.high if numbers else None, width, inner.relation, inner.base_rows, inner.key,
                              inner.guessed, inner.aggregated)
    if isinstance(expr, Case):
        results = (*expr.results, expr.default)
        constants = {r for r in results if isinstance(r, Literal)}
        others = [r for r in results if not isinstance(r, Literal)]
        if not others:
            distinct = float(len(constants))
        elif len(others) == 1:  # such as the columns of GROUPING SETS, which are NULL in some sets
            only = expression_estimate(others[0], below)
            ndv, domain = (min(count + len(constants), max(below.rows, 1.0)) for count in (only.ndv, only.domain))
            return ColumnEstimate(ndv, domain, width=width, relation=only.relation, base_rows=only.base_rows)
        else:
            distinct = sum(expression_estimate(r, below).ndv for r in results)
        return ColumnEstimate(min(distinct, max(below.rows, 1.0)), distinct, width=width)
    parts = [expression_estimate(child, below) for child in expr.children() if not isinstance(child, Literal)]
    aggregated = any(p.aggregated for p in parts)
    distinct = 1.0
    for part in parts:
        distinct = min(distinct * part.ndv, max(below.rows, 1.0))
    if expr.type.name == "bool":
        distinct = 2.0
    elif isinstance(expr, Call) and parts:
        distinct = min(distinct, _result_values(expr, parts[0]))
    nulls = max((p.nulls for p in parts), default=0.0)
    one = parts[0] if len(parts) == 1 else None
    return ColumnEstimate(distinct, distinct, nulls, width=width, aggregated=aggregated,
                          relation=one.relation if one else 0, base_rows=one.base_rows if one else math.inf)


def _result_values(call: Call, subject: ColumnEstimate) -> float:
    """An upper bound of the distinct results of calls that fold many values into few."""
    field = next((a.value for a in call.args if isinstance(a, Literal) and isinstance(a.value, str)), "")
    if call.name in ("extract", "date_part", "date_trunc", "extract_year"):
        field = field.lower() if field else "year"
        days = (_TRUNC_DAYS if call.name == "date_trunc" else _PART_DAYS).get(field)
        if days is None:
            return _PARTS.get(field, math.inf)
        if subject.low is None or subject.high is None:
            return 3650.0 / days + 1.0
        temporal = next((c.type.name for c in call.args if not isinstance(c, Literal)), "date")
        span = (subject.high - subject.low) / (1.0 if temporal == "date" else 86_400e6)
        return float(math.floor(span / days) + 1)
    if call.name in ("substring", "substr", "left", "right"):
        lengths = [a.value for a in call.args if isinstance(a, Literal) and isinstance(a.value, int)]
        if lengths:
            return float(10 ** min(max(lengths[-1], 1), 9))
    return math.inf
