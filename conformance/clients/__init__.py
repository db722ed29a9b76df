"""Real clients as judges: each its own small check, and the statements that clients sent."""
