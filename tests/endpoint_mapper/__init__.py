"""The endpoint mapper: its bytes and its answers."""
