"""Curves of single runs: read from a folder, and drawn."""

import math
import re

import pytest
from tests.ctmar.run_folders import epoch

from ctmar.reporting.run_curves import MAXIMUM_POINTS, SPARK_HEIGHT, SPARK_WIDTH, Curve, Scales, curve_chart, read_curve
from ctmar.store.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_a_run_without_an_epoch_has_no_curve(folder):
    curve = read_curve(folder)
    assert curve == Curve() or math.isnan(curve.shown_psnr_db)
    assert curve.n_epochs == 0
    assert Scales.of([curve], 4).psnr_path(curve) == ""
    assert curve_chart([curve], 4) is None


def test_a_long_training_is_drawn_at_some_of_its_epochs_with_both_ends(folder):
    folder.write_epochs([epoch(epoch=n, validation_psnr=float(n), loss=1 / n, seconds=2.0) for n in range(1, 301)])
    curve = read_curve(folder)
    assert curve.n_epochs == 300
    assert len(curve.epochs) == MAXIMUM_POINTS
    assert (curve.epochs[0], curve.epochs[-1]) == (1, 300)
    assert (curve.shown_psnr_db, curve.last_loss) == (300.0, 1 / 300)
    assert curve.gpu_kj is None


def test_what_was_kept_is_shown_and_not_what_came_last(folder):
    folder.write_epochs([epoch(epoch=n, validation_psnr=value) for n, value in ((1, 30.0), (2, 35.0), (3, 31.0))])
    assert read_curve(folder, kept_epoch=2).shown_psnr_db == 35.0
    assert read_curve(folder).shown_psnr_db == 31.0


def test_energy_is_power_times_time_and_unknown_where_one_epoch_lacks_it(folder):
    known = [epoch(epoch=n, seconds=10.0, system={"gpu_power_w": power}) for n, power in ((1, 300.0), (2, 400.0))]
    folder.write_epochs(known)
    assert read_curve(folder).gpu_kj == pytest.approx(7.0)
    folder.write_epochs([*known, epoch(epoch=3, seconds=10.0)])
    assert read_curve(folder).gpu_kj is None


def test_a_file_that_is_no_list_of_epochs_is_told(folder):
    folder.metrics.write_text('{"epoch": 1}\n')
    curve = read_curve(folder)
    assert "metrics.jsonl, line 1" in curve.problem
    assert curve.epochs == ()


def test_the_rows_of_a_network_share_their_scale_each_from_its_own_best():
    quick = Curve((1, 2, 3, 4), (9.0, 38.0, 39.0, 40.0), (1.0, 0.1, 0.1, 0.1))
    slow = Curve((1, 2, 3, 4), (29.0, 29.0, 29.5, 30.0), (1.0, 0.1, 0.1, 0.1))
    scales = Scales.of([quick, slow], 4)
    (_, start), (_, second), _, (end, best) = points(scales.psnr_path(quick))
    (_, first), *_, (_, other_best) = points(scales.psnr_path(slow))
    assert best == other_best == 2
    assert end == SPARK_WIDTH - 1
    assert start == SPARK_HEIGHT - 2  # the first epoch lies below the scale, which is made for those after it
    assert (second - best) / (first - best) == pytest.approx(2.0, rel=0.05)  # 2 dB against 1 dB


@pytest.mark.parametrize("n_still", [0, 1, 9, 11, 40])
def test_one_curve_that_moves_among_many_that_stand_still_is_drawn(n_still):
    still = Curve((1, 2, 3), (30.0, 30.0, 30.0), (0.1, 0.1, 0.1))
    moving = Curve((1, 2, 3), (29.0, 29.5, 30.0), (0.1, 0.05, 0.01))
    scales = Scales.of([still] * n_still + [moving], 3)
    for path, best in ((scales.psnr_path(moving), 2.0), (scales.loss_path(moving), SPARK_HEIGHT - 2.0)):
        assert len(points(path)) == 3
        assert points(path)[-1][1] == best
    assert {y for _, y in points(scales.psnr_path(still))} == {2.0}


def test_numbers_that_are_not_finite_are_gaps_in_every_drawing():
    broken = Curve((1, 2, 3), (30.0, math.nan, math.inf), (0.1, math.inf, math.nan))
    whole = Curve((1, 2, 3), (30.0, 31.0, 32.0), (0.1, 0.0, 0.05))
    scales = Scales.of([broken, whole], 3)
    for curve in (broken, whole):
        for path in (scales.psnr_path(curve), scales.loss_path(curve)):
            assert "nan" not in path
            assert all(0 <= y <= SPARK_HEIGHT for _, y in points(path))
    chart = curve_chart([broken, whole, Curve()], 3)
    assert chart.places[2] is None
    assert chart.places[0].x == chart.x.at(1)
    assert chart.places[1].x == chart.x.at(3)


def test_an_unfinished_run_ends_where_it_stands():
    chart = curve_chart(
        [Curve((1, 2), (30.0, 31.0), (0.1, 0.1)), Curve((1, 2, 3, 4), (30.0, 31.0, 32.0, 33.0), (0.1,) * 4)], 4
    )
    assert chart.places[0].x < chart.places[1].x
    assert chart.places[1].x == chart.x.end
