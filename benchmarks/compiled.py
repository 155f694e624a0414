"""What the compiled GPU kernels need per pair or entry: registers, memory, instructions; no GPU.

Each kernel is compiled ahead of time for an architecture, disassembled, and the instructions of
its inner loop are counted, on the path that takes every forward branch: what it skips is the
padding at the end, or lies behind a condition that rarely holds.
"""

import argparse
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from harness import Row, say
from report import begin, finish, table

# Of a processor: registers, kilobytes of shared memory, threads.
REGISTERS, SHARED, THREADS = 65_536, {80: 164, 86: 100, 89: 100, 90: 228, 100: 228, 120: 100}, 2048
# Slots in which a processor issues instructions of one thread, per clock, in units of special
# functions and of bfloat16 products with a sum by the tensor cores (Hopper, dense).
PER_SPECIAL, PER_PRODUCT = 128 / 16, 128 / 2048
TYPES = {
    "rows_ptr": "*bf16",
    "columns_ptr": "*bf16",
    "sums_ptr": "*fp64",
    "bounds_ptr": "*i32",
    "crow_ptr": "*i32",
    "col_ptr": "*i32",
    "beta": "fp32",
}


class Case(NamedTuple):
    """A kernel to compile.

    Attributes:
        name: What the row is called.
        kernel: Function under ``triton.jit``.
        constants: Its constants by name; a pointer may be ``None``.
        launch: Options of the launch.
        items: Pairs or entries of one iteration of the inner loop, over all threads.
        marks: Instruction of which there is one per pair, or an empty string: tells how far the
            loop was unrolled.
    """

    name: Row
    kernel: Any
    constants: dict[str, Any]
    launch: dict[str, int]
    items: int
    marks: str = ""


