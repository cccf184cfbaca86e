"""Policy: what to train, which result to return, and its fitted attributes."""
