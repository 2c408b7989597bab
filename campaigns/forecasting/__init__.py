"""What homes could turn up or down in each half-hour of the next two days, with how sure that is.

likelihood.py   pure: the chance that each asset is there to be moved, by half-hour
fans.py         pure: sums of assets as 10, 50 and 90 in 100; learning from past misses; scores
gathering.py    reads who may take part, habits and what devices said
issuing.py      works a forecast out and keeps it, compares the past ones with what was there
"""
