// The shapes of every layer of a few texts: states MODEL TEXT...
#include <cstdio>

#include <layerscope/layerscope.h>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: states MODEL TEXT...\n");
    return 2;
  }
  const auto model = layerscope::Model::open(argv[1]);
  if (!model) {
    std::fprintf(stderr, "%s\n", model.error().message.c_str());
    return 4;
  }
  const std::vector<std::string> texts(argv + 2, argv + argc);
  const auto rows = (*model)->states(texts, {.request = {.layers = "all"}});
  if (!rows) {
    std::fprintf(stderr, "%s\n", rows.error().message.c_str());
    return 1;
  }
  for (const layerscope::RowStates& row : *rows) {
    for (const layerscope::StateBlock& block : row.sites) {
      std::printf("%s [%lld, %lld]  ", block.site.c_str(), static_cast<long long>(block.rows),
                  static_cast<long long>(block.width));
    }
    std::printf("\n");
  }
  return 0;
}
