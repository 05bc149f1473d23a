"""How the ledger became what it is: one change a file, forward only, never edited after its release."""
