"""UFTP (Shapeshifter 3.1): the co-op as an aggregator that DSOs send their requests to.

wire.py         sealed messages and their XML, both ways. Pure
reading.py      power, half-hours and prices of a message, as the market has them. Pure
arranging.py    our key, a buyer's terms and congestion points, by staff
receiving.py    a message comes in: verified, told from a repeat, done, answered
trading.py      requests, orders and what a buyer says of our offers
settling.py     the buyer's settlement against our own figures
sending.py      what goes out: composed with its fact, posted until it arrives
api.py          the one address
"""
