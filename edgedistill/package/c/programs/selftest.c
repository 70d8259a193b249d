/* selftest: whether the package gives here what it should. */
#include "arguments.h"
#include EDR_APP_HEADER

#include <stdio.h>

int main(int count, char** words) {
  edr_checked checked;
  edr_message why;
  Arguments asked;
  if (!read_arguments(count, words, &asked) || asked.file || !asked.folder) {
    fputs("usage: selftest [--folder PATH] [--library PATH] [--threads N]\n", stderr);
    return 2;
  }
  if (edr_self_test(&EDR_APP, asked.folder, &asked.options, &checked, &why))
    return complain("selftest", &why);
  printf("%s, %s, %s: %zu of %zu %s equal, the largest difference %g, %.6g within tolerance: %s\n",
         EDR_APP.name, EDR_APP.runtime, EDR_APP.precision, checked.equal, checked.compared,
         EDR_APP.utterance_count ? "tokens" : "numbers", checked.worst, checked.within,
         checked.ok ? "ok" : "FAILED");
  return checked.ok ? 0 : 1;
}
