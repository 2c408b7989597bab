"""The flexibility market: requests come in, are weighed against each other, offered, ordered, delivered.

income.py       which requests to accept and which assets serve each, for the most expected income. Pure
presets.py      what kinds of market ask for, and what the portfolio may enter
receiving.py    a request is checked and written down, or withdrawn
rows.py         requests from a file: checked first, refused rows given back
weighing.py     what every asset could give each open request, put to income.py
offering.py     an offer is made, with its assets held; withdrawn, declined, lapsed
ordering.py     the buyer takes an offer: a planned campaign for each stretch of one power
declaring.py    availability, declared and withdrawn
telling.py      the log of what was told
"""
