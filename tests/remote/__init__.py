"""Administration from other machines: transports, and other people's clients."""
