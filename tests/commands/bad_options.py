"""Options that are refused, with the line that says so."""

import inspect
from typing import get_args

from reparam_suite import estimators
from reparam_suite.models import DiscreteVAE, GaussianVAE
from reparam_suite.networks import Activation


def names(base: type) -> str:
    """The concrete classes of the estimators' package that are a `base`, as a sentence lists them."""
    classes = (getattr(estimators, name) for name in estimators.__all__)
    concrete = [cls for cls in classes if inspect.isclass(cls) and issubclass(cls, base)]
    return ", ".join(sorted(cls.__name__ for cls in concrete if not inspect.isabstract(cls)))


OWN = "or the dotted path of a class of your own"
MODEL_OPTIONS = ", ".join(inspect.signature(GaussianVAE).parameters)
DISCRETE_OPTIONS = ", ".join(inspect.signature(DiscreteVAE).parameters)
*MOST, LAST = get_args(Activation)
DATA = (
    "Arrays, BinarizedMNIST, CIFAR10, ColourPatches, Digits, FashionMNIST, ImageFolder, MNIST, Omniglot, SVHN, "
    "StreamedArrays"
)

OPTIONS = [
    # an option that does not exist
    ("--modle GaussianVAE", "unknown option --modle, did you mean --model?; --help lists all of them"),
    (
        "--trainer.max_stepps 3",
        "unknown option --trainer.max_stepps, did you mean --trainer.max_steps?; --help lists all of them",
    ),
    (
        "--trainer.max_step 3",
        "unknown option --trainer.max_step, did you mean --trainer.max_steps?; --help lists all of them",
    ),
    ("--record.evry 3", "unknown option --record.evry, did you mean --record.every?; --help lists all of them"),
    ("stray", "unknown option stray; --help lists all of them"),
    (
        "--model.latent_sizes 3",
        f"--model.latent_sizes: GaussianVAE has no such option, did you mean latent_size?; it takes {MODEL_OPTIONS}",
    ),
    (
        "--model.estimator.num_sample 3",
        "--model.estimator.num_sample: Pathwise has no such option, did you mean num_samples?; it takes num_samples",
    ),
    (
        "--model DiscreteVAE --model.estimator.baseline MovingAverage --model.estimator.baseline.decy 0.5",
        "--model.estimator.baseline.decy: MovingAverage has no such option, did you mean decay?; it takes decay",
    ),
    (
        "--model.posterior DiagonalNormal --model.posterior.size 3",
        "--model.posterior.size: DiagonalNormal has no such option; it takes latent_size",
    ),
    (
        "--model.optimizer.zzz 3",
        (
            "--model.optimizer['zzz']: expected OptimizerSettings, got int; settings for all parts are name, "
            "learning_rate, options, schedule"
        ),
    ),
    (
        "--model.optimizer.schedule Cosine",
        "--model.optimizer.schedule: expected CosineSchedule or StagedSchedule or StepSchedule with its own options, "
        "got 'Cosine'",
    ),
    (
        "--loggers TensorBord",
        f"--loggers: expected TensorBoard, WeightsAndBiases {OWN}, got TensorBord, did you mean TensorBoard?",
    ),
    ("--loggers CSVLogger", "--loggers: expected save_dir for CSVLogger, got none"),
    (
        '--model.prior=learned --model.optimizer {"prior":{"nam":"SGD"}}',
        "--model.optimizer['prior']: expected name, learning_rate, options, schedule, got nam",
    ),
    (
        "--model.objective.wait 4",
        "--model.objective.wait: ELBO has no such option, did you mean weight?; "
        "it takes kl, weight, warmup_steps, free_bits",
    ),
    (
        "--model.objective Elbo",
        f"--model.objective: expected ELBO, ImportanceWeighted {OWN}, got Elbo, did you mean ELBO?",
    ),
    (
        "--model.encoder ConvolutionalNet",
        f"--model.encoder: expected ConvNet, MLP, ResNet {OWN}, got ConvolutionalNet, did you mean ConvNet?",
    ),
    (
        "--data.bach_size 3",
        (
            "--data.bach_size: Digits has no such option, did you mean batch_size?; it takes event_shape, "
            "batch_size, binarization, seed"
        ),
    ),
    # a value of another type
    ("--seed abc", "--seed: expected int, got abc"),
    ("--seed -1", "--seed: expected 0 to 4294967295, got -1"),
    ("--seeds 0 x", "--seeds: expected int, got x"),
    ("--seeds 0 4294967296", "--seeds: expected 0 to 4294967295, got 4294967296"),
    (
        "--model DiscreteVAE --model.num_layers 2 --compile true",
        "--compile: expected one layer of latents, got num_layers 2",
    ),
    (
        "--compile true --trainer.strategy ddp --trainer.devices 2 --trainer.accelerator cpu",
        "--compile: expected one process, got several",
    ),
    ("--num_threads 0", "--num_threads: expected at least 1, got 0"),
    ("--model.latent_size abc", "--model.latent_size: expected int, got abc"),
    ("--model.learning_rate fast", "--model.learning_rate: expected float, got fast"),
    ("--model.centre_input 3", "--model.centre_input: expected bool, got 3"),
    ("--model.hidden_sizes 3", "--model.hidden_sizes: expected sequence, got 3"),
    ("--model.hidden_sizes [a]", "--model.hidden_sizes: expected int, got a"),
    ("--model.activation gelu", f"--model.activation: expected {', '.join(MOST)} or {LAST}, got gelu"),
    ("--model.objective.kl exact", "--model.objective.kl: expected auto, analytic or sampled, got exact"),
    ("--data.binarization sometimes", "--data.binarization: expected dynamic, fixed or none, got sometimes"),
    ("--model.estimator.num_samples 2.5", "--model.estimator.num_samples: expected int, got 2.5"),
    (
        "--model DiscreteVAE --model.estimator GumbelSoftmax --model.estimator.temperature cold",
        f"--model.estimator.temperature: expected float, ExponentialDecay, LinearDecay {OWN}, got cold",
    ),
    (
        "--model DiscreteVAE --model.estimator GumbelSoftmax --model.estimator.temperature LinearDecay "
        "--model.estimator.temperature.start warm",
        "--model.estimator.temperature.start: expected float, got warm",
    ),
    # a class that does not exist, or is another
    (
        "--model NoVAE",
        f"--model: expected DiscreteVAE, GaussianVAE, VAE {OWN}, got NoVAE, did you mean VAE?",
    ),
    (
        "--model GausianVAE",
        f"--model: expected DiscreteVAE, GaussianVAE, VAE {OWN}, got GausianVAE, did you mean GaussianVAE?",
    ),
    ("--model VAE", "--model: expected posterior, likelihood, prior, estimator for VAE, got none"),
    ("--data Digit", f"--data: expected {DATA} {OWN}, got Digit, did you mean Digits?"),
    ("--data ArrayDataModule", f"--data: expected {DATA} {OWN}, got ArrayDataModule, which is abstract"),
    (
        "--model.objective ImportanceWeighted --model.objective.bound Bound",
        f"--model.objective.bound: expected Average, LogMeanExp {OWN}, got Bound",
    ),
    (
        "--model.posterior FactorizedBernoulli",
        f"--model.posterior: expected DiagonalNormal, FullCovarianceNormal {OWN}, got FactorizedBernoulli",
    ),
    (
        "--model.estimator Foo",
        f"--model.estimator: expected {names(estimators.GradientEstimator)} {OWN}, got Foo",
    ),
    (
        "--model.estimator GradientEstimator",
        f"--model.estimator: expected {names(estimators.GradientEstimator)} {OWN}, "
        "got GradientEstimator, which is abstract",
    ),
    (
        "--model DiscreteVAE --model.estimator.temperature 0.3 --model.estimator GumbelSoftmax",
        f"--model.estimator: expected {names(estimators.GradientEstimator)} {OWN}, "
        "got GradientEstimator, which is abstract",
    ),
    (
        "--model DiscreteVAE --model.estimator.baseline Foo",
        f"--model.estimator.baseline: expected {names(estimators.Baseline)} {OWN}, got Foo",
    ),
    (
        "--model.estimator reparam_suite.networks.mlp",
        f"--model.estimator: expected {names(estimators.GradientEstimator)} {OWN}, "
        "got reparam_suite.networks.mlp, which is no GradientEstimator",
    ),
    (
        "--model.estimator nomodule.Mine",
        "--model.estimator: nomodule.Mine cannot be imported: No module named 'nomodule'",
    ),
    (
        "--model.estimator json.Mine",
        "--model.estimator: json.Mine cannot be imported: module 'json' has no attribute 'Mine'",
    ),
    # a value out of range
    ("--model.latent_size 0", "--model.latent_size: expected an integer of at least 1, got 0"),
    ("--model.learning_rate -1", "--model.learning_rate: expected a positive, finite number, got -1.0"),
    ("--record.every 0", "--record.every: expected at least 1, got 0"),
    ("--record.gradients_every -5", "--record.gradients_every: expected at least 1, got -5"),
    ("--record.test_samples 100", "--record.test_samples: expected more than the 100 of every test, got 100"),
    ("--record.test_data 1", "--record.test_data: expected 0, or at least 2 for a standard error, got 1"),
    ("--data.batch_size 0", "--data.batch_size: expected an integer of at least 1, got 0"),
    (
        "--model DiscreteVAE --model.posterior FactorizedCategorical --model.posterior.num_classes 1",
        "num_classes: expected at least 2, got 1",
    ),
    (
        "--model DiscreteVAE --model.estimator GumbelSoftmax --model.estimator.temperature -1",
        "temperature of GumbelSoftmax: expected a finite number above 0, got -1.0",
    ),
    (
        "--model.optimizer.options {betaz: 1}",
        (
            "options of Adam: expected some of amsgrad, betas, capturable, decoupled_weight_decay, "
            "eps, foreach, fused, maximize, weight_decay, got betaz"
        ),
    ),
    (
        "--trainer.accelerator cpu --model.optimizer.options {capturable: true}",
        "--model.optimizer: expected capturable false, since it is for GPUs, got true on the CPU",
    ),
    (
        "--trainer.callbacks EarlyStopping --trainer.callbacks.monitor val/elbo --trainer.callbacks.mode up",
        "EarlyStopping: `mode` can be min, max, got up",
    ),
    (
        "--trainer.callbacks StochasticWeightAveraging --trainer.callbacks.swa_lrs 0.1",
        "--trainer.callbacks: StochasticWeightAveraging: swa_epoch_start: expected the number of an epoch without "
        "max_epochs, got 0.8",
    ),
    # a number that is none, or has no end
    ("--model.learning_rate .inf", "--model.learning_rate: expected a positive, finite number, got inf"),
    ("--model.learning_rate 1e400", "--model.learning_rate: expected a positive, finite number, got inf"),
    ("--model.learning_rate null", "--model.learning_rate: expected a positive, finite number, got None"),
    ("--model.learning_rate=", "--model.learning_rate: expected float, got an empty value"),
    ("--model.latent_size=", "--model.latent_size: expected int, got an empty value"),
    ("--model.latent_size null", "--model.latent_size: expected an integer of at least 1, got None"),
    ("--data.batch_size=", "--data.batch_size: expected int, got an empty value"),
    ("--data.batch_size 1e20", "--data.batch_size: expected int, got 1e+20"),
    ("--seed=", "--seed: expected int, got an empty value"),
    ("--model.objective.weight .inf", "weight: expected a finite number of at least 0, got inf"),
    ("--trainer.gradient_clip_val .nan", "--trainer.gradient_clip_val: expected a positive, finite number, got nan"),
    # an optimizer that cannot be made
    (
        "--model.optimizer.options {betas: [1.5, 0.9]}",
        "options of Adam: expected such as it can step with, got Invalid beta parameter at index 0: 1.5",
    ),
    ("--model.optimizer.options {betas: 0.9}", "options of Adam: expected 2 finite numbers for betas, got 0.9"),
    (
        "--model.optimizer.name Muon",
        "--model.optimizer: Muon only supports 2D parameters whereas we found a parameter with size: torch.Size([200])",
    ),
    # parts that do not fit together
    (
        "--model.estimator Enumeration",
        "Enumeration: expected a q whose values can be enumerated (enumerate_support), got Normal of event_shape [10]; "
        "it fits --model DiscreteVAE",
    ),
    (
        "--model DiscreteVAE --model.estimator Pathwise",
        "Pathwise: expected a q with reparameterized samples (rsample), got Bernoulli of event_shape [200]; "
        "it fits --model GaussianVAE",
    ),
    (
        "--model DiscreteVAE --model.estimator ScoreFunction --model.estimator.num_samples 1 "
        "--model.estimator.baseline LeaveOneOut",
        "num_samples of ScoreFunction with baseline LeaveOneOut: expected at least 2, got 1",
    ),
    (
        "--model.estimator StickTheLanding --model.objective.kl analytic",
        "kl: expected a sampled KL for StickTheLanding, which needs all of log q inside f, got analytic",
    ),
    (
        "--model DiscreteVAE --model.estimator Enumeration",
        "Enumeration: expected at most max_states = 16,384 states, got about 10^60 (latents of shape 200)",
    ),
    (
        "--model DiscreteVAE --model.latent_size 15 --model.estimator Enumeration",
        "Enumeration: expected at most max_states = 16,384 states, got 32,768 (latents of shape 15)",
    ),
    ("--model DiscreteVAE --model.num_layers 0", "--model.num_layers: expected an integer of at least 1, got 0"),
    (
        "--model DiscreteVAE --model.num_layers 2 --model.objective.kl analytic",
        "kl: expected sampled or auto, since KL(Bernoulli || LayeredDistribution) has no closed form, got analytic",
    ),
    (
        "--model DiscreteVAE --model.num_layers 2 --model.objective ImportanceWeighted",
        (
            "--model.objective: expected ELBO for a prior of several layers, since an estimate within the "
            "logarithm is no bound, got ImportanceWeighted"
        ),
    ),
    (
        "--model DiscreteVAE --model.estimator DisARM --model.estimator.num_samples 3",
        "num_samples of DisARM: expected an even number, for its samples come in pairs, got 3",
    ),
    (
        "--model.estimator DisARM",
        "DisARM: expected a q of independent bits, event_shape [D], got Normal of event_shape [10]; "
        "it fits --model DiscreteVAE",
    ),
    (
        "--model DiscreteVAE --model.estimator GumbelSoftmax --model.estimator.temperature 0",
        "temperature of GumbelSoftmax: expected a finite number above 0, got 0.0",
    ),
    # the trainer
    ("--trainer.deterministic often", "--trainer.deterministic: expected warn or bool, got often"),
    ("--record often", "--record: expected options with their values, or a YAML file of them, got often"),
    ("--trainer.callbacks [3]", "--trainer.callbacks: expected the dotted path of a class of your own, got 3"),
    ("--latent_size.foo 3", "--latent_size.foo: expected --latent_size with its value, got an option of that value"),
    ("--seed.x 3", "--seed.x: expected --seed with its value, got an option of that value"),
    ("--trainer.max_steps many", "--trainer.max_steps: expected int, got many"),
    ("--trainer.max_epochs 1.5", "--trainer.max_epochs: expected int, got 1.5"),
    ("--trainer.max_steps 0", "--trainer.max_steps: a run trains and tests, expected more than 0, got 0"),
    ("--trainer.max_epochs 0", "--trainer.max_epochs: a run trains and tests, expected more than 0, got 0"),
    (
        "--trainer.limit_train_batches 0",
        "--trainer.limit_train_batches: a run trains and tests, expected more than 0, got 0",
    ),
    (
        "--trainer.limit_test_batches 0.0",
        "--trainer.limit_test_batches: a run trains and tests, expected more than 0, got 0",
    ),
    ("--trainer.barebones true", "--trainer.barebones: a run is recorded, expected False, got True"),
    (
        "--trainer.precision 64-true",
        "--trainer.precision: weights are float32, expected 32-true, 16-mixed or bf16-mixed, got 64-true",
    ),
    (
        "--trainer.precision 16-mixed --trainer.accelerator cpu",
        "--trainer.precision: float16 needs a GPU, expected 32-true or bf16-mixed, got 16-mixed",
    ),
    (
        "--trainer.precision 17",
        "--trainer.precision: expected 64, 32, 16, transformer-engine, transformer-engine-float16, 16-true, 16-mixed, "
        "bf16-true, bf16-mixed, 32-true, 64-true or bf16, got 17",
    ),
    (
        "--trainer.max_steps -2",
        "--trainer.max_steps: expected at least 1, or -1 for no limit, got -2",
    ),
    (
        "--trainer.max_time soon",
        "--trainer: `Timer(duration='soon')` is not a valid duration. Expected a string in the format DD:HH:MM:SS.",
    ),
    ("--trainer.devices 0", "--trainer: `Trainer(devices='0')` value is not a valid input using cpu accelerator."),
    (
        "--trainer.val_check_interval 99",
        "--trainer.val_check_interval: an epoch has 13 batches, expected at most that many, got 99",
    ),
    (
        "--trainer.callbacks foo",
        "--trainer.callbacks: expected the dotted path of a class of your own, got foo",
    ),
    # the data
    ("--data Arrays", "--data: expected path for Arrays, got none"),
    ("--data Arrays --data.path missing.npz", "missing.npz: expected an .npz file, got a path that does not exist"),
    # names that are common elsewhere
    ("--epochs 3", "unknown option --epochs, did you mean --trainer.max_epochs?; --help lists all of them"),
    (
        "--model.lr 0.1",
        f"--model.lr: GaussianVAE has no such option, did you mean learning_rate?; it takes {MODEL_OPTIONS}",
    ),
    (
        "--model.kl_weight 2",
        "--model.kl_weight: GaussianVAE has no such option, did you mean --model.objective.weight?; "
        f"it takes {MODEL_OPTIONS}",
    ),
    ("--model.estimator.help Nope", "--model.estimator.help: expected a class, as --help lists them, got Nope"),
    ("--model.estimator.help", "--model.estimator.help: expected a class, as --help lists them, got none"),
    # names and values that would be known too late
    ("--name=", "--name: expected a printable name, got ''"),
    ("--tags {../x: a}", "--tags: expected at most 250 letters, digits, spaces and _ - . : /, got '../x'"),
    ("--tracking.experiment=", "--tracking.experiment: expected a printable name, got ''"),
    (
        f"--tracking.experiment {'e' * 251}",
        f"--tracking.experiment: expected at most 250 characters, got 251: {'e' * 30}...",
    ),
    (
        f"--tracking.root {'r' * 300}",
        f"--tracking.root: expected a path of at most 3,800 bytes whose names have at most 255, got {'r' * 300}",
    ),
    # the store
    (
        "--tracking.uri http://[::1",
        "--tracking.uri: expected sqlite:///FILE, http(s)://SERVER, postgresql://... or mysql://..., "
        "got http://[::1: Invalid IPv6 URL",
    ),
    (
        "--tracking.uri postgresql://ada:secret@host:port/runs",
        "--tracking.uri: expected sqlite:///FILE, http(s)://SERVER, postgresql://... or mysql://..., "
        "got postgresql://***@host:port/runs: Port could not be cast to integer value as 'port'",
    ),
    (
        "--tracking.uri mysql://host:99999/runs",
        "--tracking.uri: expected sqlite:///FILE, http(s)://SERVER, postgresql://... or mysql://..., "
        "got mysql://host:99999/runs: Port out of range 0-65535",
    ),
    ("--tracking.uri sqlite://", "--tracking.uri: expected sqlite:///FILE, got sqlite://"),
    (
        "--tracking.uri file:///somewhere",
        "--tracking.uri: expected sqlite:///FILE, http(s)://SERVER, postgresql://... or mysql://..., "
        "got file:///somewhere, MLflow's file store, which MLflow 3.17 gave up",
    ),
]
