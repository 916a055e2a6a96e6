#include "cli/cli.h"

int main(int argc, char** argv) { return layerscope::cli_main(argc, argv, {}); }
