"""One handler for each message a VEN may send; `answering` picks it."""
