"""The loop over a batch as LLVM assembly: eight samples at a time, through as many traces as it takes.

It is one text for all programs: a program's code for eight samples is a kernel, called by address. A kernel reads
eight samples of every mapped input and the shared inputs from `x`, and writes eight samples of every output to `y`. It
answers with one bit a sample: whether its guards hold.

Sums are taken in the order of `losses/summation.py`. When reducing, the loop goes from one dyadic range of samples to
the next, the largest that starts there, of 32 at most. Each lane has an eighth of it: four samples in four rows, which
are added in pairs, as then are the lanes. What comes of it is a number for each output; two that are of ranges of one
size become one, where these are the halves of a range.
"""

ROWS = 4  # more would cost cache, fewer time to add lanes
AHEAD = (
    64  # samples by which arrays are read ahead: the lanes' addresses are too far apart for processors to see a pattern
)


def _ahead() -> str:
    """Have the cache read the eight samples that are `reach` bytes further on."""
    lines = []
    for k in range(8):
        lines += [
            f"%ha{k} = mul i64 %step, {k}",
            f"%hb{k} = add i64 %further, %ha{k}",
            f"%hc{k} = inttoptr i64 %hb{k} to ptr",
            f"call void @llvm.prefetch.p0(ptr %hc{k}, i32 0, i32 3, i32 1)",
        ]
    return "".join(f"  {line}\n" for line in lines)


def _eight() -> str:
    """Read eight samples of an input, `step` bytes apart, as one vector, which is then read without waiting."""
    lines, vector = [], "poison"
    for k in range(8):
        lines += [
            f"%a{k} = mul i64 %step, {k}",
            f"%b{k} = add i64 %address0, %a{k}",
            f"%c{k} = inttoptr i64 %b{k} to ptr",
            f"%d{k} = load double, ptr %c{k}, align 1",
            f"%e{k} = insertelement <8 x double> {vector}, double %d{k}, i32 {k}",
        ]
        vector = f"%e{k}"
    lines += ["%eto = getelementptr double, ptr %x, i64 %row", f"store <8 x double> {vector}, ptr %eto, align 64"]
    return "".join(f"  {line}\n" for line in lines)


def _folded() -> str:
    """Add the rows of eight outputs in pairs, then their lanes, of two outputs at a time."""
    lines: list[str] = []

    def added(a: str, b: str, name: str) -> str:
        lines.append(f"{name} = fadd <8 x double> {a}, {b}")
        return name

    def lanes(a: str, b: str, name: str) -> str:
        for part, first in (("even", 0), ("odd", 1)):
            mask = ", ".join(f"i32 {k}" for k in range(first, 16, 2))
            lines.append(f"{name}{part} = shufflevector <8 x double> {a}, <8 x double> {b}, <8 x i32> <{mask}>")
        return added(f"{name}even", f"{name}odd", name)

    lines += [f"%at{row} = mul i64 %pitch, {row}" for row in range(ROWS)]
    lines += [f"%line{row} = getelementptr <8 x double>, ptr %g0, i64 %at{row}" for row in range(ROWS)]
    sums = []
    for k in range(8):
        level = []
        for row in range(ROWS):
            lines.append(f"%to{k}{row} = getelementptr <8 x double>, ptr %line{row}, i64 {k}")
            lines.append(f"%of{k}{row} = load <8 x double>, ptr %to{k}{row}, align 64")
            level.append(f"%of{k}{row}")
        while len(level) > 1:
            level = [added(a, b, f"{a}{b[1:]}") for a, b in zip(level[::2], level[1::2], strict=True)]
        sums += level
    while len(sums) > 1:
        sums = [lanes(a, b, f"%l{len(sums)}{k}") for k, (a, b) in enumerate(zip(sums[::2], sums[1::2], strict=True))]
    lines.append(f"%folded = fadd <8 x double> {sums[0]}, zeroinitializer")
    return "".join(f"  {line}\n" for line in lines)


