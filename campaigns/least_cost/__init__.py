"""Least-cost plans for the assets of homes, thousands at a time: numpy arrays in, frozen dataclasses out.

Pure: no ORM, no clock. Prices are whole ten-thousandths of p/kWh (`metering.rates.SCALE`) and energy is whole
Wh, so that every cost is an exact integer of price times Wh; `pence` says it in pence. An axis of slots is
the half-hours of a planning day: 46, 48 or 50 when it runs from midnight to midnight.
"""
