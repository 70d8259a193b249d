#include "APP.h"

edr_recognizer* recognizer;
edr_transcript found;
edr_message why;
edr_code code = edr_open("data", &(edr_options){.library = library}, &recognizer, &why);
if (!code) code = edr_transcribe(recognizer, samples, count, NULL, &found, &why);
if (code) fprintf(stderr, "%s\n", why.text);
else puts(found.text);
edr_close(recognizer);
