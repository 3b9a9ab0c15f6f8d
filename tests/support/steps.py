"""How many steps a regular expression takes: a matcher that backtracks as Python's does, and counts.

Python's own matcher tells no steps, and times depend on the machine. This one
walks the parsed pattern in the same order; each comparison of a character and
each try of an alternative is a step.
"""

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from re import _constants as codes  # type: ignore[attr-defined]  # the only place that names what a pattern is parsed to
from re import _parser as parser  # type: ignore[attr-defined]  # the parser that re.compile itself uses
from typing import Any

ENOUGH = 1_000_000
"""Steps after which a pattern is given up: no linear one takes them for the short texts of a test."""

Then = Callable[[int], bool]
_CATEGORIES = {
    codes.CATEGORY_DIGIT: r"\d", codes.CATEGORY_NOT_DIGIT: r"\D", codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S", codes.CATEGORY_WORD: r"\w", codes.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip
_LOOPS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
_ONE = (codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN)


def parsed(pattern: str, flags: int) -> Any:
    """Parse a pattern as `re.compile` does."""
    return parser.parse(pattern, flags & ~re.DEBUG)


def steps(pattern: str, flags: int, text: str, *, everywhere: bool) -> int:
    """Count the steps of finding all matches in *text*, or of one try at its beginning."""
    matcher = _Matcher(text, flags)
    nodes = tuple(parsed(pattern, flags))
    position = 0
    while position <= len(text):
        end = matcher.end_of_match(nodes, position)
        if not everywhere:
            break
        position = position + 1 if end is None or end == position else end
    return matcher.steps


def endless(nodes: Any) -> bool:
    """Whether a pattern has a repetition without a bound; any other looks at a bounded piece from each place."""
    return any(
        (operator in _LOOPS and argument[1] is codes.MAXREPEAT) or any(map(endless, _inner(argument)))
        for operator, argument in nodes
    )


def examples(nodes: Any) -> Iterator[list[str]]:
    """Give texts that the nodes match, in the pieces that the nodes match one by one; letters in a row are one."""
    pieces: list[list[list[str]]] = []
    for operator, group in groupby(nodes, lambda node: node[0]):
        if operator is codes.LITERAL:
            pieces.append([["".join(chr(code) for _, code in group)]])
        else:
            pieces += [_example(operator, argument) for _, argument in group]
    longest = max((len(each) for each in pieces), default=1)
    for choice in range(longest):
        yield [part for each in pieces for part in each[min(choice, len(each) - 1)]]


def _inner(argument: Any) -> Iterator[Any]:
    """Find the patterns within an argument of a node."""
    if isinstance(argument, parser.SubPattern):
        yield argument
    elif isinstance(argument, list | tuple):
        for each in argument:
            yield from _inner(each)


def _example(operator: Any, argument: Any) -> list[list[str]]:
    """Give the ways in which one node can be matched, each in pieces."""
    if operator in _ONE:
        letters = [chr(code) for code in range(32, 127)]
        return [[next((letter for letter in letters if _holds(operator, argument, letter)), "\u00e9")]]
    if operator is codes.BRANCH:
        return [way for branch in argument[1] for way in examples(branch)]
    if operator is codes.SUBPATTERN:
        return [*examples(argument[3])]
    if operator is codes.ATOMIC_GROUP:
        return [*examples(argument)]
    if operator in _LOOPS:
        words = ["".join(way) for way in examples(argument[2])]
        return [[word * (argument[0] - 1), word] if argument[0] > 1 else [word] for word in words]
    return [[]]


def _holds(operator: Any, argument: Any, letter: str) -> bool:
    """Whether one character is what a node wants."""
    match operator:
        case codes.LITERAL:
            return ord(letter) == argument
        case codes.NOT_LITERAL:
            return ord(letter) != argument
        case codes.ANY:
            return letter != "\n"
        case _:
            negated = argument[0][0] is codes.NEGATE
            return negated != any(_is_in(kind, what, letter) for kind, what in argument if kind is not codes.NEGATE)


def _is_in(kind: Any, what: Any, letter: str) -> bool:
    if kind is codes.RANGE:
        return bool(what[0] <= ord(letter) <= what[1])
    return bool(re.match(_CATEGORIES[what], letter)) if kind is codes.CATEGORY else ord(letter) == what


class _Matcher:
    """Matches one text, and counts; patterns are sequences of nodes, each continued by what follows it."""

    def __init__(self, text: str, flags: int) -> None:
        self.steps = 0
        self._text = text
        self._any_case = bool(flags & re.IGNORECASE)
        self._everything = bool(flags & re.DOTALL)

    def end_of_match(self, nodes: Any, position: int) -> int | None:
        """Try to match at one place; give where the match ends."""
        ends: list[int] = []

        def keep(end: int) -> bool:
            ends.append(end)
            return True

        return ends[0] if self._match(nodes, position, keep) else None

    def _match(self, nodes: Any, position: int, then: Then) -> bool:
        if not nodes:
            return then(position)
        (operator, argument), rest = nodes[0], nodes[1:]
        return self._node(operator, argument, position, lambda end: self._match(rest, end, then))

    def _node(self, operator: Any, argument: Any, position: int, then: Then) -> bool:
        if operator in _ONE:
            return self._is_one(operator, argument, position) and then(position + 1)
        if operator in _LOOPS:
            return self._loop(operator, argument, position, then)
        self.steps += 1
        match operator:
            case codes.BRANCH:
                return any(self._match(tuple(branch), position, then) for branch in argument[1])
            case codes.SUBPATTERN:
                return self._match(tuple(argument[3]), position, then)
            case codes.ATOMIC_GROUP:
                end = self.end_of_match(tuple(argument), position)
                return end is not None and then(end)
            case codes.ASSERT | codes.ASSERT_NOT:
                return self._looks(*argument, position) == (operator is codes.ASSERT) and then(position)
            case codes.AT:
                return self._is_at(argument, position) and then(position)
        raise NotImplementedError(operator)

    def _is_one(self, operator: Any, argument: Any, position: int) -> bool:
        self.steps += 1
        if position >= len(self._text):
            return False
        letter = self._text[position]
        if operator is codes.ANY and self._everything:
            return True
        cases = {letter, letter.lower(), letter.upper()} if self._any_case else {letter}
        return any(len(each) == 1 and _holds(operator, argument, each) for each in cases)

    def _looks(self, direction: int, nodes: Any, position: int) -> bool:
        start = position if direction > 0 else position - nodes.getwidth()[0]
        return start >= 0 and self.end_of_match(tuple(nodes), start) is not None

    def _is_at(self, place: Any, position: int) -> bool:
        if place in (codes.AT_BEGINNING, codes.AT_BEGINNING_STRING):
            return position == 0
        if place is codes.AT_BOUNDARY:
            around = [self._text[at : at + 1] for at in (position - 1, position) if at >= 0]
            return len([each for each in around if re.match(r"\w", each)]) == 1
        end = len(self._text)
        return position == end or (place is codes.AT_END and self._text[position:] == "\n")

    def _loop(self, operator: Any, argument: Any, position: int, then: Then) -> bool:
        least, most, inner = argument
        nodes = tuple(inner)
        if operator is codes.POSSESSIVE_REPEAT:
            reached = self.end_of_match(((codes.MAX_REPEAT, argument),), position)
            return reached is not None and then(reached)
        if len(nodes) != 1 or nodes[0][0] not in _ONE:
            return self._rounds((operator, least, most), nodes, position, then)
        ends = self._run(nodes[0], position, least, most, lazy=operator is codes.MIN_REPEAT)
        for end in ends:
            self.steps += 1
            if then(end):
                return True
        return False

    def _run(self, node: Any, position: int, least: int, most: Any, *, lazy: bool) -> Iterator[int]:
        """Give where a repetition of single characters may end, in the order in which Python tries."""
        end, longest = position, len(self._text) if most is codes.MAXREPEAT else position + most
        if lazy:
            yield from (position,) if least == 0 else ()
        while end < longest and self._is_one(*node, end):
            end += 1
            if lazy and end - position >= least:
                yield end
        if not lazy:
            yield from range(end, position + least - 1, -1)

    def _rounds(self, loop: Any, nodes: Any, position: int, then: Then, done: int = 0) -> bool:
        """Match a repetition of groups: each round may end in several places, and each is followed by more rounds."""
        operator, least, most = loop
        self.steps += 1
        if self.steps > ENOUGH:
            raise RecursionError("more steps than anything linear takes")

        def again(end: int) -> bool:
            return end != position and self._rounds(loop, nodes, end, then, done + 1)

        def stop() -> bool:
            return done >= least and then(position)

        def go_on() -> bool:
            return (most is codes.MAXREPEAT or done < most) and self._match(nodes, position, again)

        return (stop() or go_on()) if operator is codes.MIN_REPEAT else (go_on() or stop())
