"""Policy: what to train, what to keep, and the attributes that are left."""
