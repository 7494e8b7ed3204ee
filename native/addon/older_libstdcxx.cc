// The one function of GCC 11's libstdc++ that the headers of newer compilers call and older libraries lack. With our own,
// an addon that is compiled on today's Linux loads wherever Node itself does (GLIBCXX_3.4.21: GCC 5).
#include <new>

#if defined(__GLIBCXX__) && defined(__linux__)
namespace std {
[[noreturn]] __attribute__((visibility("hidden"))) void __throw_bad_array_new_length() {
  throw bad_array_new_length();
}
}  // namespace std
#endif
