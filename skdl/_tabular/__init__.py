"""Estimators for raw tables: how a table is encoded and divided into folds, and the network."""
