"""A loss minimised over batches: no policy, no estimator."""
