"""Codes and reconstructions from fitted weights."""
