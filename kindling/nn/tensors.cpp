#include "kindling/nn/tensors.h"

#include <algorithm>
#include <sstream>

#if defined(__linux__)
#include <malloc.h>
#endif

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"

namespace kindling::nn {

namespace {

std::string shape_text(const torch::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

// A step frees its tensors and asks for the same sizes again. By itself the C library gives such
// memory back to the system and faults it in anew, page by page: up to half of SASRec's time.
void keep_freed_memory() {
#if defined(__GLIBC__)
  static const bool once = [] {
    mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the most that it allows
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    return true;
  }();
  static_cast<void>(once);
#endif
}

}  // namespace

void use_base_threads() {
  at::set_num_threads(threads());
  keep_freed_memory();
}

torch::Tensor borrow_matrix(const MatrixView& matrix) {
  // from_blob wants a pointer it may write to; nobody writes to a tensor that asks for no gradient.
  return torch::from_blob(
      const_cast<float*>(matrix.data()),
      {static_cast<std::int64_t>(matrix.rows()), static_cast<std::int64_t>(matrix.cols())},
      torch::kFloat32);
}

torch::Tensor copy_matrix(const MatrixView& matrix) { return borrow_matrix(matrix).clone(); }

Matrix to_matrix(const torch::Tensor& tensor) {
  check(tensor.dim() == 2, "a matrix is made from a tensor of two dimensions");
  const torch::Tensor plain = tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous();
  Matrix matrix(static_cast<std::size_t>(plain.size(0)), static_cast<std::size_t>(plain.size(1)));
  std::copy_n(plain.data_ptr<float>(), plain.numel(), matrix.data());
  return matrix;
}

torch::Tensor index_tensor(std::span<const std::int64_t> values, torch::Device device) {
  torch::Tensor indices = torch::empty({static_cast<std::int64_t>(values.size())}, torch::kInt64);
  std::copy(values.begin(), values.end(), indices.data_ptr<std::int64_t>());
  return indices.to(device);
}

float* floats_of(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

bool wants_gradient(std::initializer_list<torch::Tensor> tensors) {
  return torch::GradMode::is_enabled() &&
         std::any_of(tensors.begin(), tensors.end(), [](const torch::Tensor& tensor) {
           return tensor.defined() && tensor.requires_grad();
         });
}

NamedTensors named_parameters(const torch::nn::Module& module) {
  NamedTensors tensors;
  for (const auto& item : module.named_parameters()) {
    tensors.emplace_back(item.key(), item.value().detach());
  }
  return tensors;
}

void load_parameters(torch::nn::Module& module, const NamedTensors& tensors) {
  const torch::NoGradGuard no_gradients;
  auto parameters = module.named_parameters();
  for (const auto& [name, values] : tensors) {
    torch::Tensor* parameter = parameters.find(name);
    if (parameter == nullptr) {
      throw Error(Kind::kCorrupt, "there is no parameter of this name", quote(name),
                  "the file belongs to a network with other options");
    }
    if (parameter->sizes() != values.sizes()) {
      throw Error(Kind::kCorrupt,
                  "shape " + shape_text(values) + ", expected " + shape_text(*parameter),
                  quote(name), "the file belongs to a network with other options");
    }
  }
  for (auto& item : parameters) {
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const auto& named) { return named.first == item.key(); });
    if (found == tensors.end()) {
      throw Error(Kind::kCorrupt, "the parameter is missing", quote(item.key()),
                  "the file belongs to a network with other options");
    }
    item.value().copy_(found->second);
  }
}

}  // namespace kindling::nn
