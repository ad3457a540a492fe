"""Bytes of x86-64 code as instructions: the subset that `assembler.py` makes, read from the processor's manual anew.

It shares no table with the assembler, so that an instruction which is encoded as something else is seen as what the
processor would run. Opcodes and fields are from Intel's 64 and IA-32 Architectures Software Developer's Manual, vol. 2:
sections 2.3 (VEX), 2.7 (EVEX, with compressed displacements) and the pages of the instructions.
"""

from __future__ import annotations

from typing import NamedTuple

RBX, RSP, RBP, R14 = 3, 4, 5, 14
FLOAT, PAIR, VECTOR, BYTE, SPREAD = 8, 16, 64, 1, 0  # bytes of an operand in memory; SPREAD: 8, for every lane


# Name, r, v, rm, base, size, mask, zero, what a displacement of one byte counts (0: it has four), and whether a byte
# follows.
Head = tuple[str, int, int, int, int, int, int, bool, int, bool]


class UnknownInstruction(ValueError):  # noqa: N818  # it becomes an AllocationError
    """Bytes that are none of the instructions which the assembler is to make."""


class Instruction(NamedTuple):
    """One instruction. Of its operands those that it has are meant; `base` is -1 where `rm` is a register."""

    name: str
    end: int  # where the next one begins
    r: int = 0
    v: int = 0
    rm: int = 0
    base: int = -1
    displacement: int = 0
    size: int = 0
    immediate: int = 0
    mask: int = 0
    zero: bool = False

    def __str__(self) -> str:
        """For messages."""
        last = f"register {self.rm}" if self.base < 0 else cell(self.base, self.displacement)
        return f"{self.name} (registers {self.r}, {self.v}; {last}; {self.immediate})"


def cell(base: int, displacement: int) -> str:
    name = {RBX: "rbx", RSP: "rsp", RBP: "rbp", R14: "r14"}.get(base, f"register {base}")
    return f"[{name} {'-' if displacement < 0 else '+'} {abs(displacement)}]"


