"""Objects as plain data and back: what is written, what is opaque, what may be made, and that nothing else is run."""

import sys
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from reparam_suite.distributions import NormalLikelihood
from reparam_suite.estimators import GumbelSoftmax, Learned, LeaveOneOut, LinearDecay, ScoreFunction, VarianceNormalized
from reparam_suite.models import DiscreteVAE, GaussianVAE, OptimizerSettings
from reparam_suite.objectives import ELBO
from reparam_suite.runtime.construction import check_all_allowed, construct, imported
from reparam_suite.runtime.errors import NotAllowedError, NotOnRecordError
from reparam_suite.runtime.expressions import written
from reparam_suite.runtime.plain_data import Described, arguments, opaque_parts, plain


class Base:
    def __init__(self, *, size: int = 2) -> None:
        self.size = size


class Derived(Base):
    """Its constructor hands on what it does not know."""

    def __init__(self, path: Path, *, flag: bool = True, **options) -> None:
        super().__init__(**options)
        self.path, self.flag = path, flag


class Forgetful:
    def __init__(self, *, size: int) -> None:
        pass


class Layers:
    def __init__(self, *layers) -> None:
        self.layers = layers


def build(inputs, outputs):
    return nn.Linear(inputs[0], outputs[0])


OBJECTS = [
    ScoreFunction(num_samples=4, baseline=VarianceNormalized(baseline=Learned(hidden_sizes=(7,)))),
    GumbelSoftmax(temperature=LinearDecay(start=2.0)),
    OptimizerSettings(name="SGD", learning_rate=0.1, options={"momentum": 0.9}),
    GaussianVAE(
        event_shape=(2, 3), likelihood=NormalLikelihood(scale=0.5), objective=ELBO(weight=2.0), hidden_sizes=[3]
    ),
    DiscreteVAE(event_shape=(4,), latent_size=3, num_layers=2, optimizer={"control": OptimizerSettings(name="SGD")}),
]


@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: type(value).__name__)
def test_an_object_is_made_again_from_its_plain_data(value):
    data = plain(value)
    assert list(opaque_parts(data)) == []
    assert yaml.safe_load(yaml.safe_dump(data)) == data, "it is plain"
    again = construct(yaml.safe_load(yaml.safe_dump(data)))
    assert type(again) is type(value)
    assert plain(again) == data


def test_arguments_that_are_handed_on_are_written_too():
    assert arguments(Derived(Path("a/b"), size=3)) == {"path": "a/b", "flag": True, "size": 3}
    assert written(Derived(Path("a"), size=3)) == "Derived(size=3, path='a')"


def test_classes_and_functions_are_named_as_their_package_exports_them():
    assert plain(ELBO())["class_path"] == "reparam_suite.objectives.ELBO"
    assert plain(build) == {"reference": f"{__name__}.build"}
    assert imported("reparam_suite.objectives.ELBO") is ELBO


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (lambda: 3, [("", "<lambda>")]),
        (nn.Linear(2, 3), [("", "torch.nn.modules.linear.Linear")]),
        (Layers(1, 2), [("", "Layers")]),
        ({"a": [torch.zeros(2), 1]}, [("a[0]", "torch.Tensor")]),
        (Forgetful(size=3), [("size", "Forgetful keeps no size")]),
        (GaussianVAE(encoder=nn.Sequential(nn.Flatten(), nn.Linear(784, 20))), [("encoder", "Sequential")]),
    ],
)
def test_parts_that_cannot_be_made_again_are_named(value, parts):
    found = list(opaque_parts(plain(value)))
    assert [name for name, _ in found] == [name for name, _ in parts]
    assert all(told.endswith(what) for (_, told), (_, what) in zip(found, parts, strict=True))
    with pytest.raises(NotOnRecordError, match="is not on record"):
        construct(plain(value), allow=[__name__])


def test_described_objects_are_recorded_by_their_description():
    described = Described(lambda: 3, {"class_path": "a.B", "init_args": {}})
    assert described() == 3
    assert plain([described]) == [{"class_path": "a.B", "init_args": {}}]


# --------------------------------------------------------------------------------------------------- what may be made


@pytest.mark.parametrize(
    "path", ["os.system", "reparam_suite_evil.Strange", "torch.nn.Linear", "builtins.eval", "reparam_suite"]
)
def test_a_class_of_another_module_is_refused(path):
    with pytest.raises(NotAllowedError, match=f"^{path}: expected a class of reparam_suite; allow its module"):
        construct({"a": [{"class_path": path, "init_args": {}}]})
    with pytest.raises(NotAllowedError):
        check_all_allowed({"a": [{"reference": path}]})


def test_nothing_of_a_module_that_is_refused_is_imported(tmp_path, monkeypatch):
    (tmp_path / "strange.py").write_text("raise SystemExit('it was imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NotAllowedError):
        construct({"class_path": "strange.Strange"})
    assert "strange" not in sys.modules
    with pytest.raises(SystemExit):
        construct({"class_path": "strange.Strange"}, allow=["strange"])


def test_a_class_that_is_not_there_is_named():
    for path in ("reparam_suite.objectives.NoSuch", "reparam_suite.nowhere.ELBO", "reparam_suite.objectives.elbo"):
        with pytest.raises(NotOnRecordError, match=f"there is no class or function {path}"):
            imported(path)


def test_the_module_that_was_started_has_one_name_in_every_process():
    Moved = type("Moved", (), {"__module__": "__mp_main__", "__init__": lambda self: None})
    main = sys.modules["__main__"]
    sys.modules["__mp_main__"], before = main, sys.modules.get("__mp_main__")
    main.Moved = Moved
    try:
        assert plain(Moved())["class_path"] == "__main__.Moved"
    finally:
        del main.Moved
        sys.modules.pop("__mp_main__") if before is None else sys.modules.update(__mp_main__=before)


def test_a_module_without_arguments_is_none_the_less_known_after_a_compilation(monkeypatch):
    """torch.compile replaces the constructor of nn.Module by one of its own."""
    constructor = nn.Module.__init__

    def patched_init(self, *args, **kwargs):
        return constructor(self, *args, **kwargs)

    monkeypatch.setattr(nn.Module, "__init__", patched_init)
    assert plain(LeaveOneOut()) == {"class_path": "reparam_suite.estimators.LeaveOneOut", "init_args": {}}
