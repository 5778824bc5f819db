"""Salinas Ventalló (2018).

`paper` has the experiments, `report` the page, `claims` what the paper says and what holds.
"""
