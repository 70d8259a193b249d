"""What was said, as text: made comparable, held against what somebody wrote down, and sifted."""
