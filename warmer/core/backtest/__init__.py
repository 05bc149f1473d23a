"""Traces of past traffic replayed through policies in virtual time: fast, exact and explainable."""
