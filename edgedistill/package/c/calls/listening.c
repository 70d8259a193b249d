
static void heard(const edr_detection* it, void* own) {
  (void)own;
  printf("%s at %.2f s\n", it->keyword, it->seconds);
}

int hear(const float* samples, size_t count) { /* of a stream: call edr_listen for each piece of it */
  edr_listener* listener = NULL;
  edr_message why;
  edr_code code = edr_open_listener(&APP, "data", &(edr_options){.library = "LIBRARY"}, &listener, &why);
  if (!code) code = edr_listen(listener, samples, count, heard, NULL, &why);
  if (code) fprintf(stderr, "%s\n", why.text);
  edr_close_listener(listener);
  return code;
}
