"""Parts: names and objects that users may put in the slots of the estimator."""
