"""From raw samples to text with a recognizer's two programs, token by token."""
