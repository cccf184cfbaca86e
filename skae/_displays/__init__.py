"""Displays: pictures of fitted models, drawn by matplotlib if it is installed."""
