"""A run in words: a line on the terminal, and Markdown on MLflow's page with command and results."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from reparam_suite.running.assembly import Assembly
from reparam_suite.runtime.expressions import written

TAG = "mlflow.note.content"
"""The tag that MLflow's page shows as a description."""

_SHOWN = ("test/elbo", "val/elbo_best", "val/elbo_best_step", "grad/encoder/variance", "time/ms_per_step")


def planned(parts: Assembly) -> str:
    """The plan of a run in a line: model, data, estimator, its length, seed."""
    trainer, run = parts.trainer, parts.run
    steps, epochs, longest = trainer.max_steps, trainer.max_epochs, run.trainer.get("max_time")
    limits = [f"{steps:,} steps"] if steps > 0 else []
    limits += [f"{epochs:,} epochs"] if epochs is not None and epochs > 0 else []
    limits += [f"max_time {longest}"] if longest else []
    estimator = written(parts.model.estimator).removesuffix("()")
    model, data = type(parts.model).__name__, parts.data.name
    return f"{model} on {data} with {estimator}, {' or '.join(limits)}, seed {run.seed}"


def begun(parts: Assembly, command: Sequence[str] | None) -> str:
    """The description of a run that begins.

    Args:
        parts: of the run.
        command: that started it; None where nothing is known of it.
    """
    model = parts.model
    objective = getattr(model, "objective", None)
    climbs = f", which climbs `{written(objective)}`" if objective is not None else ""
    lines = [
        f"**{type(model).__name__}** trained with **`{written(model.estimator)}`**{climbs}, seed {parts.run.seed}.",
        parts.data.summary,
    ]
    if command:
        lines.append(f"```\n{_typed(command)}\n```")
    return "\n\n".join(lines)


def finished(description: str, run_id: str, metrics: Mapping[str, float]) -> str:
    """The description of a run that has ended well: that of before with its results, and how its files are used."""
    rows = [f"| {name} | {metrics[name]:.6g} |" for name in _SHOWN if name in metrics]
    table = "\n".join(["| metric | value |", "|---|---|", *rows])
    uses = (
        f"The same run again: `python -m reparam_suite.fit --config config.yaml` with the artifact config.yaml. "
        f'The model: `reparam_suite.load("{run_id}")`. Figures: artifacts, figures/.'
    )
    return "\n\n".join([description, *([table] if rows else []), uses])


def _typed(command: Sequence[str]) -> str:
    program, *arguments = command
    return shlex.join([Path(program).name if "python" in Path(program).name else program, *arguments])
