"""The loop over a batch: eight samples at a time, through as many traces as it takes. Written once for all processors.

`drive(loop)` has it made for a processor, or for LLVM, from few instructions: on whole numbers in memory, the slots, of
which it is given the address when it runs, and on vectors of eight floats. A program's code for eight samples is a
kernel, called by address. A kernel reads eight samples of every mapped input and the shared inputs from `x`, and writes
eight samples of every output to `y`. It answers with one bit a sample: whether its guards hold.

Sums are taken in the order of `losses/summation.py`. When reducing, the loop goes from one dyadic range of samples to
the next, the largest that starts there, of at most four turns of eight lanes, each of which has as many samples in a
row. A turn is one sample a lane; or two, whose sum a kernel of `paired.py` gives. What comes of turns is added in
pairs, as then are the lanes. Two sums that are of ranges of one size become one, where these are the halves of a range.
"""

from __future__ import annotations

import re
from typing import Any

SLOTS = (
    # What is given. `columns`, `outputs` and `traces` are 8 for each, `wide` the bytes of a row of sums. Of addresses,
    # those in `bases` and `outs` are of the sample of number 0, whether it is there or not; `second` is where the
    # second samples of pairs go, `flag` what tells their kernel to add. In `turns`, `pitch` bytes apart, is what the
    # first two turns gave, the others, and zeros. There is one of `codes` and `memories` a trace. `sums` has
    # rows, behind those of earlier ranges, and `sizes` how many samples these are of. Instead of samples, sums of
    # ranges can be `given`. To `finish` is to add what there is in the end, and to divide it.
    "start", "stop", "columns", "outputs", "traces", "wide", "pitch", "reduce", "paired", "finish", "divisor",
    "bases", "strides", "outs", "x", "second", "flag", "codes", "memories", "pair", "pair_memory",
    "temp", "merged", "turns", "sums", "sizes", "given", "given_sizes",
    # What is left: the first sample of the range in which no kernel answers for some sample, or -1; of that the lanes,
    # the row of the block and the distance of lanes, in samples; whether an output that is stored is nan; how many
    # sums there are. The row is also the one to start with.
    "stopped", "pending", "row", "rows", "nan", "held",
    "i", "n", "last", "valid", "step", "r", "adds", "y", "j", "to", "at", "by", "ok", "take", "t", "s", "p", "q", "end",
    "ending",
)  # fmt: skip
AHEAD = 64
SLOT = {name: k for k, name in enumerate(SLOTS)}
Number = str | int  # a slot, or a constant

