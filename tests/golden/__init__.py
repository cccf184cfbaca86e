"""Fitted estimators as older versions of skae wrote them."""
