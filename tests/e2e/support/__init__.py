"""What the end-to-end tests share: a gateway that runs, and its clients."""
