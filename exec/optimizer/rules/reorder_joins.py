"""Orders joins by cost.

    Join                          Join
      Join                          lineitem
        lineitem          ->        Join
        orders                        orders
      customer (few rows)             customer

A tree of inner joins becomes relations and conjuncts; the order with the least cost is found exhaustively among
connected pairs for few relations (Moerkotte and Neumann, "Analysis of Two Existing and One New Dynamic Programming
Algorithm", VLDB 2006), greedily for many. Semi, anti, mark and left joins in the tree take part: their right side
joins a set of relations once that set has the columns they ask for. The larger input goes left (it probes).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shoal.catalog.types import BOOL
from shoal.exec.optimizer.columns import columns, filtered, output_ids
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.join_graph import JoinGraph, Relation, Tree
from shoal.exec.optimizer.joins import make_join
from shoal.exec.plan.expr import Call, ColumnRef, Expr, conjuncts, is_volatile
from shoal.exec.plan.nodes import Filter, Join, PlanNode

_DEPENDENT = ("semi", "anti", "mark", "left")


def reorder_joins(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    return _Reordering(context).visit(plan) if context.switches.join_reordering else plan


@dataclass
class _Gathered:
    relations: list[Relation] = field(default_factory=list)
    parts: list[Expr] = field(default_factory=list)


class _Reordering:
    def __init__(self, context: OptimizerContext) -> None:
        self.context = context

    def visit(self, node: PlanNode) -> PlanNode:
        if isinstance(node, Join) and node.kind in ("inner", *_DEPENDENT):
            return self.group(node)
        if isinstance(node, Filter) and isinstance(node.input, Join) and not is_volatile(node.predicate):
            return self.group(node)
        children = node.children()
        if not children:
            return node
        rebuilt = tuple([self.visit(child) for child in children])
        return node.with_children(rebuilt) if any(a is not b for a, b in zip(rebuilt, children, strict=True)) else node

    def group(self, node: PlanNode) -> PlanNode:
        found = _Gathered()
        self.gather(node, found)
        if len(found.relations) == 1:
            return filtered(found.relations[0].node, found.parts)
        graph = JoinGraph(found.relations, found.parts, self.context)
        return self.build(graph.best(), graph)[0]

    def gather(self, node: PlanNode, found: _Gathered) -> None:
        if isinstance(node, Join) and node.kind == "inner":
            found.parts.extend(_key_parts(node, 0))
            self.gather(node.left, found)
            self.gather(node.right, found)
        elif isinstance(node, Join) and node.kind in _DEPENDENT:
            first = len(found.relations)
            self.gather(node.left, found)
            keys = node.keys[-1:] if node.null_aware else ()
            own = _key_parts(node, len(keys))
            right = self.visit(node.right)
            used = columns(*own) | {ref.id for pair in keys for ref in pair}
            left = range(first, len(found.relations))
            needs = [i for i in left if used & found.relations[i].ids] or list(left)
            found.relations.append(Relation(right, _unit_ids(node), self.context.estimate(right), node.kind, own, keys,
                                            node.null_aware, node.mark, sum(1 << i for i in needs)))
        elif isinstance(node, Filter) and isinstance(node.input, Join) and not is_volatile(node.predicate):
            found.parts.extend(conjuncts(node.predicate))
            self.gather(node.input, found)
        else:
            node = self.visit(node)
            found.relations.append(Relation(node, output_ids(node), self.context.estimate(node)))

    def build(self, tree: Tree, graph: JoinGraph) -> tuple[PlanNode, set[int]]:
        """The plan of a join tree and the ids of its columns."""
        if isinstance(tree, int):
            relation = graph.relations[tree]
            return relation.node, set(relation.ids)
        left, left_ids = self.build(tree[0], graph)
        if isinstance(tree[1], int) and (unit := graph.relations[tree[1]]).kind != "inner":
            right_ids = output_ids(unit.node)
            joined: PlanNode = make_join(unit.kind, left, unit.node, unit.parts, self.context, left_ids=left_ids,
                                         right_ids=right_ids, keys=unit.keys, null_aware=unit.null_aware, mark=unit.mark)
            ids = left_ids | unit.ids
            return filtered(joined, graph.taken(ids)), ids
        right, right_ids = self.build(tree[1], graph)
        ids = left_ids | right_ids
        parts = graph.equalities(left_ids, right_ids) + graph.taken(ids)
        return make_join("inner", left, right, parts, self.context, left_ids=left_ids, right_ids=right_ids), ids


def _key_parts(node: Join, keep_last: int) -> list[Expr]:
    keys: tuple[tuple[ColumnRef, ColumnRef], ...] = node.keys[:len(node.keys) - keep_last]
    return [Call(BOOL, "eq", pair) for pair in keys] + conjuncts(node.condition)


def _unit_ids(node: Join) -> set[int]:
    """What a dependent relation adds to the columns: its own (left), its mark, nothing (semi, anti)."""
    if node.kind == "left":
        return output_ids(node.right)
    return {node.mark.id} if node.mark is not None else set()
