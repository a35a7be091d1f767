#include "kindling/base/hash.h"

#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"

namespace kindling {

struct Sha256::Context {
  EVP_MD_CTX* handle = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(handle); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  check(EVP_DigestInit_ex(context_->handle, EVP_sha256(), nullptr) == 1, "SHA-256 did not start");
}

Sha256::~Sha256() = default;

Sha256& Sha256::add(std::string_view bytes) {
  check(EVP_DigestUpdate(context_->handle, bytes.data(), bytes.size()) == 1, "SHA-256 failed");
  return *this;
}

Sha256& Sha256::add(std::span<const std::byte> bytes) {
  return add({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  check(EVP_DigestFinal_ex(context_->handle, digest.data(), &size) == 1, "SHA-256 failed");
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string sha256(std::string_view bytes) { return Sha256().add(bytes).hex(); }

std::string sha256_file(const std::string& path) {
  const MappedFile file(path);
  return Sha256().add(file.bytes()).hex();
}

}  // namespace kindling
