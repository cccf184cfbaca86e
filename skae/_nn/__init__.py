"""Networks in torch, with fast implementations for dense ones."""
