/* libcupti and libcuda, opened by name. */
#include <dlfcn.h>

#include "shim.h"

hs_libcupti cupti;
hs_libcuda cuda;
char error_text[512];
hs_head head = {.magic = "HCUPTI1", .abi = HS_ABI, .header_version = CUPTI_API_VERSION};

int failed(const char *what, CUptiResult result) {
  const char *name = NULL;
  if (cupti.cuptiGetResultString) cupti.cuptiGetResultString(result, &name);
  snprintf(error_text, sizeof error_text, "%s: %s (%d)", what, name ? name : "error", (int)result);
  return (int)result;
}

const char *hs_error(void) { return error_text; }
int hs_abi(void) { return HS_ABI; }
uint32_t hs_header_version(void) { return CUPTI_API_VERSION; }
uint32_t hs_library_version(void) { return head.library_version; }
int hs_driver_version(void) { return head.driver_version; }
int hs_start_result(void) { return head.start_result; }
int64_t hs_ignored_starts(void) { return head.ignored_starts; }

/* 0, or -1 with hs_error set. Does not touch the GPU. */
int hs_load(const char *path) {
  if (cupti.handle) return 0;
  void *handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (!handle) {
    snprintf(error_text, sizeof error_text, "%s", dlerror());
    return -1;
  }
#define RESOLVE(name)                                                                \
  if (!(*(void **)&cupti.name = dlsym(handle, #name))) {                              \
    snprintf(error_text, sizeof error_text, "%s has no " #name, path);                \
    return -1;                                                                        \
  }
  FUNCTIONS(RESOLVE)
  *(void **)&cupti.runtime_api = dlsym(handle, "cuptiActivityEnableRuntimeApi");
  *(void **)&cupti.driver_api = dlsym(handle, "cuptiActivityEnableDriverApi");
  *(void **)&cupti.finalize = dlsym(handle, "cuptiFinalize");
  CUptiResult result = cupti.cuptiGetVersion(&head.library_version);
  if (result != CUPTI_SUCCESS) {
    failed("cuptiGetVersion", result);
    return -1;
  }
  cupti.handle = handle;
  return 0;
}

/* 0 when libcuda answers, -1 when there is none. */
int load_driver(void) {
  if (cuda.cuCtxSynchronize) return 0;
  void *handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (!handle) {
    snprintf(error_text, sizeof error_text, "%s", dlerror());
    return -1;
  }
#define RESOLVE_DRIVER(name, arguments)                                               \
  if (!(*(void **)&cuda.name = dlsym(handle, #name))) {                               \
    snprintf(error_text, sizeof error_text, "libcuda has no " #name);                 \
    return -1;                                                                        \
  }
  DRIVER_FUNCTIONS(RESOLVE_DRIVER)
  cuda.cuDriverGetVersion(&head.driver_version);
  return 0;
}
