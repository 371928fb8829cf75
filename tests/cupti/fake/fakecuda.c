/* A libcuda with one device and nothing behind it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int cuDriverGetVersion(int *version) {
  const char *named = getenv("FAKE_CUDA_DRIVER");
  *version = named ? atoi(named) : 13000;
  return 0;
}
int cuInit(unsigned flags) { return (int)(flags & 0); }
int cuDeviceGetCount(int *count) { return *count = 1, 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
  return *flags = 0, *active = 1, device;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { return *context = &cuInit, device; }
int cuDevicePrimaryCtxRelease_v2(int device) { return device; }
int cuCtxPushCurrent_v2(void *context) { return context == NULL; }
int cuCtxPopCurrent_v2(void **context) { return *context = NULL, 0; }
/* FAKE_CUDA_CAPTURING: 906, as while a blocking stream captures. */
int cuStreamIsCapturing(void *stream, int *status) {
  (void)stream;
  return *status = 0, getenv("FAKE_CUDA_CAPTURING") ? 906 : 0;
}
/* FAKE_CUPTI_STAYS: no callback at its end, so CUPTI cannot be let go of. */
int cuCtxSynchronize(void) {
  void (*seen)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "fake_ctx_synchronize");
  if (seen && !getenv("FAKE_CUPTI_STAYS")) seen();
  return 0;
}
int cuDeviceGetName(char *name, int length, int device) {
  return strncpy(name, "Fake GPU", (size_t)length), device;
}
int cuDeviceGetUuid(unsigned char *uuid, int device) { return memset(uuid, 7, 16), device; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { return *bytes = 1u << 30, device; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  return *value = attribute, device;
}
