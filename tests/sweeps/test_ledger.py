"""Results in a file, by cell and seed."""

import pytest

from reparam_suite.runtime.errors import UsageError
from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.ledger import Ledger

METRICS = ("test/elbo", "train/elbo@6")


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "kept.csv", METRICS)


def cells():
    return Grid(cells=[{"a": "x, y", "b": 0.1}, {"a": "z"}]).with_seeds([0, 1])


def test_a_result_is_found_again_by_values_and_seed(ledger):
    one, other, third, _ = cells()
    ledger.add([(one, {"test/elbo": -20.123456789, "train/elbo@6": -30.0, "val/elbo": 1.0})])
    ledger.add([(third, {"test/elbo": -1.0}), (other, {})])
    assert ledger.known(cells()) == {
        one.key: {"test/elbo": -20.123456789, "train/elbo@6": -30.0},
        third.key: {"test/elbo": -1.0},
    }
    assert list(ledger.complete(cells())) == [one.key]
    assert ledger.file.read_text().splitlines() == [
        "a,b,seed,test/elbo,train/elbo@6",
        "\"'x, y'\",0.1,0,-20.123456789,-30.0",
        "'z',,0,-1.0,",
    ]
    assert [path.name for path in ledger.file.parent.iterdir()] == ["kept.csv"]


def test_a_run_that_went_on_completes_its_row(ledger):
    one = cells()[0]
    ledger.add([(one, {"train/elbo@6": -30.0})])
    ledger.add([(one, {"test/elbo": -20.0})])
    assert ledger.complete(cells()) == {one.key: {"test/elbo": -20.0, "train/elbo@6": -30.0}}


def test_a_part_of_the_metrics_finds_the_rows_of_all_and_leaves_the_others(ledger):
    one, other, *_ = cells()
    ledger.add([(one, {"test/elbo": -20.0, "train/elbo@6": -30.0})])
    part = Ledger(ledger.file, ("test/elbo",))
    assert part.complete(cells()) == {one.key: {"test/elbo": -20.0}}
    part.add([(other, {"test/elbo": -21.0})])
    assert ledger.known(cells()) == {
        one.key: {"test/elbo": -20.0, "train/elbo@6": -30.0},
        other.key: {"test/elbo": -21.0},
    }
    assert ledger.file.read_text().splitlines()[0] == "a,b,seed,test/elbo,train/elbo@6"


@pytest.mark.parametrize("line", ["'z',,0,many,", "'z',,zero,1.0,", "'z',,0,nan,"])
def test_a_file_that_cannot_be_read_is_refused_with_the_line(ledger, line):
    ledger.file.write_text(f"a,b,seed,test/elbo,train/elbo@6\n{line}\n")
    with pytest.raises(ValueError, match=r"results.file: .*kept.csv, line 2: expected"):
        ledger.known(cells())


def test_what_makes_no_ledger_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"results.metrics: expected at least one, got none"):
        Ledger(tmp_path / "a.csv", ())
    with pytest.raises(ValueError, match=r"results.file: expected a file in a directory that exists, got"):
        Ledger(tmp_path / "nowhere" / "a.csv", METRICS)
    with pytest.raises(ValueError, match=r"results.file: expected a file that can be written, got"):
        Ledger(tmp_path, METRICS)
    with pytest.raises(ValueError, match=r"results.metrics: expected METRIC or METRIC@STEP, got test/elbo@"):
        Ledger(tmp_path / "a.csv", ("test/elbo@",))
    with pytest.raises(ValueError, match=r"results.metrics: expected metrics of the runs, got seed"):
        Ledger(tmp_path / "a.csv", ("seed", "test/elbo"))
    with pytest.raises(TypeError, match=r"results.metrics: expected a list, got 'test/elbo'"):
        Ledger(tmp_path / "a.csv", "test/elbo")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name,price\n", "expected a column seed, got name, price"),
        (b"a,seed,test/elbo,train/elbo@6\n'z',0,1.0,2.0,\n", "line 2: expected as many fields as titles"),
        (b"a,seed,test/elbo,train/elbo@6\n'z',0,1.0\n", "line 2: expected as many fields as titles"),
        (b"a,seed,test/elbo,train/elbo@6\n'z',0,1.0,2.0\n'z',0,1.0,3.0\n", "line 3: expected each run once"),
        (b"a,seed,test/elbo\n'\xff',0,1.0\n", "expected a CSV file that can be read and written, got"),
    ],
)
def test_a_file_that_is_none_of_results_is_refused_and_stays(ledger, content, told):
    ledger.file.write_bytes(content)
    for call in (lambda: ledger.known(cells()), lambda: ledger.add([(cells()[0], {"test/elbo": 1.0})])):
        with pytest.raises(UsageError, match=told):
            call()
    assert ledger.file.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbfa,seed,test/elbo,train/elbo@6\r\n'z',0,1.0,2.0\r\n"])
def test_an_empty_file_and_that_of_a_spreadsheet_are_read(ledger, content):
    ledger.file.write_bytes(content)
    third = cells()[2]
    assert ledger.complete(cells()) == ({third.key: {"test/elbo": 1.0, "train/elbo@6": 2.0}} if content else {})
