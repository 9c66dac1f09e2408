"""The place of a run's event files."""

from reparam_suite.tracking import TensorBoard


def test_the_place_of_a_run_is_found_again_under_another_name(store):
    long = store.start_run(name="a/b " + "ö" * 200, parameters={}, tags={})
    board = TensorBoard()
    assert not board.has(long)
    first = board.of(long)
    first.log_hyperparams({"estimator": "Pathwise"})
    first.log_metrics({"val/elbo": -3.0}, 7)
    first.save()
    assert board.has(long)
    (place,) = (store.root / "tensorboard").iterdir()
    assert (place.name[:4], place.name[-9:]) == ("a_b ", f"-{long.run_id[:8]}")
    long.set_tags({"mlflow.runName": "short"})
    long.close("FINISHED")
    again = store.resume_run(long.run_id)
    assert again.run_name == "short"
    assert board.of(again).log_dir == str(place)
    again.close("FINISHED")
    first.finalize("success")


def test_the_parameters_of_a_run_are_a_text(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoard().of(run)
    logger.log_hyperparams({"estimator": {"num_samples": 4}})
    logger.finalize("success")
    read = EventAccumulator(logger.log_dir)
    read.Reload()
    (text,) = read.Tensors("parameters/text_summary")
    assert text.tensor_proto.string_val == [b"| parameter | value |\n|---|---|\n| estimator.num_samples | 4 |"]
