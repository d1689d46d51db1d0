"""The trees of a ranker as flat arrays, scored for a whole slate at once.

Each tree keeps a word of bits per row, one bit a leaf from left to right. A node that a row goes
right at takes the bits of its left side away; when all nodes are asked, the lowest bit left is the
row's leaf. So no row waits for another's path, and a node is one comparison over all rows, which
the processor does several at a time (QuickScorer, Lucchese et al., SIGIR 2015).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import lightgbm as lgb
import numpy as np

from features.arrays.compiled import compiled

MOST_LEAVES = 64
"""Bits of a word: trees with more leaves are left to LightGBM."""

_ROWS_AT_ONCE = 256
_ENDLESS = 1e300
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_ONE = np.uint64(1)
# Multiplying a single bit by this puts another 6 bits on top for each place (a de Bruijn sequence).
_SEQUENCE = 0x03F7_9D71_B4CB_0A89
_TOP = np.uint64(58)
_PLACE_OF = np.zeros(MOST_LEAVES, np.uint8)
for _place in range(MOST_LEAVES):
    _PLACE_OF[((_SEQUENCE << _place) & int(_ALL)) >> int(_TOP)] = _place
_SEQUENCE_64 = np.uint64(_SEQUENCE)


class Forest(NamedTuple):
    """The trees of a LightGBM model as flat arrays.

    Attributes:
        width: Columns of a matrix to score.
        column: int32 [n_nodes], what a node looks at; nodes stand tree by tree.
        threshold: float32 [n_nodes], a row with more goes right. LightGBM's thresholds are rounded
            down, which changes no comparison with a float32.
        missing_right: bool [n_nodes], whether a row without a value goes right.
        left: uint64 [n_nodes], 0 for the leaves on the node's left side.
        words: int32 [n_nodes, 2], where the codes that go left begin and end in `codes`; both 0 for
            nodes that compare.
        codes: uint32 [n_words], sets of codes, one bit a code.
        nodes: int64 [n_trees + 1], where each tree's nodes begin.
        values: float64 [n_leaves].
        leaves: int64 [n_trees + 1], where each tree's leaves begin.
    """

    width: int
    column: np.ndarray
    threshold: np.ndarray
    missing_right: np.ndarray
    left: np.ndarray
    words: np.ndarray
    codes: np.ndarray
    nodes: np.ndarray
    values: np.ndarray
    leaves: np.ndarray

    @classmethod
    def of(cls, booster: lgb.Booster) -> "Forest | None":
        """Take the trees of a LightGBM model.

        Args:
            booster: The model.

        Returns:
            The trees; None when one of them has more than `MOST_LEAVES` leaves, or treats nought as
            missing.
        """
        trees = [_Tree() for _ in range(booster.num_trees())]
        for tree, told in zip(trees, booster.dump_model()["tree_info"], strict=True):
            tree.add(told["tree_structure"])
        if any(len(tree.values) > MOST_LEAVES or tree.nought_is_missing for tree in trees):
            return None
        nodes = [node for tree in trees for node in tree.nodes]
        ends = np.cumsum([0, *(len(node.codes) for node in nodes)])
        return cls(
            booster.num_feature(),
            np.array([node.column for node in nodes], np.int32),
            np.array([node.threshold for node in nodes], np.float32),
            np.array([node.missing_right for node in nodes], np.bool_),
            np.array([node.left for node in nodes], np.uint64),
            np.column_stack([ends[:-1], ends[1:]]).astype(np.int32),
            np.array([word for node in nodes for word in node.codes], np.uint32),
            np.cumsum([0, *(len(tree.nodes) for tree in trees)]),
            np.array([value for tree in trees for value in tree.values], np.float64),
            np.cumsum([0, *(len(tree.values) for tree in trees)]),
        )

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Add up the leaves that rows fall in.

        Args:
            matrix: float32 [n_rows, n_columns], NaN where a value is missing.

        Returns:
            float64 [n_rows], to the bit what LightGBM's `predict` gives.

        Raises:
            ValueError: The matrix has another number of columns.
        """
        if matrix.shape[1] != self.width:
            message = f"a matrix of {matrix.shape[1]} columns for trees over {self.width}"
            raise ValueError(message)
        scores = np.zeros(len(matrix))
        for low in range(0, len(matrix), _ROWS_AT_ONCE):
            part = slice(low, low + _ROWS_AT_ONCE)
            _add_leaves(self, np.ascontiguousarray(matrix[part].T, np.float32), scores[part])
        return scores


