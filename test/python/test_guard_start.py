"""LiteLLM's imports run without the garbage collector. `test/e2e/guard.test.ts` shows that it serves with it."""

import os
import subprocess
import sys

GUARD = os.path.join(os.path.dirname(__file__), "../../assets/guard")


def test_python_starts_with_the_collector_off_and_its_children_start_with_it_on():
    child = "import subprocess, sys; print(gc.isenabled()); subprocess.run([sys.executable, '-c', 'import gc; print(gc.isenabled())'])"
    said = subprocess.run(
        [sys.executable, "-uc", f"import gc; {child}"],
        env={**os.environ, "PYTHONPATH": GUARD},
        capture_output=True,
        text=True,
    )
    assert (said.stdout, said.stderr) == ("False\nTrue\n", "")
