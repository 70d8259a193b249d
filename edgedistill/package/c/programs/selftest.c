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
  printf("%s, %s, %s: ", EDR_APP.name, EDR_APP.runtime, EDR_APP.precision);
  if (EDR_APP.utterance_count)
    printf("%zu edits of %zu tokens, a share of %g may be", checked.edits, checked.compared,
           EDR_APP.edits);
  else
    printf("%zu of %zu numbers equal, the largest difference %g, %.6g within tolerance",
           checked.equal, checked.compared, checked.worst, checked.within);
  puts(checked.ok ? ": ok" : ": FAILED");
  return checked.ok ? 0 : 1;
}
