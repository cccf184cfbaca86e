"""What a user may put in a slot of the estimator, by name or as an object."""
