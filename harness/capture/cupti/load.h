/* libcupti and libcuda by name. Neither is linked: hs_load opens the very file that PyTorch uses, so
 * that no second one is ever loaded, and libcuda is already in the process or there is no GPU. */
#ifndef HS_LOAD_H
#define HS_LOAD_H

#include <dlfcn.h>
#include <stdio.h>

#include "walk.h"

#define HS __attribute__((visibility("default")))
#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

#define FUNCTIONS(F)                                                                    \
  F(cuptiGetVersion) F(cuptiGetResultString) F(cuptiGetTimestamp) F(cuptiSubscribe)       \
  F(cuptiUnsubscribe) F(cuptiEnableCallback) F(cuptiActivityRegisterCallbacks)            \
  F(cuptiActivityEnable) F(cuptiActivityDisable) F(cuptiActivityFlushAll)                 \
  F(cuptiActivityGetNextRecord) F(cuptiActivityGetNumDroppedRecords)                      \
  F(cuptiActivitySetAttribute) F(cuptiGetCallbackName) F(cuptiSetThreadIdType)

#define DECLARE(name) __typeof__(&name) name;
static struct {
  void *handle;
  FUNCTIONS(DECLARE)
  CUptiResult (*runtime_api)(CUpti_CallbackId, uint8_t); /* absent before 12.6 */
  CUptiResult (*driver_api)(CUpti_CallbackId, uint8_t);
} cupti;

#define DRIVER_FUNCTIONS(F)                                                             \
  F(cuDriverGetVersion, (int *))                                                        \
  F(cuDeviceGetCount, (int *))                                                          \
  F(cuDevicePrimaryCtxGetState, (int, unsigned *, int *))                               \
  F(cuDevicePrimaryCtxRetain, (void **, int))                                           \
  F(cuDevicePrimaryCtxRelease_v2, (int))                                                \
  F(cuCtxPushCurrent_v2, (void *))                                                      \
  F(cuCtxPopCurrent_v2, (void **))                                                      \
  F(cuStreamIsCapturing, (void *, int *))                                               \
  F(cuCtxSynchronize, (void))

#define DECLARE_DRIVER(name, arguments) int(*name) arguments;
static struct {
  DRIVER_FUNCTIONS(DECLARE_DRIVER)
} cuda;

static char error_text[512];
static hs_head head = {.magic = "HCUPTI1", .abi = HS_ABI, .header_version = CUPTI_API_VERSION};

static int failed(const char *what, CUptiResult result) {
  const char *name = NULL;
  if (cupti.cuptiGetResultString) cupti.cuptiGetResultString(result, &name);
  snprintf(error_text, sizeof error_text, "%s: %s (%d)", what, name ? name : "error", (int)result);
  return (int)result;
}

HS const char *hs_error(void) { return error_text; }
HS int hs_abi(void) { return HS_ABI; }
HS uint32_t hs_header_version(void) { return CUPTI_API_VERSION; }
HS uint32_t hs_library_version(void) { return head.library_version; }
HS int hs_driver_version(void) { return head.driver_version; }
HS int hs_start_result(void) { return head.start_result; }
HS int64_t hs_ignored_starts(void) { return head.ignored_starts; }

/* 0, or -1 with hs_error set. Does not touch the GPU. */
HS int hs_load(const char *path) {
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
  CUptiResult result = cupti.cuptiGetVersion(&head.library_version);
  if (result != CUPTI_SUCCESS) {
    failed("cuptiGetVersion", result);
    return -1;
  }
  cupti.handle = handle;
  return 0;
}

/* 0 when libcuda answers, -1 when there is none. */
static int load_driver(void) {
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

#endif
