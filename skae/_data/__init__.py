"""Rows and targets: checked, scaled, held out, cut into batches; no networks."""
