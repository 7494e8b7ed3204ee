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
      noteError(oneLine(message));
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

void Logger::noteError(std::string message) {
  ++seen_;
  const auto same = std::find_if(errors_.begin(), errors_.end(), [&](const Noted& noted) { return noted.message == message; });
  if (same != errors_.end()) {
    // The same again is the reason of what has failed again.
    same->number = seen_;
    std::rotate(same, same + 1, errors_.end());
    return;
  }
  // An engine lives long: the oldest make room.
  if (errors_.size() >= kMostMessages) errors_.erase(errors_.begin());
  errors_.push_back({std::move(message), seen_});
}

std::vector<std::string> Logger::errors() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<std::string> messages;
  for (const Noted& noted : errors_) messages.push_back(noted.message);
  return messages;
}

std::uint64_t Logger::mark() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return seen_;
}

std::vector<std::string> Logger::warnings() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return warnings_;
}

std::string Logger::errorLine(const std::string& otherwise, std::uint64_t mark) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string line;
  for (const Noted& noted : errors_) {
    if (noted.number > mark) line += (line.empty() ? "" : "; ") + noted.message;
  }
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
  seen_ = 0;
  warnings_.clear();
  scratchBytes_.reset();
  record_ = std::ofstream();
}

}  // namespace rvos::tensorrt