@dataclass
class _Node:
    column: int
    threshold: np.float32
    missing_right: bool
    left: int
    codes: list[int]


class _Tree:
    """One tree: its nodes in pre-order, its leaves from left to right."""

    def __init__(self) -> None:
        self.nodes: list[_Node] = []
        self.values: list[float] = []
        self.nought_is_missing = False

    def add(self, told: Mapping[str, Any]) -> None:
        """Add a part of a tree, as LightGBM tells it."""
        if "leaf_value" in told:
            self.values.append(told["leaf_value"])
            return
        node = _node(told)
        self.nodes.append(node)
        self.nought_is_missing |= told["missing_type"] == "Zero"
        before = len(self.values)
        self.add(told["left_child"])
        on_the_left = ((1 << (len(self.values) - before)) - 1) << before
        node.left = int(_ALL) & ~on_the_left
        self.add(told["right_child"])


def _node(told: Mapping[str, Any]) -> _Node:
    """Read one node; its leaves on the left are not known yet."""
    column, threshold = told["split_feature"], told["threshold"]
    if told["decision_type"] == "==":
        # A missing code is in no set of codes, so it goes right.
        return _Node(column, np.float32(0), True, 0, list(_code_words(threshold)))
    is_nan = told["missing_type"] == "NaN"
    # Without a rule of its own a missing value counts as nought.
    missing_right = not told["default_left"] if is_nan else threshold < 0
    return _Node(column, rounded_down(threshold), missing_right, 0, [])


def _code_words(told: str) -> Iterator[int]:
    """Turn codes, as `1||5||7`, into words of 32 bits."""
    codes = [int(code) for code in told.split("||")]
    for word in range(max(codes) // 32 + 1):
        yield sum(1 << (code % 32) for code in codes if code // 32 == word)


def rounded_down(number: float) -> np.float32:
    """Give the greatest float32 that is not above a number; 1e300 is LightGBM's infinity."""
    if abs(number) >= _ENDLESS:
        return np.float32(np.copysign(np.inf, number))
    with np.errstate(over="ignore"):
        near = np.float32(number)
    return np.nextafter(near, np.float32(-np.inf)) if float(near) > number else near


@compiled
def _add_leaves(forest: Forest, columns: np.ndarray, scores: np.ndarray) -> None:
    """Add each tree's leaf to the scores, tree by tree, float64 [n_rows]."""
    count = columns.shape[1]
    bits = np.empty(count, np.uint64)
    for tree in range(len(forest.nodes) - 1):
        bits[:] = _ALL
        for node in range(forest.nodes[tree], forest.nodes[tree + 1]):
            values, limit = columns[forest.column[node]], forest.threshold[node]
            keep = forest.left[node]
            first, end = forest.words[node]
            if end > first:
                for row in range(count):
                    if not _has(forest.codes[first:end], values[row]):
                        bits[row] &= keep
            elif forest.missing_right[node]:
                for row in range(count):
                    bits[row] &= _ALL if values[row] <= limit else keep
            else:
                for row in range(count):
                    bits[row] &= keep if values[row] > limit else _ALL
        for row in range(count):
            lowest = np.uint64(bits[row] & (~bits[row] + _ONE))
            leaf = _PLACE_OF[np.uint64(lowest * _SEQUENCE_64) >> _TOP]
            scores[row] += forest.values[forest.leaves[tree] + leaf]


@compiled
def _has(words: np.ndarray, value: np.float32) -> bool:
    """Whether a set of codes has a value's whole part; a missing value is in no set."""
    if not -1 < value < 32 * len(words):
        return False
    code = int(value)
    return (words[code // 32] >> (code % 32)) & 1 == 1
