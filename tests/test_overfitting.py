"""Overfitting: told from long steps, and from rows that are harder anyway."""

from types import SimpleNamespace

import pytest

from skae._fitting.overfitting import generalisation_gap, overfits


def seen(loss_curve, validation_curve, reason=None, max_iter=50, pca_gap=1.0):
    """Whether a training of 50 passes overfits after those of the curves."""
    least = min(validation_curve)
    best_iter = 0 if least >= 1.0 else 1 + validation_curve.index(least)
    early_stopping = SimpleNamespace(
        n_iter=len(loss_curve),
        best_iter=best_iter,
        reason=reason,
        config=SimpleNamespace(max_iter=max_iter),
    )
    return overfits(early_stopping, loss_curve, validation_curve, pca_gap)


FALLING = [0.6, 0.5, 0.3, 0.25, 0.2]
IN_VAIN = [0.8, 0.6, 0.7, 0.7, 0.7]


def test_the_gap_is_that_of_the_last_passes_over_pcas():
    assert generalisation_gap([9.0, 0.4, 0.6], [9.0, 1.0, 1.0], 2.0, 2) == 1.0
    assert generalisation_gap([0.0], [0.0], 1.0, 1) == 0.0


def test_rows_held_out_that_gain_nothing_while_the_others_do_are_overfitted():
    assert seen(FALLING, IN_VAIN)


@pytest.mark.parametrize(
    ("loss_curve", "validation_curve", "others"),
    [
        ([0.6, 0.5, 0.6, 0.7, 0.7], IN_VAIN, {}),  # long steps raise both
        (FALLING, [0.8, 0.6, 0.7, 0.7, 0.5], {}),  # still gaining
        (FALLING, [1.2, 1.1, 1.1, 1.1, 1.1], {}),  # never better than the start
        (FALLING, IN_VAIN, {"max_iter": 100}),  # not yet for long
        (FALLING, IN_VAIN, {"pca_gap": 3.0}),  # harder rows, PCA says
        (FALLING[:3], [0.5, 0.6, 0.7], {}),  # two passes are not many
    ],
)
def test_what_is_no_overfitting(loss_curve, validation_curve, others):
    assert not seen(loss_curve, validation_curve, **others)


def test_a_narrower_gap_will_do_once_patience_is_spent():
    narrow = [0.8, 0.25, 0.28, 0.28, 0.28]
    assert not seen(FALLING, narrow)
    assert seen(FALLING, narrow, reason="converged")
