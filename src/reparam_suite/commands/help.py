"""The pages of `--help`: what matters first, every option, a table of the classes of a kind, one class."""

import difflib
import inspect
import os
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence

from jsonargparse import ArgumentParser
from lightning.pytorch import LightningDataModule
from torch import nn

from reparam_suite.commands import shipped
from reparam_suite.commands.class_help import KINDS, class_named, class_page, class_table
from reparam_suite.commands.classes import concrete_subclasses
from reparam_suite.commands.jsonargparse_internals import described_options
from reparam_suite.commands.short_options import SHORT_OPTIONS
from reparam_suite.commands.suggestions import nearest
from reparam_suite.data import Digits
from reparam_suite.distributions.likelihoods import LikelihoodFamily
from reparam_suite.distributions.posteriors import LatentFamily
from reparam_suite.estimators import Bound
from reparam_suite.models import GaussianVAE, Schedule
from reparam_suite.networks import Builder
from reparam_suite.runtime.construction import imported
from reparam_suite.runtime.errors import UsageError
from reparam_suite.tracking import LoggerOfRun

WIDTH = 80
_ANY_WIDTH = 1_000
_MARGIN = 27

_EXAMPLES = """examples:
  python -m reparam_suite.fit --estimator StickTheLanding --latent_size 6
  python -m reparam_suite.fit --config discrete_vae --seeds 0 1 2
  python -m reparam_suite.fit --resume RUN_ID --max_steps 20000
"""

_SECTIONS: Mapping[str, Sequence[str]] = {
    "what is trained": (
        "config",
        "model",
        "latent_size",
        "learning_rate",
        "estimator",
        "estimator.num_samples",
        "model.objective",
        "data",
        "batch_size",
    ),
    "for how long, how often": ("max_steps", "max_epochs", "seed", "seeds", "resume"),
    "where it is recorded, and as what": (
        "name",
        "tags",
        "tracking.root",
        "tracking.experiment",
        "loggers",
        "record.gradients_every",
        "monitor",
    ),
    "on which device": ("trainer", "trainer.devices", "compile", "num_threads"),
}

# Where the docstring is another's, or says what several classes are.
_TEXTS: Mapping[str, str] = {
    "config": "a YAML file of options, or one that is shipped: {runs}; later options override it",
    "model": "{models}, or a class of your own by its dotted path; GaussianVAE by default",
    "learning_rate": "of every part of the model",
    "estimator": "of the gradient, see --help estimators; by default what the model proposes",
    "estimator.num_samples": "argument of the estimator, as every other one: K samples of z per datum and step",
    "model.objective": "{objectives}, or one of your own; ELBO by default",
    "data": "{data}, or a LightningDataModule of your own; Digits by default",
    "loggers": "others beside MLflow; see --help loggers",
    "max_steps": "optimizer steps, at most; 5,000 where neither limit is given",
    "max_epochs": "passes over the training data, at most",
    "trainer": "a YAML file of Lightning's Trainer options, or one that is shipped: {trainers}",
    "trainer.devices": "how many devices train together; 1 by default",
}

_BASES = (nn.Module, LightningDataModule, LatentFamily, LikelihoodFamily, Bound, Builder, Schedule, LoggerOfRun)
"""Of the classes that options name."""


def help_page(parser: ArgumentParser, topic: str | None = None) -> str:
    """The page for `--help`, and for `--help TOPIC`.

    Args:
        parser: of the options of a run.
        topic: "all", a kind of classes as in KINDS, the name of a class; None for the first page.

    Raises:
        UsageError: if there is no such topic.
    """
    if topic is None:
        return first_page(parser)
    if topic == "all":
        return _all_options(parser)
    if topic in KINDS:
        return class_table(topic, width=_terminal_width())
    if (cls := class_named(topic)) is not None:
        return class_page(cls, width=WIDTH)
    known = ["all", *KINDS]
    near = difflib.get_close_matches(topic, known, n=1)
    suggestion = f", did you mean {near[0]}?" if near else ""
    raise UsageError(f"--help: expected {', '.join(known)} or the name of a class, got {topic or 'none'}{suggestion}")


