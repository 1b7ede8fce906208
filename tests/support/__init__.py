"""Helpers that several suites share. Imported as `support`: pytest's path holds `tests`."""
