// What a command line that cannot be parsed is told: what is wrong, where, and what is near.
#pragma once

#include <CLI/CLI.hpp>

#include "kindling/base/error.h"

namespace kindling::cli {

// `caught` is no request for help. An unknown verb or option comes first: what else is wrong may
// only follow from it.
Error explain(const CLI::App& app, const CLI::ParseError& caught);

}  // namespace kindling::cli
