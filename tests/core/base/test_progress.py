import pickle

import pytest

from napari_unet.core.base.progress import Cancelled, Progress, ignore


def test_a_report_travels_between_processes_as_it_is() -> None:
    report = Progress(0.25, "Training: step 5 of 20", {"loss": 0.5}, (("tile", 3),))
    assert pickle.loads(pickle.dumps(report)) == report


def test_reports_do_not_share_their_values() -> None:
    first, second = Progress(), Progress()
    first.values["loss"] = 1.0
    assert second.values == {}
    assert (second.fraction, second.message) == (None, "")


def test_being_told_to_stop_is_no_fault_of_what_was_given() -> None:
    assert not issubclass(Cancelled, ValueError)
    with pytest.raises(Cancelled):
        raise Cancelled
    ignore(Progress())
