"""Displays: pictures of what was learnt, drawn by matplotlib if it is there."""