# x: mapped inputs, 64 bytes each, and the shared inputs. info: 0 mapped inputs, 1 outputs, 2 kernels, 3 guarded, 4
# reduce. bases, outs: addresses of the sample of number 0, whether it is there or not. all: four rows of vectors for
# all outputs, when reducing. sums: numbers for all outputs, in whole vectors, behind those of earlier ranges; sizes:
# how many samples these are of. flags: 0 becomes 1 where an output that is stored is nan; where a block is not
# answered, 1 has the lanes in which no kernel answers, 2 the row of the block, and 3 the distance of lanes, in samples;
# 2 is also the row to start with; 4: how many sums there are.
# Returns the first sample of the range in which no kernel answers for some sample, or -1.
DRIVER = """
define i64 @drive(i64 %start, i64 %stop, ptr %info, ptr %bases, ptr %strides, ptr %x, ptr %kernels, ptr %all,
                  ptr %temp, ptr %merged, ptr %outs, ptr %memories, ptr %flags, ptr %sums, ptr %sizes)
                  "prefer-vector-width"="512" { entry:
  %mapped = load i64, ptr %info
  %p1 = getelementptr i64, ptr %info, i64 1
  %outputs = load i64, ptr %p1
  %p2 = getelementptr i64, ptr %info, i64 2
  %count = load i64, ptr %p2
  %p3 = getelementptr i64, ptr %info, i64 3
  %guarded64 = load i64, ptr %p3
  %guarded = icmp ne i64 %guarded64, 0
  %p4 = getelementptr i64, ptr %info, i64 4
  %reduce64 = load i64, ptr %p4
  %reduce = icmp ne i64 %reduce64, 0
  %kernel0 = load ptr, ptr %kernels
  %memory0 = load ptr, ptr %memories
  %hasmapped = icmp ne i64 %mapped, 0
  %f1 = getelementptr i64, ptr %flags, i64 1
  %f2 = getelementptr i64, ptr %flags, i64 2
  %f3 = getelementptr i64, ptr %flags, i64 3
  %f4 = getelementptr i64, ptr %flags, i64 4
  %row0 = load i64, ptr %f2
  %outputs7 = add i64 %outputs, 7
  %wide = and i64 %outputs7, -8
  %pitch = or i64 %wide, 1
  %any = icmp slt i64 %start, %stop
  br i1 %any, label %range, label %finished

range:
  %i = phi i64 [ %start, %entry ], [ %inext, %nextrange ]
  %firstrow = phi i64 [ %row0, %entry ], [ 0, %nextrange ]
  %left = sub i64 %stop, %i
  br i1 %reduce, label %dyadic, label %sized
dyadic:
  %size = phi i64 [ RANGE, %range ], [ %half, %halve ]
  %below = sub i64 %size, 1
  %off = and i64 %i, %below
  %aligned = icmp eq i64 %off, 0
  %short = icmp ule i64 %size, %left
  %right = and i1 %aligned, %short
  br i1 %right, label %sized, label %halve
halve:
  %half = lshr i64 %size, 1
  br label %dyadic
sized:
  %n = phi i64 [ 8, %range ], [ %size, %dyadic ]
  %rows8 = lshr i64 %n, 3
  %several = icmp ne i64 %rows8, 0
  %rows = select i1 %several, i64 %rows8, i64 1
  %have = call i64 @llvm.umin.i64(i64 %n, i64 %left)
  %lanes = call i64 @llvm.umin.i64(i64 %have, i64 8)
  %lanes32 = trunc i64 %lanes to i32
  %bit = shl i32 1, %lanes32
  %mask32 = sub i32 %bit, 1
  %valid = trunc i32 %mask32 to i8
  %whole = icmp eq i64 %lanes, 8
  %lastlane = sub i64 %lanes, 1
  %notguarded = xor i1 %guarded, true
  %simple0 = and i1 %reduce, %notguarded
  %simple = and i1 %simple0, %whole
  %clearing0 = icmp ne i64 %rows, ROWS
  %fewrows = and i1 %clearing0, %reduce
  %resumed = icmp ne i64 %firstrow, 0
  %unresumed = xor i1 %resumed, true
  %clearing = and i1 %fewrows, %unresumed
  %cells = mul i64 %pitch, ROWS
  br i1 %clearing, label %clear, label %block
clear:
  %e = phi i64 [ 0, %sized ], [ %enext, %clear ]
  %ep = getelementptr <8 x double>, ptr %all, i64 %e
  store <8 x double> zeroinitializer, ptr %ep, align 64
  %enext = add i64 %e, 1
  %emore = icmp ult i64 %enext, %cells
  br i1 %emore, label %clear, label %block

block:
  %r = phi i64 [ %firstrow, %sized ], [ %firstrow, %clear ], [ %rnext, %next ]
  %ir = add i64 %i, %r
  %rowcells = mul i64 %r, %pitch
  %top = getelementptr <8 x double>, ptr %all, i64 %rowcells
  br i1 %hasmapped, label %gather, label %loaded

gather:
  %j = phi i64 [ 0, %block ], [ %jnext, %gathered ]
  %bp = getelementptr i64, ptr %bases, i64 %j
  %base = load i64, ptr %bp
  %sp = getelementptr i64, ptr %strides, i64 %j
  %stride = load i64, ptr %sp
  %row = shl i64 %j, 3
  %offset0 = mul i64 %ir, %stride
  %address0 = add i64 %base, %offset0
  %step = mul i64 %rows, %stride
  br i1 %whole, label %wholly, label %lane
wholly:
  %j7 = and i64 %j, 7
  %line = icmp eq i64 %j7, 0
  br i1 %line, label %ahead, label %eight
ahead:
  %reach = mul i64 %stride, DISTANCE
  %further = add i64 %address0, %reach
AHEAD  br label %eight
eight:
EIGHT  br label %gathered
lane:
  %l = phi i64 [ 0, %gather ], [ %lnext, %lane ]
  %at = call i64 @llvm.umin.i64(i64 %l, i64 %lastlane)
  %offset = mul i64 %at, %step
  %address = add i64 %address0, %offset
  %from = inttoptr i64 %address to ptr
  %value = load double, ptr %from, align 1
  %cell = add i64 %row, %l
  %to = getelementptr double, ptr %x, i64 %cell
  store double %value, ptr %to
  %lnext = add i64 %l, 1
  %lmore = icmp ult i64 %lnext, 8
  br i1 %lmore, label %lane, label %gathered
gathered:
  %jnext = add i64 %j, 1
  %jmore = icmp ult i64 %jnext, %mapped
  br i1 %jmore, label %gather, label %loaded

loaded:
  br i1 %simple, label %direct, label %careful
direct:
  %unused = call i8 %kernel0(ptr %x, ptr %top, ptr %memory0)
  br label %answers

careful:
  br label %kernel
kernel:
  %t = phi i64 [ 0, %careful ], [ %tnext, %merged_done ]
  %pending = phi i8 [ %valid, %careful ], [ %rest, %merged_done ]
  br label %run
run:
  %kp = getelementptr ptr, ptr %kernels, i64 %t
  %code = load ptr, ptr %kp
  %mp0 = getelementptr ptr, ptr %memories, i64 %t
  %m = load ptr, ptr %mp0
  %ok = call i8 %code(ptr %x, ptr %temp, ptr %m)
  %take = and i8 %pending, %ok
  %takes = bitcast i8 %take to <8 x i1>
  %someof = icmp ne i8 %take, 0
  br i1 %someof, label %merge, label %merged_done
merge:
  %o = phi i64 [ 0, %run ], [ %onext, %merge ]
  %mp = getelementptr <8 x double>, ptr %merged, i64 %o
  %tp = getelementptr <8 x double>, ptr %temp, i64 %o
  %old = load <8 x double>, ptr %mp, align 64
  %new = load <8 x double>, ptr %tp, align 64
  %both = select <8 x i1> %takes, <8 x double> %new, <8 x double> %old
  store <8 x double> %both, ptr %mp, align 64
  %onext = add i64 %o, 1
  %omore = icmp ult i64 %onext, %outputs
  br i1 %omore, label %merge, label %merged_done
merged_done:
  %inverse = xor i8 %take, -1
  %rest = and i8 %pending, %inverse
  %tnext = add i64 %t, 1
  %tmore = icmp ult i64 %tnext, %count
  %open = icmp ne i8 %rest, 0
  %again = and i1 %tmore, %open
  br i1 %again, label %kernel, label %answered
answered:
  br i1 %open, label %unanswered, label %write
unanswered:
  %rest64 = zext i8 %rest to i64
  store i64 %rest64, ptr %f1
  store i64 %r, ptr %f2
  store i64 %rows, ptr %f3
  ret i64 %i

write:
  %valids = bitcast i8 %valid to <8 x i1>
  br label %out
out:
  %q = phi i64 [ 0, %write ], [ %qnext, %outnext ]
  %qp = getelementptr <8 x double>, ptr %merged, i64 %q
  %v = load <8 x double>, ptr %qp, align 64
  br i1 %reduce, label %add, label %store
add:
  %ap = getelementptr <8 x double>, ptr %top, i64 %q
  %masked = select <8 x i1> %valids, <8 x double> %v, <8 x double> zeroinitializer
  store <8 x double> %masked, ptr %ap, align 64
  br label %outnext
store:
  %odd0 = fcmp uno <8 x double> %v, zeroinitializer
  %odd = and <8 x i1> %odd0, %valids
  %oddbits = bitcast <8 x i1> %odd to i8
  %nan = icmp ne i8 %oddbits, 0
  %nan64 = zext i1 %nan to i64
  %flag = load i64, ptr %flags
  %flagged = or i64 %flag, %nan64
  store i64 %flagged, ptr %flags
  %outp = getelementptr i64, ptr %outs, i64 %q
  %outbase = load i64, ptr %outp
  %outptr = inttoptr i64 %outbase to ptr
  br label %single
single:
  %s = phi i64 [ 0, %store ], [ %snext, %single ]
  %ms = shl i64 %q, 3
  %cellin = add i64 %ms, %s
  %sfrom = getelementptr double, ptr %merged, i64 %cellin
  %sv = load double, ptr %sfrom
  %is = add i64 %i, %s
  %sto = getelementptr double, ptr %outptr, i64 %is
  store double %sv, ptr %sto
  %snext = add i64 %s, 1
  %slimit0 = icmp ult i64 %snext, 8
  %slimit1 = icmp ult i64 %snext, %left
  %smore = and i1 %slimit0, %slimit1
  br i1 %smore, label %single, label %outnext
outnext:
  %qnext = add i64 %q, 1
  %qmore = icmp ult i64 %qnext, %outputs
  br i1 %qmore, label %out, label %answers

answers:
  %rnext = add i64 %r, 1
  %lastrow = icmp uge i64 %rnext, %rows
  br i1 %lastrow, label %done, label %next
next:
  br label %block

done:
  br i1 %reduce, label %fold, label %nextrange
fold:
  %held = load i64, ptr %f4
  %heldcells = mul i64 %held, %wide
  %number = getelementptr double, ptr %sums, i64 %heldcells
  %minus1 = sub i64 0, %wide
  br label %folds
folds:
  %g = phi i64 [ 0, %fold ], [ %gnext, %folds ]
  %g0 = getelementptr <8 x double>, ptr %all, i64 %g
FOLD  %gto = getelementptr double, ptr %number, i64 %g
  store <8 x double> %folded, ptr %gto, align 8
  %gnext = add i64 %g, 8
  %gmore = icmp ult i64 %gnext, %wide
  br i1 %gmore, label %folds, label %push
push:
  %k = phi i64 [ %held, %folds ], [ %k1, %pushed ]
  %sizeof = phi i64 [ %n, %folds ], [ %size2, %pushed ]
  %newer = phi ptr [ %number, %folds ], [ %older, %pushed ]
  %k1 = sub i64 %k, 1
  %older = getelementptr double, ptr %newer, i64 %minus1
  %end = add i64 %i, %n
  %size2 = shl i64 %sizeof, 1
  %below2 = sub i64 %size2, 1
  %off2 = and i64 %end, %below2
  %aligned2 = icmp eq i64 %off2, 0
  %holds = icmp ne i64 %k, 0
  %candidate = and i1 %aligned2, %holds
  br i1 %candidate, label %compare, label %kept
compare:
  %zk = getelementptr i64, ptr %sizes, i64 %k1
  %before = load i64, ptr %zk
  %equal = icmp eq i64 %before, %sizeof
  br i1 %equal, label %join, label %kept
join:
  %w = phi i64 [ 0, %compare ], [ %wnext, %join ]
  %op = getelementptr double, ptr %older, i64 %w
  %np = getelementptr double, ptr %newer, i64 %w
  %ov = load <8 x double>, ptr %op, align 8
  %nv = load <8 x double>, ptr %np, align 8
  %onv = fadd <8 x double> %ov, %nv
  store <8 x double> %onv, ptr %op, align 8
  %wnext = add i64 %w, 8
  %wmore = icmp ult i64 %wnext, %wide
  br i1 %wmore, label %join, label %pushed
pushed:
  br label %push
kept:
  %zs = getelementptr i64, ptr %sizes, i64 %k
  store i64 %sizeof, ptr %zs
  %kplus = add i64 %k, 1
  store i64 %kplus, ptr %f4
  br label %nextrange

nextrange:
  %inext = add i64 %i, %n
  %imore = icmp slt i64 %inext, %stop
  br i1 %imore, label %range, label %finished
finished:
  store i64 0, ptr %f2
  ret i64 -1
}

declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
declare i64 @llvm.umin.i64(i64, i64)
"""
for _part, _text in {
    "EIGHT": _eight(), "AHEAD": _ahead(), "FOLD": _folded(), "DISTANCE": AHEAD, "RANGE": 8 * ROWS, "ROWS": ROWS
}.items():  # fmt: skip
    DRIVER = DRIVER.replace(_part, str(_text))
