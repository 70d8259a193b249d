"""Speech: utterances and their transcripts, from a user's places to splits on disk."""
