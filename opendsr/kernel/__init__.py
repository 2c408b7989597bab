"""What every room stands on: clock, intervals, money, outbox, audit, encryption. Imports nothing of ours."""