def first_page(parser: ArgumentParser) -> str:
    """The options that matter first, at most two screens of them, and where the others are listed."""
    texts = _descriptions(parser)
    lines = [f"usage: {parser.usage}", "", str(parser.description), "", *_EXAMPLES.splitlines()]
    for title, options in _SECTIONS.items():
        lines += ["", f"{title}:"]
        for option in options:
            lines += _row(f"--{option}", texts[option])
    short = ", ".join(f"--{option}" for option in SHORT_OPTIONS)
    told = f"{short} are short for --model.estimator, --data.batch_size and so on; of two, the later one counts."
    lines += ["", *textwrap.wrap(told, WIDTH), "", "more:"]
    lines += _row("--help all", "every option, those of Lightning's Trainer included")
    lines += _row("--help KIND", f"a table: {', '.join(KINDS)}")
    lines += _row("--help CLASS", "one class with its arguments, DisARM for example")
    lines += _row("--print_config", "the configuration that the options make, as YAML")
    return "\n".join(lines)


def class_help(option: str, name: str) -> str:
    """The description and the options of a class, for `--model.estimator.help DisARM`.

    Args:
        option: as it was typed.
        name: of a class of the suite, or a dotted path.

    Raises:
        UsageError: if there is no such class.
    """
    key = option.removeprefix("--").removesuffix(".help")
    known = {cls.__name__: cls for base in _BASES for cls in concrete_subclasses(base)}
    if "." in name:
        cls = imported(name, allow=[name.rpartition(".")[0]])
    elif name in known:
        cls = known[name]
    else:
        got = name or "none"
        raise UsageError(f"{option}: expected a class, as --help lists them, got {got}{nearest(name, known)}")
    return "\n".join([f"{name}:", inspect.getdoc(cls) or "", "", _options(f"Options of {name}", key, cls)])


def _options(title: str, key: str, cls: type) -> str:
    parser = ArgumentParser(add_help=False, usage="")
    parser.add_class_arguments(cls, key, instantiate=False, fail_untyped=False)
    lines = parser.format_help().splitlines()
    first = next((i for i, line in enumerate(lines) if line.lstrip().startswith(f"--{key}.")), None)
    return "\n".join([f"{title}:", *(["  none"] if first is None else lines[first:]), ""])


def _terminal_width() -> int:
    # A file has no width that a line would have to fit in.
    return max(WIDTH, os.get_terminal_size(1).columns) if sys.stdout.isatty() else _ANY_WIDTH


def _row(name: str, text: str) -> list[str]:
    first = f"  {name}".ljust(_MARGIN)
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * _MARGIN)


def _descriptions(parser: ArgumentParser) -> dict[str, str]:
    # By option: the docstring's words with the default, or those of _TEXTS.
    def classes(kind: str) -> str:
        return ", ".join(sorted(cls.__name__ for cls in KINDS[kind].classes()))

    lists = {
        "runs": ", ".join(shipped.names()),
        "trainers": ", ".join(shipped.names("trainer")),
        "models": classes("models"),
        "data": classes("data"),
        "objectives": classes("objectives"),
    }
    made = ArgumentParser(add_help=False)
    made.add_class_arguments(GaussianVAE, "model", instantiate=False)
    made.add_class_arguments(Digits, "data", instantiate=False)
    known = described_options(made) | described_options(parser)
    found = {}
    for option in (option for options in _SECTIONS.values() for option in options):
        told, default = known.get(SHORT_OPTIONS.get(option, option), ("", None))
        text = _TEXTS[option].format(**lists) if option in _TEXTS else told.rstrip(".")
        of_class = option in _TEXTS and option != "learning_rate"
        found[option] = text if of_class or default in (None, False, {}) else f"{text} ({default})"
    return found


def _all_options(parser: ArgumentParser) -> str:
    of_models = ArgumentParser(add_help=False, usage="")
    of_models.add_class_arguments(GaussianVAE, "model", instantiate=False)
    own = _without_lists(of_models.format_help())
    first = own.index("  --model.")
    page = [_without_lists(parser.format_help()), "GaussianVAE and DiscreteVAE (--model):", own[first:]]
    return "\n".join([*page, *(class_table(kind, width=_ANY_WIDTH) for kind in KINDS)])


def _without_lists(text: str) -> str:
    # Without all subclasses that are imported, most of them PyTorch's, and without the help options of single classes.
    text = re.sub(r",\s+known\s+subclasses:[^)]*\)", ")", text)
    return re.sub(r"^  --\S+\.help.*\n(?: {20,}.*\n)*", "", text, flags=re.MULTILINE)
