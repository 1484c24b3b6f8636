"""Threads of OpenBLAS, which every process with numpy has: idle ones sleep.

As it comes, each of them spins for a tenth of a second after it was started, and after each task. Where many processes
start at once, as the predictors of a run do, that takes a core's time from those who load a model. How many threads
there are, and so what they compute, stays as it was.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "OPENBLAS_THREAD_TIMEOUT"
"""The logarithm of how long they spin, in processor cycles: 4 is the least, 26 what OpenBLAS has by itself."""
LEAST = "4"


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment for a process (this one's if not given), in which they sleep unless it says otherwise."""
    return {VARIABLE: LEAST, **(os.environ if base is None else base)}
