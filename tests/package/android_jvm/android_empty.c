/* A library of Android's that is but named: what is called of it, android_libc.c has. */
int edgedistill_nothing;
