# Copyright: (c) 2026, servicemesh.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: may change at any time without notice; only this collection may import it.
"""Who calls whom as a drawing: columns from the callers to what is called last. Pure; templates/platform.html.j2 draws it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

NODE_WIDTH, NODE_HEIGHT = 200, 40  # pixels
SIGN = 8  # radius of a sign
_COLUMN, _GAP, _MARGIN = 262, 14, 12
_LANE = 10  # height of a place where a line passes a column
_SWEEPS = 4  # over the columns, to put callers beside what they call
# Where a sign may be on its line, as shares of the last gap or of a line back, and how far from the others (pixels, middle to middle).
_SIGNS = (0.68, 0.5, 0.32, 0.8, 0.6, 0.4, 0.22, 0.74, 0.56, 0.44, 0.27)
_SIGNS_BACK = (0.5, 0.35, 0.65, 0.2, 0.8, 0.1, 0.9, 0.42, 0.58, 0.27, 0.73, 0.15, 0.85, 0.05, 0.95)
_APART = 2 * SIGN + 2
_LEAST_SHARE = 0.85  # of its width: a drawing is made smaller to fit, but no smaller than so that it can be read
_END = 8  # letters of a long name that are always shown; the style sheet cuts before them


@dataclass(frozen=True, slots=True)
class Link:
    """Calls from one to another. `kind` is a class of the style sheet, `sign` stands on the line, `text` says all of it."""

    source: str
    target: str
    kind: str
    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """One that calls or is called: where its box is, its name and its namespace. `itself`: sign of its calls to itself.

    The name is in two parts, of which the first is cut where both do not fit: how wide letters are, only the browser knows.
    """

    begin: str
    end: str
    namespace: str
    itself: str
    full: str
    kind: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Arc:
    """A line of the drawing: its path, and where its sign is."""

    link: Link
    path: str
    x: str
    y: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A drawing in pixels."""

    nodes: tuple[Node, ...]
    arcs: tuple[Arc, ...]
    width: int
    height: int
    node_width: int = NODE_WIDTH
    node_height: int = NODE_HEIGHT
    sign: int = SIGN

    @property
    def least_width(self) -> int:
        """What it may be made smaller to."""
        return round(_LEAST_SHARE * self.width)


def graph(links: Sequence[Link], kinds: Mapping[str, str]) -> Graph | None:
    """A drawing of calls; None without one. `kinds`: class of a node in the style sheet, by its name.

    Calls to oneself are no lines, but a sign in the box.
    """
    if not links:
        return None
    itself = {link.source: link.sign for link in links if link.source == link.target}
    depth, back = _depths(links)
    links = [link for link in links if link.source != link.target]
    ways = {(link.source, link.target): _way(link, depth, back) for link in links}
    columns = _columns(depth, ways)
    places, height = _places(columns)
    return Graph(
        nodes=tuple(_node(name, places[name], kinds.get(name, ""), itself.get(name, "")) for name in depth),
        arcs=_arcs(
            {link: [places[stop] for stop in ways[link.source, link.target]] for link in links},
            [places[name] for name in depth],
        ),
        width=2 * _MARGIN
        + (len(columns) - 1) * _COLUMN
        + NODE_WIDTH
        + (60 if any(one != other for one, other in back) else 0),
        height=height,
    )


