"""Anomalies: rows that an autoencoder cannot bring back, or whose codes are alone."""
