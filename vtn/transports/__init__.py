"""How messages travel: the VENs' own HTTP listener, its proxy, push and MQTT."""
