"""The options of a run: constructor signatures and docstrings are the schema and the --help."""

from functools import cache

import torch
from jsonargparse import ArgumentParser
from jsonargparse.typing import register_type
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from reparam_suite.tracking import LoggerOfRun, TrackingSettings
from reparam_suite.training import CheckpointSettings, RecordSettings

USAGE = "python -m reparam_suite.fit [options]"
DESCRIPTION = "Trains a model with a chosen gradient estimator and records the run in MLflow."


@cache
def run_parser() -> ArgumentParser:
    """The parser of the options of `fit`, made once: nobody adds to it."""
    # A callback's device is a string in a file; torch raises a RuntimeError for one that is none.
    register_type(torch.device, deserializer_exceptions=(RuntimeError, TypeError))
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False, description=DESCRIPTION, usage=USAGE)
    parser.add_argument("-c", "--config", action="config", help="a YAML file of options; later ones override it")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the noise and the order of the data")
    parser.add_argument("--seeds", type=int, nargs="+", default=None, help="several runs, one for each seed")
    parser.add_argument(
        "--num_threads",
        type=int,
        default=1,
        help="CPU threads per step; models of this size gain little from more, and lose much on a busy machine",
    )
    parser.add_argument("--name", type=str, default=None, help="of the run; by default estimator, model, data and seed")
    parser.add_argument("--tags", type=dict[str, str], default={}, help="to find runs by: --tags.KEY VALUE")
    parser.add_argument(
        "--loggers",
        type=list[LoggerOfRun | Logger] | LoggerOfRun | Logger,
        default=[],
        help="beside MLflow: TensorBoard, WeightsAndBiases or one of Lightning's, which get every number; "
        "--loggers+ for a second one",
    )
    parser.add_argument(
        "--monitor",
        type=str,
        default=None,
        help="metric whose largest value is best, -val/loss for the smallest; by default what the model proposes",
    )
    parser.add_argument(
        "--compile",
        type=bool,
        default=False,
        help="each training step is one compiled function, optimizer included; the noise stays the same",
    )
    parser.add_argument(
        "--resume",
        type=str,
        default=None,
        metavar="RUN_ID",
        help="resume a run, given its id or a checkpoint, with its own configuration; auto: this command's own run, of "
        "this SLURM job or of --run_key, and begin it if there is none",
    )
    parser.add_argument(
        "--run_key",
        type=str,
        default=None,
        metavar="KEY",
        help="key by which --resume auto finds the run; in a SLURM job, by default that of the job",
    )
    parser.add_argument(
        "--verify_resume",
        type=int,
        default=None,
        metavar="N",
        help="trains N steps with and without a stop and a new process in the middle, and reports whether they differ",
    )
    parser.add_argument(
        "--allow_changes", type=bool, default=False, help="resume a run even if options differ from its own"
    )
    parser.add_argument(
        "--allow_modules",
        type=str,
        nargs="+",
        default=[],
        metavar="MODULE",
        help="modules of your own whose classes recorded files may name",
    )
    parser.add_class_arguments(Trainer, "trainer", fail_untyped=False, instantiate=False, sub_configs=True)
    parser.set_defaults({"trainer.devices": 1})
    parser.add_subclass_arguments(LightningModule, "model", fail_untyped=False)
    parser.add_subclass_arguments(LightningDataModule, "data", fail_untyped=False)
    parser.add_class_arguments(TrackingSettings, "tracking")
    parser.add_class_arguments(RecordSettings, "record")
    parser.add_class_arguments(CheckpointSettings, "checkpoint")
    return parser
