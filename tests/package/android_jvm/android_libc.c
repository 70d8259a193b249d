/* Android's libc as far as ONNX Runtime's JNI library calls it, by the C library of this machine: the
 * functions are the same, but their versions in the ELF file are named otherwise. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

static void* next(const char* name) { return dlsym(RTLD_NEXT, name); }

#define FORWARD(result, name, parameters, arguments)      \
  result name parameters {                                \
    static result(*real) parameters;                      \
    if (!real) *(void**)&real = next(#name);              \
    return real arguments;                                \
  }

FORWARD(int, __cxa_atexit, (void (*f)(void*), void* a, void* d), (f, a, d))
FORWARD(void, __cxa_finalize, (void* d), (d))
FORWARD(int, __register_atfork, (void (*a)(void), void (*b)(void), void (*c)(void), void* d),
        (a, b, c, d))
FORWARD(void, __stack_chk_fail, (void), ())
FORWARD(void*, malloc, (size_t n), (n))
FORWARD(void*, realloc, (void* p, size_t n), (p, n))
FORWARD(void, free, (void* p), (p))
FORWARD(size_t, strlen, (const char* s), (s))
FORWARD(void*, memcpy, (void* to, const void* from, size_t n), (to, from, n))
FORWARD(int, dlclose, (void* handle), (handle))

/* Linux' library has no NNAPI, and says so. */
struct base {
  const void* (*api)(unsigned);
};

void* OrtSessionOptionsAppendExecutionProvider_Nnapi(void* options, unsigned flags) {
  (void)options, (void)flags;
  const struct base* (*base)(void);
  void* library = dlopen("libonnxruntime.so.1", RTLD_LAZY | RTLD_NOLOAD);
  *(void**)&base = dlsym(library, "OrtGetApiBase");
  void* (*const* functions)(int, const char*) = base()->api(1);
  return functions[0](9, "NNAPI is not there");
}
