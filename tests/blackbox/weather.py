"""Chaos for the emulator, by name; `docs/emulator.md` says what each key does."""

# How everything that comes from Twilio misbehaves, whatever its answers are.
MESSY = {"lost": 0.5, "twice": 0.2, "shuffled": 0.5, "shuffle_ms": 300, "list_lag_ms": 800, "slow_ms": 40}
FAILURES = {"63018": 0.03, "30008": 0.02, "63016": 0.15, "63024": 0.01}

CALM = {}
BREEZE = {"error_after": 0.03, "reset_after": 0.03, "reset_before": 0.02, "fails": {"63018": 0.02}}
BREEZE |= {"lost": 0.1, "twice": 0.1, "shuffled": 0.3, "shuffle_ms": 100, "list_lag_ms": 300, "slow_ms": 20}
GALE = MESSY | {"error_after": 0.05, "reset_after": 0.05, "error_before": 0.05, "reset_before": 0.05, "garbage": 0.03}
GALE |= {"rate_limited": 0.05, "fails": FAILURES}
# Little gets through, and what asks Twilio is turned away too.
FLOOD = MESSY | {"rate_limited": 0.6, "reset_after": 0.05, "fails": FAILURES}
# For what reads only.
FOG = {"error_before": 0.1, "reset_after": 0.1, "garbage": 0.1, "rate_limited": 0.1, "list_lag_ms": 500}
