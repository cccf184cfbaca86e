"""scikit-learn's own checks, with no expected failure.

All of them on the defaults and on variants that between them fill every slot; on the
other variants, those that what stands in a slot can fail.
"""

from functools import partial

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator

from skae import AutoEncoderTransformer, MixedLoss

from .variants import VARIANTS, autoencoder

# Variants that meet every check: they fill every slot, and bring their own validation,
# layers, modules, randomness and targets.
REPRESENTATIVES = [
    "log_loss",
    "ordered",
    "variational",
    "conv",
    "modules",
    "everything",
    "supervised",
]
# Checks that the other variants are spared: of validation, which is over before a slot
# is reached, and of methods that no slot has a part in.
SHARED_BY_ALL = {
    "check_dtype_object",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_nan_inf",
    "check_f_contiguous_array_estimator",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_score_takes_y",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_pipeline_consistency",
    "check_set_params",
    "check_transformer_data_not_an_array",
    "check_transformer_n_iter",
}
# And what every variant is asked elsewhere: in test_promises, and in test_sparse.
ASKED_ELSEWHERE = {
    "check_dont_overwrite_parameters",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_estimators_pickle-readonly_memmap=True",
    "check_readonly_memmap_input",
    "check_transformer_general-readonly_memmap=True",
    "check_transformer_preserve_dtypes",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
}


# Checks of containers, types, arguments and state: none looks at how far the training
# comes.
NOT_OF_TRAINING = {
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_dtype_object",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
    "check_estimators_dtypes",
    "check_estimators_nan_inf",
    "check_estimators_pickle-readonly_memmap=True",
    "check_f_contiguous_array_estimator",
    "check_fit2d_1feature",
    "check_fit2d_predict1d",
    "check_fit_score_takes_y",
    "check_n_features_in_after_fitting",
    "check_pipeline_consistency",
    "check_positive_only_tag_during_fit",
    "check_sample_weights_list",
    "check_sample_weights_not_an_array",
    "check_sample_weights_not_overwritten",
    "check_sample_weights_pandas_series",
    "check_sample_weights_shape",
    "check_transformer_data_not_an_array",
    "check_transformer_general-readonly_memmap=True",
    "check_transformer_preserve_dtypes",
}


def label(check):
    """Return the check's name and options: an id that is the same in every process."""
    options = []
    while isinstance(check, partial):
        options = [f"{k}={v}" for k, v in check.keywords.items()] + options
        check = check.func
    return "-".join([check.__name__, *options])


def checks_of(estimator, name, without=frozenset()):
    return [
        pytest.param(estimator, check, id=f"{name}-{label(check)}")
        for estimator, check in estimator_checks_generator(estimator)
        if label(check) not in without
    ]


@pytest.mark.parametrize(
    ("estimator", "check"), checks_of(AutoEncoderTransformer(), "defaults")
)
def test_default_passes_the_checks(estimator, check, request):
    if label(check) in NOT_OF_TRAINING:
        request.getfixturevalue("brief")
    check(estimator)


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        param
        for name in VARIANTS
        for param in checks_of(
            autoencoder(name),
            name,
            () if name in REPRESENTATIVES else SHARED_BY_ALL | ASKED_ELSEWHERE,
        )
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_variant_passes_the_checks(estimator, check):
    if label(check) in NOT_OF_TRAINING:
        estimator = clone(estimator).set_params(max_iter=2)
    check(estimator)


def first_column(X):
    """Return a column that every table has."""
    return [0]


# Groups of a table that may have no kinds but numbers.
MIXED = MixedLoss([("squared_error", first_column)], remainder="squared_error")


@pytest.mark.parametrize(
    ("estimator", "check"),
    checks_of(autoencoder("default", loss=MIXED, max_iter=3), "mixed", SHARED_BY_ALL),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_mixed_loss_passes_the_checks(estimator, check):
    check(estimator)
