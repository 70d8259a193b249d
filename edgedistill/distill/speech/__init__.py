"""A recognizer distilled: its teacher's transcripts, the layers that may go, and what a student
learns from both."""
