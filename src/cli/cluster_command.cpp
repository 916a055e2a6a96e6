#include <cmath>
#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "analysis/kmeans.h"
#include "analysis/silhouette.h"
#include "base/json.h"
#include "base/try.h"
#include "cli/cluster_picture.h"
#include "cli/cluster_vectors.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "job/row_texts.h"
#include "store/file_io.h"
#include "store/npy.h"
#include "view/display_text.h"

namespace layerscope::cli {
namespace {

/// What is told about a corpus.
struct Report {
  KMeans clusters;
  std::optional<Silhouette> apart;
  std::vector<std::vector<std::int64_t>> nearest;  ///< row numbers
  std::map<std::int64_t, std::string> texts;
};

/// [rows] int32 in the order of the row numbers, or a line a row.
std::string labels_text(const Corpus& corpus, const CorpusVectors& vectors, const KMeans& clusters, bool json_lines) {
  if (!json_lines) {
    std::string out = npy_header(DType::kI32, {static_cast<std::int64_t>(clusters.labels.size())});
    out.append(reinterpret_cast<const char*>(clusters.labels.data()), clusters.labels.size() * sizeof(std::uint32_t));
    return out;
  }
  std::string out;
  for (std::size_t i = 0; i < clusters.labels.size(); ++i) {
    const std::optional<std::string> id = corpus.id(vectors.numbers[i]);
    out += fmt::format("{{\"row\":{},\"id\":{},\"label\":{},\"distance\":", vectors.numbers[i], id.value_or("null"),
                       clusters.labels[i]);
    append_json_number(out, std::sqrt(clusters.distances[i]));
    out += "}\n";
  }
  return out;
}

Status write_labels(const ClusterArguments& arguments, const Corpus& corpus, const CorpusVectors& vectors,
                    const KMeans& clusters) {
  const std::string text = labels_text(corpus, vectors, clusters, arguments.output.ends_with(".jsonl"));
  const std::filesystem::path path(arguments.output);
  const std::string folder = path.parent_path().string();
  return replace_file(folder.empty() ? "." : folder, path.filename().string(), text);
}

template <class Item>
std::string json_list(const std::vector<Item>& items, const std::function<std::string(const Item&)>& one) {
  std::string out = "[";
  for (const Item& item : items) out += (out.size() > 1 ? "," : "") + one(item);
  return out + "]";
}

std::string report_json(const ClusterArguments& arguments, const CorpusVectors& vectors, const Report& report) {
  const KMeans& clusters = report.clusters;
  std::string out = fmt::format(
      "{{\"k\":{},\"seed\":{},\"rows\":{},\"width\":{},\"normalized\":{},\"iterations\":{},"
      "\"converged\":{},\"inertia\":",
      clusters.k, arguments.seed, vectors.numbers.size(), vectors.width, vectors.normalized, clusters.iterations,
      clusters.converged);
  append_json_number(out, clusters.inertia);
  out += ",\"silhouette\":";
  if (report.apart) {
    append_json_number(out, report.apart->mean);
    out += fmt::format(",\"silhouette_rows\":{}", report.apart->rows);
  } else {
    out += "null,\"silhouette_rows\":0";
  }
  const auto number = [](const std::int64_t& row) { return std::to_string(row); };
  const auto text = [&](const std::int64_t& row) -> std::string {
    const auto found = report.texts.find(row);
    if (found == report.texts.end()) return "null";
    std::string quoted;
    append_json_string(quoted, found->second);
    return quoted;
  };
  using Rows = std::vector<std::int64_t>;
  out += ",\"sizes\":" + json_list<std::size_t>(clusters.sizes, [](const auto& size) { return std::to_string(size); });
  out += ",\"nearest\":" +
         json_list<Rows>(report.nearest, [&](const Rows& rows) { return json_list<std::int64_t>(rows, number); });
  if (!arguments.texts.empty()) {
    out += ",\"texts\":" +
           json_list<Rows>(report.nearest, [&](const Rows& rows) { return json_list<std::int64_t>(rows, text); });
  }
  return out + "}\n";
}

std::string report_text(const ClusterArguments& arguments, const CorpusVectors& vectors, const Report& report,
                        const Terminal& terminal) {
  const KMeans& clusters = report.clusters;
  std::string apart = "no silhouette";
  if (report.apart) {
    apart = fmt::format("silhouette {:.3f}", report.apart->mean);
    if (report.apart->rows < vectors.numbers.size())
      apart += fmt::format(" of {} rows drawn", count_text(static_cast<std::int64_t>(report.apart->rows)));
  }
  const auto rows = count_text(static_cast<std::int64_t>(vectors.numbers.size()));
  std::string out = fmt::format("{}: {} vectors{} in {} {}\ninertia {:.6g}, {}\n\n", visible(arguments.run), rows,
                                vectors.normalized ? " of length 1" : "", clusters.k,
                                clusters.k == 1 ? "cluster" : "clusters", clusters.inertia, apart);
  std::vector<std::vector<std::string>> shown(clusters.k);
  for (std::size_t k = 0; k < clusters.k; ++k) {
    std::string numbers;
    for (const std::int64_t row : report.nearest[k]) {
      const auto text = report.texts.find(row);
      if (text != report.texts.end()) {
        shown[k].push_back(visible(text->second));
      } else {
        numbers += fmt::format("{}{}", numbers.empty() ? "rows " : ", ", row);
      }
    }
    if (!numbers.empty()) shown[k].push_back(numbers);
  }
  return out + draw_clusters(clusters, shown, terminal);
}

}  // namespace

Result<int> run_cluster(const ClusterArguments& arguments, Context& context) {
  if (!arguments.output.empty() && !arguments.overwrite && path_exists(arguments.output))
    return Error{ErrorCode::kUsage, arguments.output + ": exists already; --overwrite replaces it"};
  LAYERSCOPE_ASSIGN(const Corpus corpus, Corpus::open(arguments.run, arguments.site, arguments.allow_incomplete));
  LAYERSCOPE_ASSIGN(const CorpusVectors vectors, load_vectors(corpus, arguments.normalize));
  KMeansOptions options;
  options.k = arguments.k;
  options.seed = arguments.seed;
  options.max_iterations = arguments.max_iterations;
  options.threads = context.common.threads;
  Result<KMeans> found = k_means(vectors.view(), options);
  if (!found) return Error{found.error().code, arguments.run + ": " + found.error().message};

  Report report;
  report.clusters = std::move(found).value();
  LAYERSCOPE_ASSIGN(report.apart, silhouette(vectors.view(), report.clusters.labels, arguments.k, arguments.seed,
                                             context.common.threads));
  std::vector<std::int64_t> wanted;
  for (const std::vector<std::size_t>& rows : nearest_rows(report.clusters, arguments.nearest)) {
    report.nearest.emplace_back();
    for (const std::size_t row : rows) report.nearest.back().push_back(vectors.numbers[row]);
    wanted.insert(wanted.end(), report.nearest.back().begin(), report.nearest.back().end());
  }
  if (!arguments.texts.empty()) {
    if (corpus.manifest() != nullptr) LAYERSCOPE_TRY(check_texts(arguments.texts, *corpus.manifest(), arguments.run));
    LAYERSCOPE_ASSIGN(report.texts, row_texts(arguments.texts, wanted));
  }
  if (!arguments.output.empty()) LAYERSCOPE_TRY(write_labels(arguments, corpus, vectors, report.clusters));

  context.out.write(context.common.json ? report_json(arguments, vectors, report)
                                        : report_text(arguments, vectors, report, context.terminal));
  if (!report.clusters.converged) {
    context.messages.note(fmt::format("{}: rows still changed their cluster after {} rounds (--max-iterations)",
                                      arguments.run, report.clusters.iterations));
  }
  if (!arguments.output.empty()) {
    context.messages.note(fmt::format("{}: the cluster of each of {} rows", arguments.output,
                                      count_text(static_cast<std::int64_t>(vectors.numbers.size()))));
  }
  return 0;
}

}  // namespace layerscope::cli
