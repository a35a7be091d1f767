// SHA-256 for manifests, caches and fingerprints. OpenSSL does the work.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace kindling {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& add(std::string_view bytes);
  Sha256& add(std::span<const std::byte> bytes);
  // 64 lower-case hex digits; the object is finished afterwards.
  std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256(std::string_view bytes);
std::string sha256_file(const std::string& path);

}  // namespace kindling
