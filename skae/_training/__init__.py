"""Minimise a loss over batches. No policy and no estimator is in here."""