# Under VEX, by map, prefix (1: 66, 3: F2), W, L and opcode: name, bytes of an operand in memory (0: it must be a
# register), whether a register will do, whether a byte follows. A scalar load or store between registers would merge.
_VEX: dict[tuple[int, int, int, int, int], tuple[str, int, bool, bool]] = {
    **{(1, 3, 0, 0, opcode): (name, FLOAT, True, False) for opcode, name in (
        (0x51, "vsqrtsd"), (0x58, "vaddsd"), (0x59, "vmulsd"), (0x5C, "vsubsd"), (0x5D, "vminsd"), (0x5E, "vdivsd"),
        (0x5F, "vmaxsd"),
    )},
    **{(2, 1, 1, 0, opcode): (f"{name}sd", FLOAT, True, False) for opcode, name in (
        (0xA9, "vfmadd213"), (0xAB, "vfmsub213"), (0xAD, "vfnmadd213"), (0xB9, "vfmadd231"), (0xBB, "vfmsub231"),
        (0xBD, "vfnmadd231"),
    )},
    (1, 3, 0, 0, 0x10): ("vmovsd load", FLOAT, False, False),
    (1, 3, 0, 0, 0x11): ("vmovsd store", FLOAT, False, False),
    (1, 3, 0, 0, 0xC2): ("vcmpsd", FLOAT, True, True),
    (1, 1, 0, 0, 0x28): ("vmovapd", 0, True, False),
    (1, 1, 0, 0, 0x2E): ("vucomisd", FLOAT, True, False),
    (1, 1, 0, 0, 0x50): ("vmovmskpd", 0, True, False),
    (1, 1, 0, 0, 0x54): ("vandpd", PAIR, True, False),
    (1, 1, 0, 0, 0x55): ("vandnpd", PAIR, True, False),
    (1, 1, 0, 0, 0x56): ("vorpd", PAIR, True, False),
    (1, 1, 0, 0, 0x57): ("vxorpd", PAIR, True, False),
    (1, 1, 0, 0, 0x73): ("shift", 0, True, True),
    (3, 1, 0, 0, 0x0B): ("vroundsd", FLOAT, True, True),
    (3, 1, 0, 0, 0x4B): ("vblendvpd", PAIR, True, True),
    (1, 1, 0, 1, 0x41): ("kandb", 0, True, False),
    (1, 1, 0, 1, 0x45): ("korb", 0, True, False),
    (1, 1, 0, 0, 0x44): ("knotb", 0, True, False),
    (1, 1, 0, 0, 0x90): ("kmovb load", BYTE, False, False),
    (1, 1, 0, 0, 0x91): ("kmovb store", BYTE, False, False),
    (1, 1, 0, 0, 0x93): ("kmovb read", 0, True, False),
}  # fmt: skip
# Under EVEX, all with W = 1 and 512 bits: as above, without what is the same for all.
_EVEX: dict[tuple[int, int], tuple[str, bool]] = {
    **{(1, opcode): (name, False) for opcode, name in (
        (0x28, "vmovapd zmm"), (0x29, "vmovapd store"), (0x51, "vsqrtpd"), (0x54, "vandpd zmm"),
        (0x55, "vandnpd zmm"), (0x56, "vorpd zmm"), (0x57, "vxorpd zmm"), (0x58, "vaddpd"), (0x59, "vmulpd"),
        (0x5C, "vsubpd"), (0x5D, "vminpd"), (0x5E, "vdivpd"), (0x5F, "vmaxpd"),
    )},
    **{(2, opcode): (f"{name}pd", False) for opcode, name in (
        (0xA8, "vfmadd213"), (0xAA, "vfmsub213"), (0xAC, "vfnmadd213"), (0xB8, "vfmadd231"), (0xBA, "vfmsub231"),
        (0xBC, "vfnmadd231"),
    )},
    (1, 0x73): ("shift zmm", True), (1, 0xC2): ("vcmppd", True), (2, 0x19): ("vbroadcastsd", False),
    (2, 0x2C): ("vscalefpd", False), (2, 0x65): ("vblendmpd", False), (3, 0x09): ("vrndscalepd", True),
}  # fmt: skip
_ONE = frozenset((  # whose field v must be empty
    "vmovsd load", "vmovsd store", "vmovapd", "vmovapd zmm", "vmovapd store", "vucomisd", "vmovmskpd", "vsqrtpd",
    "vbroadcastsd", "vrndscalepd", "knotb", "kmovb load", "kmovb store", "kmovb read",
))  # fmt: skip
# These take no float in memory for every lane, or do so by themselves.
_UNSPREAD = frozenset(("vmovapd zmm", "vmovapd store", "shift zmm", "vbroadcastsd"))
# Without either: bytes, and what follows: a byte (b), four bytes (d), or a displacement from rbp (p), and four (pd).
_PLAIN: dict[bytes, tuple[str, str]] = {
    bytes.fromhex(code): (name, tail)
    for code, name, tail in (
        ("4883ec", "sub rsp", "b"), ("4883c4", "add rsp", "b"), ("4881ec", "sub rsp", "d"), ("4881c4", "add rsp", "d"),
        ("41bf", "mov r15d", "d"), ("4181f7", "xor r15d", "d"), ("4585ff", "test r15d, r15d", ""),
        ("41f6c7", "test r15b", "b"), ("a8", "test al", "b"), ("35", "xor eax", "d"), ("b8", "mov eax", "d"),
        ("2185", "and [], eax", "p"), ("8b85", "mov eax, []", "p"), ("c785", "mov dword []", "pd"),
        ("0f82", "jb", "d"), ("0f83", "jae", "d"), ("0f84", "je", "d"), ("0f85", "jne", "d"), ("0f86", "jbe", "d"),
        ("0f87", "ja", "d"), ("0f8a", "jp", "d"), ("0f8b", "jnp", "d"), ("7a", "jp", "b"), ("e9", "jmp", "d"),
        ("e8", "call", "d"), ("ff95", "call []", "p"), ("c3", "ret", ""), ("c5f877", "vzeroupper", ""),
    )
}  # fmt: skip
_LENGTHS = (1, 2, 3)


def decode(code: bytes, at: int, heads: dict[bytes, Head]) -> Instruction:
    """The instruction that begins there. `heads` keeps what was found out about bytes before displacements."""
    first = code[at]
    if first == 0x62:
        head = code[at : at + 6]
    elif first == 0xC4:
        head = code[at : at + 5]
    elif first == 0xC5 and code[at + 2] != 0x77:
        head = code[at : at + 4]
    else:
        return _plain(code, at)
    known = heads.get(head)
    if known is None:
        known = heads[head] = _evex(head) if first == 0x62 else _vex(head)
    name, r, v, rm, base, size, mask, zero, unit, follows = known
    at += len(head)
    displacement = immediate = 0
    if base >= 0:
        if base & 7 == RSP:  # a byte more, which may name an index
            if code[at] != 0x24:
                raise UnknownInstruction("an address with an index")
            at += 1
        if unit:
            displacement = ((code[at] ^ 128) - 128) * unit
            at += 1
        else:
            displacement = int.from_bytes(code[at : at + 4], "little", signed=True)
            at += 4
    if follows:
        immediate = code[at]
        at += 1
    return Instruction(name, at, r, v, rm, base, displacement, size, immediate, mask, zero)


