"""Several processes that train one model: how they start, share every batch, and end when one of them does."""

import atexit
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, final

import numpy as np
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed
from torch.optim import Optimizer

from reparam_suite.estimators import GradientEstimator
from reparam_suite.runtime import checks
from reparam_suite.runtime.launchers import FIRST_PROCESS
from reparam_suite.runtime.processes import average_buffers
from reparam_suite.training.errors import ProcessLost
from reparam_suite.training.lightning_internals import SubprocessScriptLauncher, relaunch_command
from reparam_suite.training.record import num_rows

# How long a process may let the others wait: before the first one joins them it opens the store, and may have data to
# download. One that dies is noticed at once, by its closed connection; this is for one that hangs.
_TIMEOUT = timedelta(minutes=5)

# Seconds: between two looks at the other processes; for an orderly end after one of them has died.
_PERIOD, _GRACE = 0.2, 10.0

# What a collective operation says when another process has gone.
_CONNECTION = re.compile(r"gloo|nccl|connection|broken pipe|socket", re.IGNORECASE)


@final
class Replicas(DDPStrategy):
    """Processes with the same model: each takes its share of every batch, and their gradients are averaged.

    Unlike Lightning's own: every process has its own noise; the loss of each has the weight of its rows, which the last
    batch of an epoch may divide unevenly; buffers of estimators become those of the whole batch, and no others are
    overwritten by those of the first process at each step; `--num_threads` is kept; and when a process dies the others
    end, the first of them in order. Processes are started here unless torchrun or SLURM has started all of them.

    Args:
        command: that the processes which are started here run; by default the one that started this process.
        seed: of the run, from which the seed of each process's noise is made.
    """

    def __init__(self, *, command: Sequence[str] | None = None, seed: int) -> None:
        super().__init__(forward_sync_buffers=False, timeout=_TIMEOUT)
        self._command = list(relaunch_command() if command is None else command)
        self._seed = checks.seed("seed", seed)
        self._others: _Launcher | None = None
        self._share = 1.0

    def _configure_launcher(self) -> None:
        self._others = self._launcher = _Launcher(self, self._command)
        _watch_parent()

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """The model's training step; the share of this process in the batch is kept for the backward pass."""
        self._share = self._share_of(args[0] if args else next(iter(kwargs.values()), None))
        return super().training_step(*args, **kwargs)

    def backward(self, closure_loss: Tensor, optimizer: Optimizer | None, *args: Any, **kwargs: Any) -> Tensor:
        """The backward pass of a loss weighted by rows; the gradients of the processes are then averaged as equals."""
        weighted = closure_loss * (self._share * self.world_size)
        result = super().backward(weighted, optimizer, *args, **kwargs)
        assert self.lightning_module is not None
        modules = self.lightning_module.modules()
        average_buffers((module for module in modules if isinstance(module, GradientEstimator)), self._share)
        return result

    def _share_of(self, batch: Any) -> float:
        # Of a loader that does not say how many rows its batches have over all processes, each has an equal share.
        assert self.lightning_module is not None
        whole = getattr(self.lightning_module.trainer.train_dataloader, "num_rows", None)
        return num_rows(batch) / whole if isinstance(whole, int) and whole else 1.0 / self.world_size

    def setup_environment(self) -> None:
        """Joins the other processes and seeds the noise; Lightning has given all processes the same seed before."""
        super().setup_environment()
        key = np.random.SeedSequence((self._seed, self.global_rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(key[0]))

    def on_loss(self, end: Callable[[], object] | None) -> None:
        """Sets the function that is called if this process is ended while it hangs, because another one has died."""
        assert self._others is not None
        self._others.last_act = end

    def lost(self, error: BaseException) -> ProcessLost | None:
        """The loss of another process, if `error` comes from it."""
        if not isinstance(error, RuntimeError) or not _CONNECTION.search(str(error)):
            return None
        assert self._others is not None
        if (died := self._others.wait_for_dead()) is not None:
            return died
        return (
            ProcessLost("the first process has died", of_first=True)
            if _is_orphan()
            else ProcessLost("another process has died")
        )

    def close(self, *, failed: bool) -> None:
        """Waits for the processes that were started here; after a failure they are ended."""
        assert self._others is not None
        self._others.close(failed=failed)


@final
class _Launcher(SubprocessScriptLauncher):
    # Starts the command once more for each other process of this machine, and watches over them.
    def __init__(self, strategy: Replicas, command: Sequence[str]) -> None:
        assert strategy.cluster_environment is not None
        super().__init__(strategy.cluster_environment, strategy.num_processes, strategy.num_nodes)
        self.last_act: Callable[[], object] | None = None
        self.command = list(command)
        self._ending = threading.Event()

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Starts the other processes, once, and calls `function`."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally and not self.procs:
            self._start()
        return function(*args, **kwargs)

    def _start(self) -> None:
        environment = self.cluster_environment
        variables = {
            **os.environ,
            "MASTER_ADDR": environment.main_address,
            "MASTER_PORT": str(environment.main_port),
            "NODE_RANK": str(environment.node_rank()),
            "WORLD_SIZE": str(self.num_processes * self.num_nodes),
            FIRST_PROCESS: str(os.getpid()),
        }
        for local_rank in range(1, self.num_processes):
            self.procs.append(subprocess.Popen(self.command, env={**variables, "LOCAL_RANK": str(local_rank)}))
        threading.Thread(target=self._watch, name="processes", daemon=True).start()

    def dead(self) -> ProcessLost | None:
        """The first process that has failed."""
        for local_rank, process in enumerate(self.procs, 1):
            if code := process.poll():
                how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"has failed with exit code {code}"
                return ProcessLost(f"process {local_rank} of {self.num_processes} {how}")
        return None

    def wait_for_dead(self) -> ProcessLost | None:
        """The same, after a moment: the connections of a process close before it has ended."""
        deadline = time.monotonic() + _GRACE
        while (died := self.dead()) is None and self.procs and time.monotonic() < deadline:
            time.sleep(_PERIOD)
        return died

    def close(self, *, failed: bool) -> None:
        self._ending.set()
        if not self.procs:  # whoever started this process may have another run for it, with the same others
            (atexit.unregister if failed else atexit.register)(_leave)
            return
        if failed:
            self.kill(signal.SIGKILL)
        for process in self.procs:
            process.wait()
        _leave()
        for name in ("MASTER_ADDR", "MASTER_PORT"):  # Lightning has set them here as well; another run has its own
            os.environ.pop(name, None)

    def _watch(self) -> None:
        # The operation in which this process waits for a dead one fails by itself, and all goes its way. Where it
        # hangs, as before all processes have met or on a GPU, there is no other way out than this.
        while not self._ending.wait(_PERIOD):
            if (died := self.dead()) is None:
                continue
            if not self._ending.wait(_GRACE):
                if self.last_act is not None:
                    self.last_act()
                sys.stderr.write(f"reparam_suite: {died}\n")
                self.kill(signal.SIGKILL)
                os._exit(1)
            return


def started_by_another() -> bool:
    """Whether this process was started for a training that another one began, which continues alone when it is over."""
    return os.environ.get(FIRST_PROCESS) == str(os.getppid())


def _leave() -> None:
    # A process that ends with its connections open may be aborted by the threads that serve them.
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _is_orphan() -> bool:
    # Whether the first process started this one and is gone, or goes within a moment: its connections close before.
    if (parent := os.environ.get(FIRST_PROCESS)) is None:
        return False
    deadline = time.monotonic() + 5 * _PERIOD
    while os.getppid() == int(parent) and time.monotonic() < deadline:
        time.sleep(_PERIOD)
    return os.getppid() != int(parent)


def _watch_parent() -> None:
    # A process that hangs must not outlive the first one.
    if started_by_another():
        threading.Thread(target=_end_after, args=(os.getppid(),), name="first process", daemon=True).start()


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PERIOD)
    time.sleep(_GRACE)
    os._exit(1)
