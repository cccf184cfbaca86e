"""Codes and reconstructions, computed from the fitted weights."""
