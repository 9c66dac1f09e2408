"""Options of Lightning's Trainer: each works as Lightning promises, or is refused by name before a run exists."""

import inspect
import logging
from datetime import timedelta

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import CSVLogger
from tests.running.models import gaussian

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.training import RecordSettings

# What becomes of each option: "works", as the test of that name below shows, or the refusal of one value.
OPTIONS = {
    "accelerator": "works",
    "accumulate_grad_batches": "works",
    "barebones": (True, "a run is recorded, expected False, got True"),
    "benchmark": "works",
    "callbacks": "works",
    "check_val_every_n_epoch": "works",
    "default_root_dir": ("here", "a run is stored below tracking.root, expected None, got here"),
    "detect_anomaly": "works",
    "deterministic": "works",
    "devices": "works",
    "enable_autolog_hparams": "works",
    "enable_checkpointing": (True, "a run keeps the checkpoints that `checkpoint` says, expected None, got True"),
    "enable_model_summary": "works",
    "enable_progress_bar": (
        False,
        "a run shows its own, in a command or with progress=True, expected None, got False",
    ),
    "fast_dev_run": (True, "a run is recorded whole, and a small max_steps makes it short, expected False, got True"),
    "gradient_clip_algorithm": "works",
    "gradient_clip_val": "works",
    "inference_mode": "works",
    "limit_predict_batches": (2, "a run predicts nothing, expected None, got 2"),
    "limit_test_batches": "works",
    "limit_train_batches": "works",
    "limit_val_batches": "works",
    "log_every_n_steps": "works",
    "logger": "works",
    "max_epochs": "works",
    "max_steps": "works",
    "max_time": "works",
    "min_epochs": "works",
    "min_steps": "works",
    "model_registry": ("name", "a run is recorded in MLflow, which has a registry, expected None, got name"),
    "num_nodes": "works",
    "num_sanity_val_steps": "works",
    "overfit_batches": (
        2,
        "epochs would have other batches each; data with few rows are what can be overfitted, expected 0, got 2",
    ),
    "plugins": ([1], "a run has plugins of its own for checkpoints and processes, expected None, got [1]"),
    "precision": "works",
    "profiler": "works",
    "reload_dataloaders_every_n_epochs": (
        1,
        "a resumed run would not find its place in the data, expected 0, got 1",
    ),
    "strategy": "works",
    "sync_batchnorm": (True, "torch has it for GPUs alone, expected False, got True"),
    "use_distributed_sampler": (
        False,
        "each of several processes has its share of every batch, expected True, got False",
    ),
    "val_check_interval": "works",
}