def _address(modrm: int, high: int, unit: int) -> tuple[int, int]:
    """The base of an address, and what its displacement counts."""
    if not modrm >> 6:
        raise UnknownInstruction("an address without a displacement")
    return modrm & 7 | high << 3, 0 if modrm >> 7 else unit


def _vex(head: bytes) -> Head:
    """What is known of an instruction under VEX (section 2.3.5) from its bytes up to ModRM."""
    if head[0] == 0xC5:
        which, high_r, high_b, w, second = 1, not head[1] >> 7, 0, 0, head[1]
    else:
        which, high_r, high_b = head[1] & 31, not head[1] >> 7, int(not head[1] >> 5 & 1)
        w, second = head[2] >> 7, head[2]
        if not head[1] >> 6 & 1:
            raise UnknownInstruction("an index under VEX")
    opcode, modrm = head[-2], head[-1]
    found = _VEX.get((which, second & 3, w, second >> 2 & 1, opcode))
    if found is None:
        raise UnknownInstruction("an opcode under VEX")
    name, size, registers, follows = found
    r, v = modrm >> 3 & 7 | high_r << 3, ~second >> 3 & 15
    if v and name in _ONE:
        raise UnknownInstruction(f"{name} with a second source")
    if name[0] == "k" and (v > 7 or high_b or (high_r and name != "kmovb read")):
        raise UnknownInstruction(f"{name} of more than eight masks")
    if modrm >> 6 == 3:
        if not registers:
            raise UnknownInstruction(f"{name} between registers")
        return name, r, v, modrm & 7 | high_b << 3, -1, 0, 0, False, 0, follows
    if not size:
        raise UnknownInstruction(f"{name} in memory")
    base, unit = _address(modrm, high_b, 1)
    return name, r, v, 0, base, size, 0, False, unit, follows


def _evex(head: bytes) -> Head:
    """The same under EVEX (section 2.7.1). A displacement of one byte counts operands (section 2.7.5)."""
    _, p0, p1, p2, opcode, modrm = head
    found = _EVEX.get((p0 & 7, opcode))
    if found is None or p0 & 8 or not p1 >> 7 or p1 & 7 != 5 or p2 >> 5 & 3 != 2:
        raise UnknownInstruction("an opcode under EVEX, or not on 512 bits")
    name, follows = found
    r = modrm >> 3 & 7 | (~p0 >> 7 & 1) << 3 | (~p0 >> 4 & 1) << 4
    v = ~p1 >> 3 & 15 | (~p2 >> 3 & 1) << 4
    if v and name in _ONE:
        raise UnknownInstruction(f"{name} with a second source")
    if r > 7 and name == "vcmppd":
        raise UnknownInstruction(f"{name} to more than eight masks")
    mask, zero, spread = p2 & 7, bool(p2 >> 7), p2 >> 4 & 1
    if zero and not mask:
        raise UnknownInstruction("zeros to the lanes of no mask")
    if modrm >> 6 == 3:
        if spread or name == "vmovapd store":
            raise UnknownInstruction(f"{name} between registers, or with a rounding of its own")
        rm = modrm & 7 | (~p0 >> 5 & 1) << 3 | (~p0 >> 6 & 1) << 4
        return name, r, v, rm, -1, 0, mask, zero, 0, follows
    if not p0 >> 6 & 1 or (spread and name in _UNSPREAD):
        raise UnknownInstruction(f"{name} with an index, or of a float that it cannot spread")
    size = SPREAD if spread or name == "vbroadcastsd" else VECTOR
    base, unit = _address(modrm, ~p0 >> 5 & 1, size or 8)
    return name, r, v, 0, base, size, mask, zero, unit, follows


def _plain(code: bytes, at: int) -> Instruction:
    """An instruction on general registers, a jump or a call."""
    for length in _LENGTHS:
        found = _PLAIN.get(code[at : at + length])
        if found is not None:
            break
    else:
        raise UnknownInstruction(f"bytes {code[at : at + 4].hex()}")
    name, tail = found
    at += length
    displacement = immediate = 0
    if "p" in tail:
        displacement = int.from_bytes(code[at : at + 4], "little", signed=True)
        at += 4
    if "d" in tail:
        immediate = int.from_bytes(code[at : at + 4], "little", signed=True)
        at += 4
    elif "b" in tail:
        immediate = (code[at] ^ 128) - 128
        at += 1
    return Instruction(name, at, base=RBP if "p" in tail else -1, displacement=displacement, immediate=immediate)
