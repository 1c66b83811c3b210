"""Where an engine without a GPU computes: on few cores in its scheduler's own process, and on all cores but one.

vLLM's CPU build gives the model a process of its own. While answers are made, that one and the scheduler look in turns
into a piece of shared memory, without rest (``sched_yield``): two cores are busy whatever is computed. Where there are
few, nothing else gets one: deltas waited for a second and longer for a thread to send them. In one process nobody
looks like that; vLLM alone is 3 to 11 % slower then, and what it is asked for through this product 13 to 61 % faster.

Where there are many cores vLLM's own choice stays: there it binds its threads to them, which one process cannot.
"""

from __future__ import annotations

import os
from pathlib import Path

from inference.engines.options import Options
from inference.engines.versions import Build

FEW = 8  # cores
ONE_PROCESS = "vllm.v1.executor.uniproc_executor.UniProcExecutor"  # by its path: "uni" is overruled on a CPU
TOPOLOGY = Path("/sys/devices/system/cpu")
BINDING = "VLLM_CPU_OMP_THREADS_BIND"
#: with one of these the operator has said how the work is spread, or may have
SPREADING = (
    "--config",
    "--data-parallel-size",
    "--distributed-executor-backend",
    "--nnodes",
    "--pipeline-parallel-size",
    "--prefill-context-parallel-size",
    "--tensor-parallel-size",
)


def computes_in_one_process(build: Build, options: Options) -> bool:
    """Whether the engine is started like that here."""
    if build.gpu or not build.has_one_process or BINDING in os.environ:
        return False
    return cores() <= FEW and not any(options.has(name) for name in SPREADING)


def threads_environment() -> dict[str, str]:
    """All cores but the one for servers and everything else, as vLLM leaves one to its scheduler."""
    return {"OMP_NUM_THREADS": str(max(1, cores() - 1))}


def cores() -> int:
    """How many this process may compute on. The hyper-threads of one are one, as for vLLM."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    return len({_siblings(number) for number in os.sched_getaffinity(0)})


def _siblings(number: int) -> str:
    try:
        return (TOPOLOGY / f"cpu{number}" / "topology" / "thread_siblings_list").read_text()
    except OSError:
        return str(number)