def _node(name: str, place: tuple[int, int], kind: str, itself: str) -> Node:
    namespace, _slash, own = name.rpartition("/")
    cut = len(own) - _END if len(own) > 2 * _END else len(own)
    return Node(own[:cut], own[cut:], namespace, itself, name, kind, place[0], place[1] - NODE_HEIGHT // 2)


_Spot = tuple[int, int]
# Where a line stops: a node, or a lane of a column that it passes (caller, service, column).
_Stop = str | tuple[str, str, int]


def _depths(links: Iterable[Link]) -> tuple[dict[str, int], set[tuple[str, str]]]:
    """(column of each name: behind all of its callers, calls for which that is not so: those that close a circle, or go to oneself)."""
    callees: dict[str, list[str]] = {}
    for link in links:
        callees.setdefault(link.source, [])
        callees.setdefault(link.target, [])
        if link.target not in callees[link.source]:
            callees[link.source].append(link.target)
    order, back = _ordered(callees)
    depth = dict.fromkeys(order, 0)
    for name in order:
        for target in callees[name]:
            if (name, target) not in back:
                depth[target] = max(depth[target], depth[name] + 1)
    return depth, back


def _way(link: Link, depth: Mapping[str, int], back: set[tuple[str, str]]) -> list[_Stop]:
    """Where a line goes: from the caller through the columns between both to the service."""
    if (link.source, link.target) in back:
        return [link.source, link.target]
    between = range(depth[link.source] + 1, depth[link.target])
    return [link.source, *((link.source, link.target, column) for column in between), link.target]


def _columns(depth: Mapping[str, int], ways: Mapping[tuple[str, str], list[_Stop]]) -> list[list[_Stop]]:
    """Nodes and lanes by column, from top to bottom."""
    columns: list[list[_Stop]] = [[] for _number in range(max(depth.values()) + 1)]
    for name in sorted(depth):
        columns[depth[name]].append(name)
    near: dict[_Stop, set[_Stop]] = {name: set() for name in depth}
    for way in ways.values():
        for stop in way[1:-1]:
            if isinstance(stop, tuple):
                columns[stop[2]].append(stop)
            near[stop] = set()
        for one, other in itertools.pairwise(way):
            near[one].add(other)
            near[other].add(one)
    return _untangled(columns, near)


def _ordered(callees: Mapping[str, Sequence[str]]) -> tuple[list[str], set[tuple[str, str]]]:
    """Names with callers before what they call, and the calls for which that is not so (of circles, and to oneself)."""
    called = {target for targets in callees.values() for target in targets}
    done: list[str] = []
    back: set[tuple[str, str]] = set()
    state: dict[str, int] = {}  # 1: on the way, 2: done
    for start in [*sorted(set(callees) - called), *sorted(called)]:
        if start in state:
            continue
        state[start] = 1
        way = [(start, iter(callees[start]))]
        while way:
            name, rest = way[-1]
            target = next(rest, None)
            if target is None:
                state[name] = 2
                done.append(name)
                way.pop()
            elif state.get(target) == 1:
                back.add((name, target))
            elif target not in state:
                state[target] = 1
                way.append((target, iter(callees[target])))
    return done[::-1], back


def _untangled(columns: list[list[_Stop]], near: Mapping[_Stop, set[_Stop]]) -> list[list[_Stop]]:
    """The same columns, each sorted by the mean place of what its members are joined with."""
    place = {stop: row - (len(stops) - 1) / 2 for stops in columns for row, stop in enumerate(stops)}
    for sweep in range(_SWEEPS):
        for stops in columns if sweep % 2 == 0 else reversed(columns):
            mean = {stop: sum(place[other] for other in near[stop]) / (len(near[stop]) or 1) for stop in stops}
            stops.sort(key=lambda stop: (mean[stop], str(stop)))
            place |= {stop: row - (len(stops) - 1) / 2 for row, stop in enumerate(stops)}
    return columns


def _places(columns: Sequence[Sequence[_Stop]]) -> tuple[dict[_Stop, tuple[int, int]], int]:
    """(left link and middle of each node and lane, height of the drawing)."""
    sizes = [[_LANE if isinstance(stop, tuple) else NODE_HEIGHT for stop in stops] for stops in columns]
    heights = [sum(size) + _GAP * (len(size) - 1) for size in sizes]
    places: dict[_Stop, tuple[int, int]] = {}
    for number, stops in enumerate(columns):
        y = _MARGIN + (max(heights) - heights[number]) // 2
        for stop, size in zip(stops, sizes[number], strict=True):
            places[stop] = (_MARGIN + number * _COLUMN, y + size // 2)
            y += size + _GAP
    return places, 2 * _MARGIN + max(heights)


def _arcs(ways: Mapping[Link, Sequence[_Spot]], boxes: Sequence[_Spot]) -> tuple[Arc, ...]:
    """Lines through their stops. A sign goes to the first place of its line that is apart from the others, else the most apart.

    `boxes`: left and middle of the nodes, which would hide a sign.
    """
    arcs: list[Arc] = []
    taken: list[tuple[float, float]] = []
    # Lines back have the fewest places.
    for link, stops in sorted(ways.items(), key=lambda way: way[1][-1][0] > way[1][0][0]):
        path, spots = _line(stops)
        room = [
            -1.0 if _hidden(spot, boxes) else min((math.dist(spot, other) for other in taken), default=math.inf)
            for spot in spots
        ]
        spot = next(
            (one for one, free in zip(spots, room, strict=True) if free >= _APART), spots[room.index(max(room))]
        )
        taken.append(spot)
        arcs.append(Arc(link, path, f"{spot[0]:.1f}", f"{spot[1]:.1f}"))
    return tuple(arcs)


def _hidden(spot: tuple[float, float], boxes: Iterable[_Spot]) -> bool:
    """Whether a box is over a part of a sign."""
    x, y = spot
    return any(
        left - SIGN < x < left + NODE_WIDTH + SIGN and abs(y - middle) < NODE_HEIGHT / 2 + SIGN
        for left, middle in boxes
    )


def _line(stops: Sequence[_Spot]) -> tuple[str, list[tuple[float, float]]]:
    """(path through all stops, points of it where the sign may be: in the last gap, or in the columns that the line passes)."""
    (x1, y1), (x2, y2) = stops[0], stops[-1]
    if x2 <= x1:  # back to a column before, or the same
        begin, end = (x1 + NODE_WIDTH, y1 + 8), (x2 + NODE_WIDTH, y2 - 8)
        far = max(begin[0], end[0]) + 70
        path = f"M{begin[0]},{begin[1]} C{far},{begin[1]} {far},{end[1]} {end[0]},{end[1]}"
        curve = (begin, (far, begin[1]), (far, end[1]), end)
        return path, [_on_curve(curve, share) for share in _SIGNS_BACK]
    path, curve = f"M{x1 + NODE_WIDTH},{y1}", _curve(stops[0], stops[1])
    for left, right in itertools.pairwise(stops):
        curve = _curve(left, right)
        first, *rest = (f"{x},{y}" for x, y in curve)
        path += f" L{first} C{' '.join(rest)}"
    passed = [(float(x + NODE_WIDTH - SIGN), float(y)) for x, y in reversed(stops[1:-1])]
    return path, [*(_on_curve(curve, share) for share in _SIGNS), *passed]


def _curve(left: _Spot, right: _Spot) -> tuple[_Spot, _Spot, _Spot, _Spot]:
    """A cubic Bézier curve from the end of one column to the beginning of the next."""
    begin, end = left[0] + NODE_WIDTH, right[0]
    bend = (end - begin) // 2
    return (begin, left[1]), (begin + bend, left[1]), (end - bend, right[1]), (end, right[1])


def _on_curve(curve: tuple[_Spot, _Spot, _Spot, _Spot], at: float) -> tuple[float, float]:
    """A point of a cubic Bézier curve."""
    parts = ((1 - at) ** 3, 3 * at * (1 - at) ** 2, 3 * at**2 * (1 - at), at**3)
    x, y = (sum(part * spot[axis] for part, spot in zip(parts, curve, strict=True)) for axis in (0, 1))
    return x, y
