"""The co-op's figures by month: money, people, carbon, technique. Worked out at night and kept."""