def pairs_cases(args: argparse.Namespace, arch: int) -> Iterator[Case]:
    """Sum over all pairs: each width, precision, set of results, bias, bounds of blocks."""
    from vgae.kernels import _triton

    results = {"value+gradient": (True, True), "gradient": (False, True), "value": (True, False)}
    for dim, precision, wanted, bias, bounds in product(
        args.dims, args.precisions, args.results, args.bias, args.bounds
    ):
        chosen = _triton.configuration(dim, arch // 10)
        launch = {name: chosen.pop(name) for name in ("num_warps", "num_stages")}
        value, gradient = results[wanted]
        constants = {
            "PIECES": _triton._PIECES[precision],
            "D": dim,
            "VALUE": value,
            "GRAD_Z": gradient,
            "GRAD_BIAS": gradient and bias == "yes",
            **({} if bias == "yes" else {"bias_ptr": None}),
            **({} if bounds == "yes" else {"bounds_ptr": None}),
            **chosen,
        }
        name = {"kernel": "pairs", "d": dim, "precision": precision, "results": wanted}
        items = chosen["ROWS"] * chosen["COLUMNS"]
        name |= {"bias": bias, "bounds": bounds}
        case = Case(name, _triton._pairs_kernel, constants, launch, items)
        yield case._replace(marks="MUFU.EX2")


def sparse_cases(args: argparse.Namespace, arch: int) -> Iterator[Case]:  # noqa: ARG001
    """Product with a sparse matrix and sums over its entries, for rows of a few entries."""
    from vgae.kernels import _triton_csr

    for dim in args.dims:
        launch = _triton_csr._options(1000, 5000, dim)
        sizes = {name: launch.pop(name) for name in ("CHUNK", "ENTRIES", "WIDTH")}
        launch.pop("enable_fp_fusion")
        items, name = sizes["ENTRIES"], {"d": dim, "results": "value+gradient", "bias": "no"}
        constants = {"PASS": 0, **sizes}
        wanted = {"VALUE": True, "GRAD_Z": True, "GRAD_BIAS": False, "bias_ptr": None}
        kernel = _triton_csr._product_kernel
        yield Case({"kernel": "product", "d": dim}, kernel, constants, launch, items)
        kernel = _triton_csr._sweep_kernel
        yield Case({"kernel": "edges", **name}, kernel, constants | wanted, launch, items)


KERNELS = {"pairs": pairs_cases, "sparse": sparse_cases}


def compiled(case: Case, arch: int) -> Any:
    """Compile as a launch with aligned pointers would."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = case.kernel.arg_names
    types = {
        name: "constexpr"
        if name in case.constants
        else TYPES.get(name, "*fp32" if name.endswith("_ptr") else "i32")
        for name in names
    }
    aligned = [k for k, name in enumerate(names) if types[name][0] == "*" or name == "padded"]
    source = ASTSource(
        fn=case.kernel,
        signature=types,
        constexprs=case.constants,
        attrs={(k,): [["tt.divisibility", 16]] for k in aligned},
    )
    target = GPUTarget("cuda", arch, 32)
    return triton.compile(source, target, case.launch | {"enable_fp_fusion": True})


class Instruction(NamedTuple):
    """One line of machine code; ``target`` is the index that a branch goes to, if any."""

    name: str
    arguments: str
    target: int | None = None


def disassembled(binary: bytes) -> tuple[list[Instruction], str]:
    """Return the machine code of a kernel, and what it uses of a processor."""
    from triton import knobs

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(binary)
        code = _output(knobs.nvidia.nvdisasm.path, "-c", path)
        usage = _output(knobs.nvidia.cuobjdump.path, "--dump-resource-usage", path)
    labels, found = {}, []
    for line in code.splitlines():
        if label := re.match(r"(\.L_x_\d+):", line):
            labels[label[1]] = len(found)
        elif parts := re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)(.*);", line):
            found.append(Instruction(parts[1], parts[2]))
    for k, instruction in enumerate(found):
        label = re.search(r"`\((\.L_x_\d+)\)", instruction.arguments)
        if label and instruction.name.startswith("BRA"):
            found[k] = instruction._replace(target=labels[label[1]])
    return found, usage


def _output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def inner_loop(code: list[Instruction], marks: str) -> list[Instruction]:
    """Return one iteration of the shortest loop with the most marks, or of the longest innermost.

    The path takes every forward branch, unless it skips marks.
    """
    loops = [(at.target, k) for k, at in enumerate(code) if at.target is not None]
    loops = [(first, last) for first, last in loops if first < last]
    if marks:
        counts = {x: _count(code[x[0] : x[1] + 1], marks) for x in loops}
        loops = [x for x in loops if counts[x] == max(counts.values())]
        first, last = min(loops, key=lambda x: x[1] - x[0])
    else:
        inner = [x for x in loops if not any(x[0] <= y[0] and y[1] < x[1] for y in loops)]
        first, last = max(inner, key=lambda x: x[1] - x[0])
    path, k = [], first
    while k <= last:
        path.append(code[k])
        target = code[k].target
        skips = target is not None and k < target <= last
        k = target if skips and not (marks and _count(code[k:target], marks)) else k + 1
    return path


def _count(code: list[Instruction], *names: str) -> int:
    return sum(at.name.startswith(names) for at in code)


def figures(case: Case, arch: int) -> Row:
    """Return what a kernel uses, and its instructions per pair or entry.

    Slots are instructions of a thread; special functions and products of the tensor cores are
    given in the slots that pass meanwhile, so the largest of the three is the bound.
    """
    kernel = compiled(case, arch)
    code, usage = disassembled(kernel.asm["cubin"])
    registers, stack = (int(re.search(rf"{name}:(\d+)", usage)[1]) for name in ("REG", "STACK"))
    threads = 32 * case.launch["num_warps"]
    loop = inner_loop(code, case.marks)
    # One mark per pair and thread, however often the loop was unrolled.
    items = _count(loop, case.marks) * threads if case.marks else case.items
    per_item = threads / items
    row = {
        "registers": registers,
        "stack": stack,
        "spilled": _count(loop, "LDL", "STL"),
        "shared_kb": kernel.metadata.shared / 1024,
        "blocks": blocks(registers, kernel.metadata.shared, threads, arch),
        "slots": len(loop) * per_item,
        "special": _count(loop, "MUFU") * per_item,
    }
    if arch // 10 == 9:
        row["waits"] = _count(loop, "WARPGROUP.DEPBAR") * case.items / items
        row["special_slots"] = row["special"] * PER_SPECIAL
        row["tensor_slots"] = sum(map(_products, loop)) * PER_PRODUCT * threads / 128 / items
    return row


def _products(at: Instruction) -> int:
    """Return how many products four warps of a Hopper add up in one instruction."""
    shape = re.match(r"HGMMA\.(\d+)x(\d+)x(\d+)\.", at.name)
    return math.prod(map(int, shape.groups())) if shape else 0


def blocks(registers: int, shared: int, threads: int, arch: int) -> int:
    """Return how many blocks a processor holds; registers are given to warps in lots of 256."""
    by_registers = REGISTERS // (-(-registers * 32 // 256) * 256 * (threads // 32))
    # A block has a kilobyte of its own.
    return min(by_registers, SHARED[arch] * 1024 // (shared + 1024), THREADS // threads)


COLUMNS = {"arch": "d", "kernel": "s", "d": "d", "precision": "s", "results": "s", "bias": "s"} | {
    "registers": "d",
    "stack": "d",
    "spilled": "d",
    "shared_kb": ".0f",
    "blocks": "d",
    "slots": ".1f",
    "special": ".2f",
    "special_slots": ".1f",
    "tensor_slots": ".1f",
    "waits": ".0f",
}


def main() -> None:
    """Compile what is wanted, and print a row for each kernel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", nargs="+", choices=KERNELS, default=[*KERNELS])
    parser.add_argument("--archs", nargs="+", type=int, choices=SHARED, default=[80, 90, 100])
    parser.add_argument("--dims", nargs="+", type=int, default=[16, 32, 64, 128])
    precisions = ["high", "tf32", "bf16"]
    parser.add_argument("--precisions", nargs="+", choices=precisions, default=precisions)
    results = ["value+gradient", "gradient", "value"]
    parser.add_argument("--results", nargs="+", choices=results, default=results)
    parser.add_argument("--bias", nargs="+", choices=["no", "yes"], default=["no", "yes"])
    parser.add_argument("--bounds", nargs="+", choices=["no", "yes"], default=["no"])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    import triton

    if triton.knobs.runtime.interpret:
        sys.exit("TRITON_INTERPRET is set: nothing is compiled")
    report = begin(args, triton=triton.__version__) | {"rows": []}
    for arch, name in product(args.archs, args.kernels):
        for case in KERNELS[name](args, arch):
            row = {"arch": arch, **case.name, **figures(case, arch)}
            report["rows"].append(row)
    table(report["rows"], COLUMNS)
    say("slots, special_slots and tensor_slots are per pair (or entry); the largest is the bound")
    finish(report, args.json)


if __name__ == "__main__":
    main()
