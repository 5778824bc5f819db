"""Abdullah, Ahmad and Han (2020).

`paper` has the experiments, `report` the page, `claims` what the paper says and what holds.
"""
