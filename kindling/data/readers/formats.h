// What the table in reader.cpp points to: describe_X and read_X of each format, defined in X.cpp.
#pragma once

#include "kindling/data/readers/reader.h"

namespace kindling {

std::vector<OptionInfo> describe_sequences();
Dataset read_sequences(const std::vector<std::string>& paths, const ReaderValues& values,
                       ImportReport& report);
std::vector<OptionInfo> describe_csv();
Dataset read_csv(const std::vector<std::string>& paths, const ReaderValues& values,
                 ImportReport& report);
std::vector<OptionInfo> describe_recbole();
Dataset read_recbole(const std::vector<std::string>& paths, const ReaderValues& values,
                     ImportReport& report);
std::vector<OptionInfo> describe_movielens();
Dataset read_movielens(const std::vector<std::string>& paths, const ReaderValues& values,
                       ImportReport& report);
std::vector<OptionInfo> describe_amazon();
Dataset read_amazon(const std::vector<std::string>& paths, const ReaderValues& values,
                    ImportReport& report);
std::vector<OptionInfo> describe_mind();
Dataset read_mind(const std::vector<std::string>& paths, const ReaderValues& values,
                  ImportReport& report);
std::vector<OptionInfo> describe_taobao();
Dataset read_taobao(const std::vector<std::string>& paths, const ReaderValues& values,
                    ImportReport& report);

}  // namespace kindling
