"""A device at the other end of a cable or a network: what adb and ssh have in common."""
