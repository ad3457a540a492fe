"""docs/cluster.md: its script runs, at a small size, and its examples hold."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import scalargrad as sg

from .extras import needs_llvm, needs_numpy

PAGE = (Path(__file__).parent.parent / "docs" / "cluster.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)


@needs_numpy
@needs_llvm
def test_the_script_finds_the_weights_on_two_workers(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    pytest.importorskip("scipy")
    script = tmp_path / "script.py"
    script.write_text(BLOCKS[0])
    root = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, str(script), "20000"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
    )
    numbers = [float(x) for x in re.findall(r"-?\d+\.\d+", done.stdout)]
    assert numbers[:3] == pytest.approx([1.5, -2.0, 0.5], abs=0.1), done.stderr


def test_the_other_examples_hold() -> None:
    scope: dict[str, Any] = {"sg": sg}
    for block in BLOCKS[1:]:
        exec(block, scope)
    assert len(BLOCKS) == 2