DRIVE = """
  i = start; ending = 0
range:
  if given == 0 goto computed
  n = [given_sizes]; given_sizes = given_sizes + 8; q = held * wide; q = q + sums; end = q + wide
taken_over:
  read 0 given 0
  write q 0
  given = given + 64; q = q + 64; if q < end goto taken_over
  goto push
computed:
  t = stop - i; n = 8; if reduce == 0 goto sized
  n = 32 << paired
size:
  p = n - 1; p = p & i; if p != 0 goto smaller
  p = t + 1; if n < p goto sized
smaller:
  n = n >> 1; goto size
sized:
  last = n min t; last = last min 8; valid = 1 << last; valid = valid - 1; last = last - 1
  rows = n >> 3; step = rows min 2; step = step >> 1; step = step & paired; step = step + 1
  if 0 < rows goto several
  rows = 1
several:
  r = row; row = 0

block:
  t = step - 1; t = r >> t
  adds = t & 1; adds = adds * 255; [flag] = adds; y = t >> 1; y = y * pitch; y = y + turns
  q = i + r; end = q + step; to = x; if columns == 0 goto gathered
samples:
  if last != 7 goto fewer
  gather
  goto sampled
fewer:
  j = 0
column:
  at = strides + j; by = [at]; at = bases + j; t = [at]; at = q * by; at = at + t; by = by * rows
  copy to at by last
  to = to + 64; j = j + 8; if j < columns goto column
sampled:
  to = second; q = q + 1; if q < end goto samples
gathered:
  if step == 1 goto single
  call pair x y pair_memory
  goto answered

single:
  t = 0; pending = valid; q = merged
trace:
  at = codes + t; p = [at]; at = memories + t; s = [at]
  call p x q s
  take = pending & ok; if q == merged goto taken
  if take == 0 goto taken
  j = 0
merging:
  p = merged + j; s = temp + j
  read 0 p 0
  some 0 s take
  write p 0
  j = j + 64; p = j >> 3; if p < outputs goto merging
taken:
  pending = pending ^ take; q = temp; t = t + 8; if pending == 0 goto complete
  if t < traces goto trace
  row = r; stopped = i; goto leave
complete:
  p = merged; j = 0
output:
  only 0 p valid
  if reduce == 0 goto stored
  only 1 y adds
  add 1 1 0
  write y 1
  y = y + 64; goto written
stored:
  nans 0
  at = outs + j; t = [at]; at = i << 3; at = at + t
  part at 0 valid
written:
  p = p + 64; j = j + 8; if j < outputs goto output
answered:
  r = r + step; if r < rows goto block
  if reduce == 0 goto next

  t = step - 1; t = rows >> t
  p = turns; s = t >> 2; s = 2 - s; s = s * pitch; s = s + turns
  q = held * wide; q = q + sums; end = q + wide
fold:
  FOLD
  write q 0
  p = p + 512; s = s + 512; q = q + 64; if q < end goto fold
push:
  s = held << 3; s = s + sizes; [s] = n; held = held + 1
merge:
  if held < 2 goto next
  s = held << 3; s = s + sizes; s = s - 16; q = [s]; at = s + 8; t = [at]; p = t << 1; if ending != 0 goto join
  if t != q goto next
  q = i + n; t = p - 1; q = q & t; if q != 0 goto next
join:
  [s] = p; held = held - 1; q = held * wide; q = q + sums; p = q - wide; end = q
joins:
  read 0 p 0
  read 1 q 0
  add 0 0 1
  write p 0
  p = p + 64; q = q + 64; if p < end goto joins
  goto merge

next:
  i = i + n; if i < stop goto range
  p = sums; end = p + wide; stopped = 0 - 1; if finish == 0 goto leave
  if ending != 0 goto final
  ending = 1; goto merge
final:
  read 0 p 0
  nans 0
  divide 0 divisor
  write p 0
  p = p + 64; if p < end goto final
leave:
"""
_FOLD = [
    *(line for k in range(8) for line in (f"read {k} p {64 * k}", f"read 8 s {64 * k}", f"add {k} {k} 8")),
    *(f"neighbours {k} {2 * k} {2 * k + 1} {level}" for level in range(3) for k in range(4 >> level)),
]


# Statements with signs, and the methods of a loop that make them. Other words are names of methods: `call` has a kernel
# answer in the slot `ok`; `copy` writes eight floats that are so many bytes apart, in place of those behind the last
# that one; `gather` does so for all columns, in whole blocks, and has the cache fetch what is AHEAD samples on, as the
# lanes' are too far apart for processors to see a pattern; `read` and `write` take a vector; `some` reads the lanes in
# a mask, `only` zeros besides, `part` writes them; `divide` is by a float in a slot; `neighbours` adds lanes side by
# side, of two vectors, so that after levels 0, 1 and 2 all are added, in order; and `nans` sets bits of the slot `nan`.
_FORMS: tuple[tuple[str, str], ...] = (
    (r"(\w+):", "label"),
    (r"goto (\w+)", "goto"),
    (r"if (\w+) (<|==|!=) (\w+) goto (\w+)", "branch"),
    (r"(\w+) = \[(\w+)\]", "load"),
    (r"\[(\w+)\] = (\w+)", "store"),
    (r"(\w+) = (\w+) (\S+) (\w+)", "set"),
    (r"(\w+) = (\w+)", "set"),
)


def drive(loop: Any) -> None:
    """Have the loop made."""
    for statement in re.split(r"[;\n]\s*", DRIVE.replace("FOLD", "\n".join(_FOLD))):
        text = statement.strip()
        found = [(name, match.groups()) for form, name in _FORMS if (match := re.fullmatch(form, text))]
        name, words = found[0] if found else (text.partition(" ")[0], tuple(text.split()[1:]))
        given: list[Any] = [int(word) if word.isdigit() else word for word in words]
        if text:
            getattr(loop, name)(*given, *(("+", 0) if name == "set" and len(given) == 2 else ()))
