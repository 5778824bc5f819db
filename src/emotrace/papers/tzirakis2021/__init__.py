"""Tzirakis, Boros, Hajiyev and Schuller (2021).

`paper` has the experiments, `report` the page, `claims` what the paper says and what holds.
"""
