#include "APP.h"

edr_classifier* classifier;
edr_answer answer;
edr_message why;
edr_code code = edr_open_classifier(&APP, "data", &(edr_options){.library = library}, &classifier, &why);
if (!code) code = edr_classify_sound(classifier, samples, count, &answer, &why);
if (code) fprintf(stderr, "%s\n", why.text);
else printf("%s %.3f\n", answer.label, answer.confidence);
edr_close_classifier(classifier);
