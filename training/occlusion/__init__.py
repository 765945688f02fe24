"""Train the network that tells a bare face from what lies in front of it."""
