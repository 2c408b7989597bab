"""Drivers of real devices: one file a make, each against the message shapes its firmware publishes.

bus             one MQTT connection to the home's own broker, with a last will of its own
calling         one HTTP device, asked and told from a thread of its own
manners         what an appliance may be asked at this moment, whatever is ordered (pure)
relay           the memory behind an on/off device: what was asked, shown, touched by the member (pure)
openevse        EV charger by claims; the member's override at the charger wins and is seen
tasmota         relay, power and temperature; a rule timer on the device ends what a dead hub began
shelly          Gen1 over HTTP, Gen2 over MQTT; every switch-off flips back by itself
emonesp         WiFi relay of OpenEnergyMonitor (legacy)
home_assistant  any on/off entity, and a number such as a battery's power, by its REST interface
sg_ready        heat pump by its two SG Ready contacts
myenergi        eddi and zappi, read only
"""
