"""The home: a reference hub (HEMS) agent. One folder is one hub; `python -m hems run` plays it.

It speaks OpenADR 2.0b to its VTN as a VEN, drives the home's flexible assets, and keeps the member's word
above everybody's. Plain Python: of this project it imports `oadr` alone.

    keys.py         the hub's own key and certificate request
    clock.py        world time, from two environment variables
    ven.py          messages out and answers in, over HTTPS with mutual TLS
    book.py         every event the hub has been told of, and what became of it
    signals.py      an event's signals as orders to assets
    devices.py      what a driver is; ev_charger.py and thermal_store.py behave like the real ones
    simulation.py   a home played from `home.json`: exact power, meter readings
    household.py    invented but seeded household habits
    agent.py        the loop that ties them together
    launcher.py     runs the agent, and takes a new version of it back when it does not prove itself
"""

VERSION = "1.0.0"
"""Of the hub's software; a release carries its own."""
