// See logger.h.
#include "logger.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "failure.h"

namespace rvos::tensorrt {

namespace {

/// More than this would be noise; the first ones name the cause.
constexpr std::size_t kMostMessages = 50;
/// Said of every int64 input. rvos binds them as such.
constexpr const char* kKnown = "has Int64 binding";
constexpr const char* kScratch = "Max Scratch Memory: ";

void keep(std::vector<std::string>& messages, std::string message) {
  if (messages.size() >= kMostMessages) return;
  if (std::find(messages.begin(), messages.end(), message) != messages.end()) return;
  messages.push_back(std::move(message));
}

}  // namespace

std::shared_ptr<Logger> Logger::create() {
  static std::mutex mutex;
  static auto& pool = *new std::vector<std::shared_ptr<Logger>>;  // outlives every thread of TensorRT
  const std::lock_guard<std::mutex> lock(mutex);
  for (const std::shared_ptr<Logger>& logger : pool) {
    if (logger.use_count() == 1) {
      logger->clear();
      return logger;
    }
  }
  pool.push_back(std::make_shared<Logger>());
  return pool.back();
}

void Logger::record(const std::string& path) {
  const std::lock_guard<std::mutex> lock(mutex_);
  record_.open(path, std::ios::trunc);
  if (!record_.is_open()) throw Failure(code::kNotWritable, "cannot write " + path);
}

void Logger::log(Severity severity, const char* message) noexcept {
  try {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (record_.is_open()) record_ << "EEWIV"[std::min(static_cast<int>(severity), 4)] << ' ' << message << '\n';
    if (severity == Severity::kINTERNAL_ERROR || severity == Severity::kERROR) {
      keep(errors_, oneLine(message));
    } else if (severity == Severity::kWARNING) {
      if (std::strstr(message, kKnown) == nullptr) keep(warnings_, oneLine(message));
    } else if (const char* found = std::strstr(message, kScratch)) {
      const std::int64_t bytes = std::strtoll(found + std::strlen(kScratch), nullptr, 10);
      scratchBytes_ = std::max(scratchBytes_.value_or(0), bytes);
    }
  } catch (...) {
    // Out of memory: a message is lost, which must not end TensorRT's thread.
  }
}

std::vector<std::string> Logger::errors() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return errors_;
}

std::vector<std::string> Logger::warnings() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return warnings_;
}

std::string Logger::errorLine(const std::string& otherwise) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string line;
  for (const std::string& error : errors_) line += (line.empty() ? "" : "; ") + error;
  return line.empty() ? otherwise : line;
}

std::optional<std::int64_t> Logger::scratchBytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return scratchBytes_;
}

bool saysOutOfMemory(const std::string& words) {
  for (const char* sign : {"OutOfMemory", "out of memory", "OUT_OF_MEMORY", "bad_alloc"}) {
    if (words.find(sign) != std::string::npos) return true;
  }
  return false;
}

void Logger::clear() {
  const std::lock_guard<std::mutex> lock(mutex_);
  errors_.clear();
  warnings_.clear();
  scratchBytes_.reset();
  record_ = std::ofstream();
}

}  // namespace rvos::tensorrt
