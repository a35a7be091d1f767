// Files of candidate lists: the input is the whole file.
#include "fuzz/reader_fuzz.h"
#include "kindling/data/candidate_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kindling;
  static const Dataset shop = [] {
    DatasetBuilder builder(false);
    for (const char* user : {"u", "v"}) {
      for (const char* item : {"a", "b"}) builder.add(builder.user(user), builder.item(item), 0);
    }
    for (const char* item : {"c", "d", "e"}) builder.item(item);
    return std::move(builder).build("shop");
  }();
  fuzz::write("lists.candidates", {reinterpret_cast<const char*>(data), size});
  try {
    const CandidateFile file = load_candidate_file(fuzz::folder() + "/lists.candidates", shop);
    for (const ItemId item : file.lists) {
      if (item >= shop.item_count()) std::abort();
    }
  } catch (const Error& error) {
    fuzz::expect_users_mistake(error);
  }
  return 0;
}
