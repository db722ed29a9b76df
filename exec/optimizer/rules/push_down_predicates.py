"""Moves every conjunct as near to the scans as it can go, and makes joins of what stays between two inputs.

    Filter (a = b AND a = 5 AND x IS NOT NULL)          Join inner on a = b
      Join left on y = x                                  Join inner on y = x
        Join inner                                ->        Filter (a = 5)
          R(a, y)                                             R
          S(b)                                              T
        T(x)                                              Filter (b = 5)
                                                            S

Also here, because they follow from where conjuncts meet:
- constants travel across equalities (a = b AND a = 5 gives b = 5);
- an OR over several relations gives each of them the OR of its own parts (TPC-H Q7, Q19);
- an outer join whose NULL-extended rows are refused above becomes inner (full: left or inner);
- a mark join whose mark alone filters becomes semi or anti; a right join becomes left;
- shared rows of which every reader keeps only some are made with the OR of what the readers keep (TPC-DS Q4, Q11).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from shoal.catalog.types import BOOL
from shoal.exec.optimizer.columns import add_columns, empty, filtered, output_ids, passed_on, references
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.expressions import Simplifier, rejects_null
from shoal.exec.optimizer.joins import make_join
from shoal.exec.plan.expr import (
    COMPARISONS,
    FALSE,
    TRUE,
    Call,
    ColumnRef,
    Expr,
    conjunction,
    conjuncts,
    disjunction,
    is_volatile,
    replace_columns,
)
from shoal.exec.plan.nodes import (
    Aggregate,
    AssignUniqueId,
    Filter,
    Join,
    PlanNode,
    Project,
    SharedRows,
    Sort,
    TableFunction,
    Union,
    Window,
    With,
    walk_plan,
)


def push_down_predicates(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    return _Pushing(plan, context).push(plan, [], set())


class _Pushing:
    def __init__(self, plan: PlanNode, context: OptimizerContext) -> None:
        self.context = context
        self.simplify = Simplifier(context)
        self.uses: Counter[int] = Counter()
        self.outer_joins = False
        marks = False
        for node in walk_plan(plan):
            if isinstance(node, Join):
                self.outer_joins = self.outer_joins or node.kind in ("left", "right", "full")
                marks = marks or node.kind == "mark"
        if marks:
            for node in walk_plan(plan):
                self.uses.update(references(node))
        self._columns: dict[int, tuple[Expr, frozenset[int]]] = {}

    def columns(self, expr: Expr) -> frozenset[int]:
        found = self._columns.get(id(expr))
        if found is None:
            ids: set[int] = set()
            add_columns(expr, ids)
            found = self._columns[id(expr)] = (expr, frozenset(ids))
        return found[1]

    def movable(self, expr: Expr) -> bool:
        return bool(self.columns(expr)) and not is_volatile(expr)

    def push(self, node: PlanNode, parts: list[Expr], rejected: set[int]) -> PlanNode:
        """The node with these conjuncts applied as low as they go. `rejected`: columns whose NULLs something above
        refuses. All parts are movable: not volatile, with columns of the node's output."""
        match node:
            case Filter():
                own = conjuncts(node.predicate)
                if FALSE in own:
                    return empty(node.output)
                fixed = [part for part in own if not self.movable(part)]
                merged = parts + [part for part in own if part not in parts and self.movable(part)]
                return filtered(self.push(node.input, merged, rejected), fixed)
            case Project():
                return self.project(node, parts, rejected)
            case Join():
                return self.join(node, parts, rejected)
            case Aggregate():
                return self.split(node, parts, rejected, {f.id for f in node.groups})
            case Window():
                return self.split(node, parts, set(), {ref.id for ref in node.partition})
            case Sort():
                return Sort(self.push(node.input, parts, rejected), node.keys)
            case TableFunction() | AssignUniqueId():
                return self.split(node, parts, rejected, output_ids(node.input))
            case Union():
                return self.union(node, parts)
            case With():
                return filtered(self.with_shared(node), parts)
        children = node.children()
        if children:
            rebuilt = tuple([self.push(child, [], set()) for child in children])
            if any(a is not b for a, b in zip(rebuilt, children, strict=True)):
                node = node.with_children(rebuilt)
        return filtered(node, parts)

    def split(self, node: Aggregate | Window | TableFunction | AssignUniqueId, parts: list[Expr], rejected: set[int],
              through: set[int]) -> PlanNode:
        """Parts over the columns in `through` go below the node, the others stay above; of an OR, what it says of these."""
        down = [part for part in parts if self.columns(part) <= through]
        down += [one for part in parts for one in self.single_sided(part, [through]) if one not in down]
        below = self.push(node.input, down, rejected & through)
        made = node if below is node.input else replace(node, input=below)
        return filtered(made, [part for part in parts if not self.columns(part) <= through])

    def substituted(self, parts: list[Expr], mapping: dict[int, Expr]) -> list[Expr] | None:
        """The parts with columns replaced and simplified; None when one is never TRUE."""
        found: list[Expr] = []
        for part in parts:
            for one in self.simplify.predicate(replace_columns(part, mapping)):
                if one == FALSE:
                    return None
                found.append(one)
        return found

    def project(self, node: Project, parts: list[Expr], rejected: set[int]) -> PlanNode:
        mapping = {f.id: e for f, e in node.assignments}
        below_rejected = {e.id for i in rejected if isinstance(e := mapping.get(i), ColumnRef)}
        kept: list[Expr] = []
        down: list[Expr] = []
        for part in parts:
            if any(is_volatile(mapping[i]) for i in self.columns(part)):
                kept.append(part)
                continue
            moved = self.substituted([part], mapping)
            if moved is None:
                return empty(node.output)
            for one in moved:
                (down if self.movable(one) else kept).append(one if self.movable(one) else part)
        below = self.push(node.input, down, below_rejected)
        return filtered(node if below is node.input else Project(below, node.assignments), kept)

    def union(self, node: Union, parts: list[Expr]) -> PlanNode:
        inputs = []
        for child, ids in zip(node.inputs, node.columns, strict=True):
            by_id = {f.id: f.ref() for f in child.output}
            moved = self.substituted(parts, {f.id: by_id[i] for f, i in zip(node.fields, ids, strict=True)})
            inputs.append(empty(child.output) if moved is None else self.push(child, moved, set()))
        return replace(node, inputs=tuple(inputs))

    # Shared rows -----------------------------------------------------------------------------------------------------

    def with_shared(self, node: With) -> With:
        """Readers come after what they read: the last input goes first, and its filters then say what the others need."""
        done = [self.push(node.inputs[-1], [], set())]
        for number, child in reversed(list(zip(node.numbers, node.inputs, strict=False))):
            done.insert(0, self.push(child, self.needed(number, done), set()))
        return replace(node, inputs=tuple(done))

    def needed(self, number: int, plans: Sequence[PlanNode]) -> list[Expr]:
        """Conjuncts that hold for every shared row that some reader keeps."""
        kept: list[Expr] = []
        for reader, parts in (found for plan in plans for found in _readers(plan, number)):
            own = dict(zip((f.id for f in reader.fields), reader.columns, strict=True))
            mapping: dict[int, Expr] = {f.id: ColumnRef(f.type, own[f.id]) for f in reader.fields}
            mine = [replace_columns(part, mapping) for part in parts if self.movable(part)]
            if not mine:
                return []
            kept.append(conjunction(mine))
            if len(kept) > _MOST_READERS:
                return []
        if not kept:
            return []
        return [part for part in self.simplify.predicate(disjunction(kept)) if self.movable(part)]

    # Joins -----------------------------------------------------------------------------------------------------------

    def join(self, node: Join, parts: list[Expr], rejected: set[int]) -> PlanNode:
        if node.kind == "right":
            node = replace(node, kind="left", left=node.right, right=node.left, keys=tuple((b, a) for a, b in node.keys))
        if node.kind in ("left", "full"):
            node = self.simplified(node, parts, rejected)
        match node.kind:
            case "inner":
                return self.inner(node, parts, rejected)
            case "full":
                return self.full(node, parts)
            case "mark":
                return self.mark(node, parts, rejected)
        return self.one_sided(node, parts, rejected)

    def refused(self, ids: set[int], parts: Sequence[Expr], rejected: set[int]) -> bool:
        """Whether rows whose columns `ids` are all NULL are refused above."""
        return bool(ids & rejected) or any(self.columns(p) & ids and rejects_null(p, ids) for p in parts)

    def simplified(self, node: Join, parts: Sequence[Expr], rejected: set[int]) -> Join:
        """A left or full join as the narrowest kind that gives the rows that stay."""
        right_refused = self.refused(output_ids(node.right), parts, rejected)
        if node.kind == "left":
            return replace(node, kind="inner") if right_refused else node
        left_refused = self.refused(output_ids(node.left), parts, rejected)
        if left_refused and right_refused:
            return replace(node, kind="inner")
        if left_refused:
            return replace(node, kind="left")
        if right_refused:
            return replace(node, kind="left", left=node.right, right=node.left, keys=tuple((b, a) for a, b in node.keys))
        return node

    def rejected_by(self, parts: Sequence[Expr]) -> set[int]:
        """Columns whose NULLs these conjuncts refuse; only asked for where there are outer joins."""
        if not self.outer_joins:
            return set()
        return {i for part in parts for i in self.columns(part) if rejects_null(part, {i})}

    def gather(self, node: PlanNode, relations: list[PlanNode], parts: list[Expr]) -> None:
        """The inputs and the conjuncts of a tree of inner joins."""
        if isinstance(node, Join) and node.kind == "inner":
            parts.extend(_all_parts(node))
            self.gather(node.left, relations, parts)
            self.gather(node.right, relations, parts)
        elif isinstance(node, Filter) and not is_volatile(node.predicate):
            parts.extend(conjuncts(node.predicate))
            self.gather(node.input, relations, parts)
        else:
            relations.append(node)

    def inner(self, node: Join, parts: list[Expr], rejected: set[int]) -> PlanNode:
        relations: list[PlanNode] = []
        found = list(parts)
        self.gather(node, relations, found)
        while self.outer_joins:
            again: list[PlanNode] = []
            more: list[Expr] = []
            for relation in relations:
                if isinstance(relation, Join) and relation.kind in ("left", "right", "full"):
                    if relation.kind == "right":
                        relation = replace(relation, kind="left", left=relation.right, right=relation.left,
                                           keys=tuple((b, a) for a, b in relation.keys))
                    relation = self.simplified(relation, found, rejected)
                self.gather(relation, again, more)
            changed = len(again) != len(relations)
            relations, found = again, found + more
            if not changed:
                break
        if FALSE in found:
            return empty(node.output)
        ids = [output_ids(relation) for relation in relations]
        fixed = [part for part in found if not self.movable(part)]
        conditions = list(dict.fromkeys(part for part in found if self.movable(part)))
        conditions += [part for part in self.implied(conditions, ids) if part not in conditions]
        across: list[Expr] = []
        own: list[list[Expr]] = [[] for _ in relations]
        for part in conditions:
            used = self.columns(part)
            index = next((i for i, have in enumerate(ids) if used <= have), None)
            if index is None:
                across.append(part)
            else:
                own[index].append(part)
        refused = self.rejected_by(across) | rejected
        pushed = [self.push(relation, mine, refused & have)
                  for relation, mine, have in zip(relations, own, ids, strict=True)]
        plan, have = pushed[0], set(ids[0])
        todo = list(range(1, len(pushed)))
        while todo:
            index = next((i for i in todo if any(self.columns(p) <= have | ids[i] for p in across)), todo[0])
            todo.remove(index)
            ready = [p for p in across if self.columns(p) <= have | ids[index]]
            across = [p for p in across if p not in ready]
            plan = make_join("inner", plan, pushed[index], ready, self.context, left_ids=have, right_ids=ids[index])
            have |= ids[index]
        return filtered(plan, fixed)

    def implied(self, parts: list[Expr], ids: list[set[int]]) -> list[Expr]:
        return self.across_equalities(parts) + [one for part in parts for one in self.single_sided(part, ids)]

    def across_equalities(self, parts: Sequence[Expr]) -> list[Expr]:
        """Comparisons with constants, said of the columns that are equal to theirs."""
        group: dict[int, set[ColumnRef]] = {}
        for part in parts:
            if isinstance(part, Call) and part.name == "eq":
                a, b = part.args
                if isinstance(a, ColumnRef) and isinstance(b, ColumnRef) and a.type == b.type:
                    merged = group.get(a.id, {a}) | group.get(b.id, {b})
                    for ref in merged:
                        group[ref.id] = merged
        if not group:
            return []
        found: list[Expr] = []
        for part in parts:
            used = self.columns(part)
            if len(used) != 1 or not isinstance(part, Call) or part.name not in _TRAVELS:
                continue
            (only,) = used
            for ref in sorted(group.get(only, ()), key=lambda r: r.id):
                if ref.id != only:
                    found.append(replace_columns(part, {only: ref}))
        return found

    def single_sided(self, part: Expr, ids: list[set[int]]) -> list[Expr]:
        """For an OR over several relations, the OR of each one's own conjuncts, where every branch has some."""
        if not isinstance(part, Call) or part.name != "or":
            return []
        used = self.columns(part)
        branches = [conjuncts(branch) for branch in part.args]
        found: list[Expr] = []
        for have in ids:
            if not used & have or used <= have:
                continue
            mine = [[c for c in branch if (cols := self.columns(c)) and cols <= have] for branch in branches]
            if all(mine):
                found.extend(self.simplify.predicate(disjunction([conjunction(branch) for branch in mine])))
        return found

    def one_sided(self, node: Join, parts: list[Expr], rejected: set[int]) -> PlanNode:
        """left, semi, anti: conjuncts over left's columns go left, those of the join's own over right's go right."""
        left_ids, right_ids = output_ids(node.left), output_ids(node.right)
        own = _all_parts(node, keep_last=node.null_aware)
        if FALSE in own:
            own = [FALSE]
        to_left = [part for part in parts if self.columns(part) <= left_ids]
        above = [part for part in parts if not self.columns(part) <= left_ids]
        known = [part for part in self.across_equalities(own + to_left) if part not in own]
        to_right = [part for part in own + known if self.movable(part) and self.columns(part) <= right_ids]
        stay = [part for part in own if part not in to_right]
        refused = self.rejected_by(stay)
        left_rejected = rejected & left_ids
        if node.kind == "semi":
            more = [part for part in stay if self.movable(part) and self.columns(part) <= left_ids]
            stay = [part for part in stay if part not in more]
            own_left = [part for part in self.across_equalities(own) if self.columns(part) <= left_ids]
            to_left += [part for part in more + own_left if part not in to_left]
            left_rejected |= refused & left_ids
        left = self.push(node.left, to_left, left_rejected)
        right = self.push(node.right, to_right, refused & right_ids)
        keys = node.keys[-1:] if node.null_aware else ()
        made = make_join(node.kind, left, right, stay, self.context, left_ids=left_ids, right_ids=right_ids, keys=keys,
                         null_aware=node.null_aware, mark=node.mark)
        return filtered(made, above)

    def mark(self, node: Join, parts: list[Expr], rejected: set[int]) -> PlanNode:
        assert node.mark is not None
        ref = node.mark.ref()
        for part in parts:
            positive = part in (ref, Call(BOOL, "is_true", (ref,)))
            negative = part == Call(BOOL, "not", (ref,)) or (
                part == Call(BOOL, "is_not_true", (ref,)) and not node.null_aware)
            if not positive and not negative:
                continue
            rest = [p for p in parts if p is not part]
            if self.uses[ref.id] > 1:
                known: Expr = TRUE if positive else FALSE
                kept = Project(replace(node, kind="semi" if positive else "anti", mark=None,
                                       null_aware=node.null_aware and not positive),
                               (*passed_on(node.left.output), (node.mark, known)))
                return self.push(kept, rest, rejected - {ref.id})
            return self.one_sided(replace(node, kind="semi" if positive else "anti", mark=None,
                                          null_aware=node.null_aware and not positive), rest, rejected)
        return self.one_sided(node, parts, rejected)

    def full(self, node: Join, parts: list[Expr]) -> PlanNode:
        left_ids, right_ids = output_ids(node.left), output_ids(node.right)
        left, right = self.push(node.left, [], set()), self.push(node.right, [], set())
        made = make_join("full", left, right, _all_parts(node), self.context, left_ids=left_ids, right_ids=right_ids)
        return filtered(made, parts)


_MOST_READERS = 16


def _readers(node: PlanNode, number: int) -> Iterator[tuple[SharedRows, list[Expr]]]:
    """All that read the shared rows of this number, with the conjuncts right above each."""
    parts: list[Expr] = []
    if isinstance(node, Filter) and isinstance(node.input, SharedRows):
        parts, node = conjuncts(node.predicate), node.input
    if isinstance(node, SharedRows):
        if node.number == number:
            yield node, parts
        return
    for child in node.children():
        yield from _readers(child, number)


_TRAVELS = COMPARISONS | {"in", "like", "not", "or", "is_not_null"}


def _all_parts(node: Join, keep_last: bool = False) -> list[Expr]:
    """The join's keys (but the last) and condition as conjuncts."""
    keys = node.keys[:-1] if keep_last else node.keys
    return [Call(BOOL, "eq", (a, b)) for a, b in keys] + conjuncts(node.condition)
