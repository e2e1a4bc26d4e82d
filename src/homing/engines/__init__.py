"""How a queue is laid out in Redis: one contract, two engines."""
