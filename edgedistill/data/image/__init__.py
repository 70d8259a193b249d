"""What knows pictures: decoding, augmenting, corrupting them, and finding them twice."""
