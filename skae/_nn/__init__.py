"""Networks of torch, and the fast paths of those that are dense."""
