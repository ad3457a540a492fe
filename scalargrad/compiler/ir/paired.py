"""Two samples at once: a program that adds its own outputs for two points, so that half as many sums go to memory."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from .program import Program

WINDOW = 160  # instructions: more would wait in registers, and go to memory
PACE, LATENCY, DIVISION = 0.6, 4, 14  # cycles: from one instruction to the next, and until its result is there


def paired(program: Program, mapped: Sequence[bool]) -> Program:
    """The sums of a program's outputs at two points, which differ in the inputs that are mapped.

    Behind the program's inputs stand the mapped ones of the second point. Instructions of the two points take turns;
    one that depends on no mapped input is there once. A sum stands where both of its summands are known, and each
    output has one of its own, which nothing else reads.
    """
    inputs, outputs = program.inputs, program.outputs
    made = Program(inputs + sum(mapped), (), program.constants)
    behind = iter(range(inputs, made.inputs))
    first, second = program.numbers(), program.numbers()
    second[:inputs] = [next(behind) if each else k for k, each in enumerate(mapped)]
    places: dict[int, list[int]] = {}
    for place, v in enumerate(outputs):
        places.setdefault(v, []).append(place)
    made.outputs = [0] * len(outputs)
    operations, operands = made.operations, made.operands

    def append(operation: str, given: tuple[int, ...]) -> int:
        operations.append(operation)
        operands.append(given)
        return made.inputs + len(operations) - 1

    def add(v: int) -> None:
        for place in places[v]:
            made.outputs[place] = append("add", (first[v], second[v]))

    for v in [each for each in places if each < inputs]:
        add(v)
    for v in by_need(program):
        operation, given = program.operations[v - inputs], program.operands[v - inputs]
        one, other = (tuple([number[p] for p in given]) for number in (first, second))
        first[v] = append(operation, one)
        second[v] = first[v] if one == other else append(operation, other)
        if v in places:
            add(v)
    spread_out(made)
    return made


def spread_out(program: Program) -> None:
    """Put instructions in an order in which few wait for the one before.

    One that can be computed goes before others that wait, up to `WINDOW` places: as an ideal processor would do it.
    """
    first, operands, count = program.inputs, program.operands, len(program)
    users: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for i, given in enumerate(operands):
        for p in given:
            if p >= first:
                users[p - first].append(i)
                missing[i] += 1
    ready = [0.0] * count  # when its operands are there
    waiting: list[tuple[float, int]] = []  # for operands on their way
    able: list[int] = []
    order: list[int] = []
    oldest, now, reached = 0, 0.0, 0
    issued = bytearray(count)
    while len(order) < count:
        while reached < count and reached < oldest + WINDOW:
            if not missing[reached]:
                heappush(waiting, (ready[reached], reached))
            reached += 1
        while waiting and waiting[0][0] <= now:
            heappush(able, heappop(waiting)[1])
        if not able:
            now = waiting[0][0]
            continue
        i = heappop(able)
        order.append(i)
        issued[i] = 1
        while oldest < count and issued[oldest]:
            oldest += 1
        now += PACE
        known = now + (DIVISION if program.operations[i] == "div" else LATENCY)
        for user in users[i]:
            missing[user] -= 1
            ready[user] = max(ready[user], known)
            if not missing[user] and user < reached:
                heappush(waiting, (ready[user], user))
    number = program.numbers()
    for at, i in enumerate(order, first):
        number[first + i] = at
    program.operations = [program.operations[i] for i in order]
    program.operands = [tuple([number[p] for p in operands[i]]) for i in order]
    program.outputs = [number[k] for k in program.outputs]


def by_need(program: Program) -> list[int]:
    """The results of a program's instructions in the order in which its outputs ask for them, one after the other.

    Of operands, that which takes the longest chain of instructions comes first, so that few wait for others.
    """
    first, operands = program.inputs, program.operands
    depth = [0] * (first + len(program) + len(program.constants))
    for v, given in enumerate(operands, first):
        depth[v] = 1 + max([depth[p] for p in given])
    done = bytearray(first + len(program))
    done[:first] = b"\1" * first
    order: list[int] = []
    for root in program.outputs:
        stack = [root] if root >= 0 else []
        while stack:
            v = stack[-1]
            waits = [] if done[v] else [p for p in operands[v - first] if p >= 0 and not done[p]]
            if waits:
                stack += sorted(waits, key=depth.__getitem__)
                continue
            stack.pop()
            if not done[v]:
                done[v] = 1
                order.append(v)
    return order
