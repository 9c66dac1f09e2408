"""Options as a command line and its files give them, before they are parsed."""

from reparam_suite.commands.given import content_of, given_options, option_values, with_signed_monitor


def test_values_of_an_option_in_both_spellings():
    args = ["--seed", "3", "--config=a.yaml", "--config", "b.yaml", "--config"]
    assert option_values("--config", args) == ["a.yaml", "b.yaml", ""]
    assert option_values("--name", args) == []


def test_only_the_monitor_takes_a_value_with_a_sign():
    args = ["--monitor", "-val/loss", "--name", "-x", "--monitor", "--seed"]
    assert with_signed_monitor(args) == ["--monitor=-val/loss", "--name", "-x", "--monitor", "--seed"]


def test_files_and_options_are_flattened_and_the_later_one_counts(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(
        "seed: 5\nmodel: {class_path: DiscreteVAE, init_args: {latent_size: 6, estimator: {class_path: DisARM}}}\n"
    )
    given = given_options([f"--config={file}", "--seed", "7", "--model.init_args.latent_size", "9"])
    assert given == {"seed": "7", "model": "DiscreteVAE", "model.latent_size": "9", "model.estimator": "DisARM"}


def test_a_class_in_braces_is_read_as_one():
    given = given_options(["--model.estimator", "{class_path: ScoreFunction, init_args: {num_samples: 4}}"])
    assert given == {"model.estimator": "ScoreFunction", "model.estimator.num_samples": 4}


def test_a_file_that_cannot_be_read_gives_nothing(tmp_path):
    (tmp_path / "broken.yaml").write_text("a: [1,")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xfa")
    for name in ("broken.yaml", "bytes.yaml", "absent.yaml"):
        assert content_of(tmp_path / name) == {}
