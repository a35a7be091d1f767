// Between our plain types and LibTorch's tensors, and the few settings both sides share.
//
//   use_base_threads();                                        // after set_threads()
//   torch::Tensor x = borrow_matrix(vectors);                  // no copy; `vectors` must outlive x
//   Matrix scores = to_matrix(torch::matmul(u, x.t()));
//
// Errors: Error{kCorrupt} when named tensors do not fit a module.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kindling/base/matrix.h"
#include "kindling/nn/torch.h"

namespace kindling::nn {

// Gives LibTorch the thread count of base/parallel.h: the one place where it is set. Also has the C
// library keep memory that tensors have freed.
void use_base_threads();

// [rows, cols] float32 on the memory of `matrix`, which must outlive it and is never written.
torch::Tensor borrow_matrix(const MatrixView& matrix);
torch::Tensor copy_matrix(const MatrixView& matrix);
// A copy of a tensor [rows, cols] of any device and floating type.
Matrix to_matrix(const torch::Tensor& tensor);
// [values.size()] int64 on `device`, copied.
torch::Tensor index_tensor(std::span<const std::int64_t> values, torch::Device device);

// The float32 values of a contiguous CPU tensor; null for an undefined one.
float* floats_of(const torch::Tensor& tensor);
// Whether a gradient of one of these will be asked for; undefined tensors count as constants.
bool wants_gradient(std::initializer_list<torch::Tensor> tensors);

// The parameters of a module, nested modules' names joined by dots, in order of registration.
using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;
NamedTensors named_parameters(const torch::nn::Module& module);

// Copies `tensors` into the module's parameters of the same names. Every parameter must occur and
// have the same shape; names that the module does not know are refused.
void load_parameters(torch::nn::Module& module, const NamedTensors& tensors);

}  // namespace kindling::nn
