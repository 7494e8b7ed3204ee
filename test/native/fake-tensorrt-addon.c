/* An addon with the face of rvos_tensorrt.node as far as loading goes; the names of its "libraries" say how it behaves:
 * infer: works, missing, version, crash, hang; parser: gpu-<compute capability>, none, crash. */
#include <node_api.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char parser[64] = "none";

static napi_value text(napi_env env, const char* value) {
  napi_value result;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

static napi_value number(napi_env env, double value) {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}

static void fail(napi_env env, const char* code, const char* message) { napi_throw_error(env, code, message); }

static void property(napi_env env, napi_value object, const char* name, char* value, size_t size) {
  napi_value field;
  napi_get_named_property(env, object, name, &field);
  napi_get_value_string_utf8(env, field, value, size, NULL);
}

static napi_value load(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value options, result;
  char infer[64] = "";
  napi_get_cb_info(env, info, &count, &options, NULL, NULL);
  property(env, options, "infer", infer, sizeof infer);
  property(env, options, "parser", parser, sizeof parser);
  if (strcmp(infer, "crash") == 0) raise(SIGSEGV);
  if (strcmp(infer, "hang") == 0) sleep(60);
  if (strcmp(infer, "missing") == 0) fail(env, "LIBRARY_MISSING", "cannot open libnvinfer.so.11: no such file");
  if (strcmp(infer, "version") == 0) fail(env, "LIBRARY_VERSION", "libnvinfer.so.9 is version 9.1");
  puts("a library that talks");
  fflush(stdout);
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "libraryVersion", text(env, "1.7.1.116"));
  return result;
}

static napi_value targets(napi_env env, napi_callback_info info) {
  napi_value list;
  (void)info;
  napi_create_array(env, &list);
  napi_set_element(env, list, 0, number(env, 86));
  return list;
}

static napi_value devices(napi_env env, napi_callback_info info) {
  napi_value list, device;
  (void)info;
  if (strcmp(parser, "crash") == 0) abort();
  if (strncmp(parser, "gpu-", 4) != 0) {
    fail(env, "NO_DEVICE", "no NVIDIA GPU was found");
    return NULL;
  }
  napi_create_array(env, &list);
  napi_create_object(env, &device);
  napi_set_named_property(env, device, "name", text(env, "a GPU"));
  napi_set_named_property(env, device, "computeCapability", number(env, atoi(parser + 4)));
  napi_set_element(env, list, 0, device);
  return list;
}

#ifdef NEEDS_LIBRARY
extern int function_of_a_library(void);
#endif

NAPI_MODULE_INIT() {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {{"load", load}, {"aheadOfTimeTargets", targets}, {"devices", devices}};
#ifdef NEEDS_LIBRARY
  function_of_a_library();
#endif
  for (size_t i = 0; i < sizeof functions / sizeof *functions; ++i) {
    napi_value value;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &value);
    napi_set_named_property(env, exports, functions[i].name, value);
  }
  napi_set_named_property(env, exports, "version", text(env, VERSION));
  napi_set_named_property(env, exports, "headerVersion", text(env, "1.7.1"));
  napi_set_named_property(env, exports, "cudaVersion", text(env, "13.0"));
  return exports;
}
