"""The loop over a batch as LLVM assembly: eight samples at a time, through as many traces as it takes.

It is one text for all programs: a program's code for eight samples is a kernel, called by address. A kernel reads eight
samples of every mapped input and the shared inputs from `x`, and writes eight samples of every output to `y`, or, when
reducing, adds them there. It answers with one bit a sample: whether its guards hold.
"""

# x: mapped inputs, 64 bytes each, and the shared inputs. info: 0 mapped inputs, 1 outputs, 2 kernels, 3 guarded, 4
# reduce. Returns the first sample of the block in which no kernel answers for some sample, or -1; flags[0] becomes 1
# where an output that is stored is nan, flags[1] the samples of that block.
DRIVER = """
define i64 @drive(i64 %start, i64 %stop, ptr %info, ptr %bases, ptr %strides, ptr %x, ptr %kernels, ptr %acc,
                  ptr %temp, ptr %merged, ptr %outs, ptr %memories, ptr %flags) { entry:
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
  %last = sub i64 %stop, 1
  %any = icmp slt i64 %start, %stop
  br i1 %any, label %block, label %finished

block:
  %i = phi i64 [ %start, %entry ], [ %inext, %next ]
  %left = sub i64 %stop, %i
  %whole = icmp uge i64 %left, 8
  %few = trunc i64 %left to i32
  %bit = shl i32 1, %few
  %mask32 = sub i32 %bit, 1
  %partmask = trunc i32 %mask32 to i8
  %valid = select i1 %whole, i8 -1, i8 %partmask
  %hasmapped = icmp ne i64 %mapped, 0
  br i1 %hasmapped, label %gather, label %loaded

gather:
  %j = phi i64 [ 0, %block ], [ %jnext, %gathered ]
  %bp = getelementptr i64, ptr %bases, i64 %j
  %base = load i64, ptr %bp
  %sp = getelementptr i64, ptr %strides, i64 %j
  %stride = load i64, ptr %sp
  %row = shl i64 %j, 3
  br label %lane
lane:
  %l = phi i64 [ 0, %gather ], [ %lnext, %lane ]
  %il = add i64 %i, %l
  %inside = icmp slt i64 %il, %last
  %at = select i1 %inside, i64 %il, i64 %last
  %offset = mul i64 %at, %stride
  %address = add i64 %base, %offset
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
  %notguarded = xor i1 %guarded, true
  %simple0 = and i1 %reduce, %notguarded
  %simple = and i1 %simple0, %whole
  br i1 %simple, label %direct, label %careful
direct:
  %unused = call i8 %kernel0(ptr %x, ptr %acc, ptr %memory0)
  br label %next

careful:
  br label %kernel
kernel:
  %t = phi i64 [ 0, %careful ], [ %tnext, %merged_done ]
  %pending = phi i8 [ %valid, %careful ], [ %rest, %merged_done ]
  br i1 %reduce, label %zero, label %run
zero:
  %z = phi i64 [ 0, %kernel ], [ %znext, %zero ]
  %zp = getelementptr <8 x double>, ptr %temp, i64 %z
  store <8 x double> zeroinitializer, ptr %zp, align 64
  %znext = add i64 %z, 1
  %zmore = icmp ult i64 %znext, %outputs
  br i1 %zmore, label %zero, label %run
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
  %f1 = getelementptr i64, ptr %flags, i64 1
  %rest64 = zext i8 %rest to i64
  store i64 %rest64, ptr %f1
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
  %ap = getelementptr <8 x double>, ptr %acc, i64 %q
  %a0 = load <8 x double>, ptr %ap, align 64
  %masked = select <8 x i1> %valids, <8 x double> %v, <8 x double> zeroinitializer
  %a1 = fadd <8 x double> %a0, %masked
  store <8 x double> %a1, ptr %ap, align 64
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
  br i1 %qmore, label %out, label %next

next:
  %inext = add i64 %i, 8
  %imore = icmp slt i64 %inext, %stop
  br i1 %imore, label %block, label %finished
finished:
  ret i64 -1
}

; Add the eight lanes of every output, in pairs.
define void @fold(ptr %acc, ptr %sums, i64 %outputs) {
entry:
  br label %loop
loop:
  %k = phi i64 [ 0, %entry ], [ %next, %loop ]
  %p = getelementptr <8 x double>, ptr %acc, i64 %k
  %v = load <8 x double>, ptr %p, align 64
  %even = shufflevector <8 x double> %v, <8 x double> poison, <4 x i32> <i32 0, i32 2, i32 4, i32 6>
  %odd = shufflevector <8 x double> %v, <8 x double> poison, <4 x i32> <i32 1, i32 3, i32 5, i32 7>
  %four = fadd <4 x double> %even, %odd
  %e2 = shufflevector <4 x double> %four, <4 x double> poison, <2 x i32> <i32 0, i32 2>
  %o2 = shufflevector <4 x double> %four, <4 x double> poison, <2 x i32> <i32 1, i32 3>
  %two = fadd <2 x double> %e2, %o2
  %e1 = extractelement <2 x double> %two, i32 0
  %o1 = extractelement <2 x double> %two, i32 1
  %one = fadd double %e1, %o1
  %to = getelementptr double, ptr %sums, i64 %k
  store double %one, ptr %to
  %next = add i64 %k, 1
  %more = icmp ult i64 %next, %outputs
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""
