"""How anything trains: the only code that touches skorch."""
