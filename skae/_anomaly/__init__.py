"""Anomalies: rows with a large reconstruction error or an isolated code."""
