#include "job/chat_rows.h"

#include <utility>

#include "base/hash.h"
#include "base/json.h"
#include "base/try.h"

namespace layerscope {
namespace {

class ChatRows final : public RowReader {
 public:
  ChatRows(std::unique_ptr<RowReader> rows, std::unique_ptr<ChatTemplate> chat, ChatSettings settings)
      : rows_(std::move(rows)), chat_(std::move(chat)), settings_(std::move(settings)) {
    Hasher hasher;
    hasher.update(chat_->identity());
    const ChatOptions& options = settings_.options;
    Json::Array date;
    if (options.date) {
      for (const std::int32_t part : *options.date) date.emplace_back(std::int64_t{part});
    }
    hasher.update(Json(Json::Array{settings_.system ? Json(*settings_.system) : Json(), Json(options.name),
                                   Json(std::move(date)), Json(options.add_generation_prompt)})
                      .dump());
    kind_ = std::string(rows_->kind()) + " as chat " + hasher.hex();
  }

  Result<std::optional<InputRow>> next() override {
    LAYERSCOPE_ASSIGN(std::optional<InputRow> row, rows_->next());
    if (!row || row->bad || row->row.ids) return row;
    Result<std::string> text = rendered(*row);
    if (!text && text.error().code != ErrorCode::kInput) return std::move(text).error();
    if (text) {
      row->row.text = std::move(text).value();
    } else {
      row->bad = Error{ErrorCode::kInput, row->where + ": " + text.error().message};
    }
    row->messages.reset();
    return row;
  }
  std::uint64_t bytes() const override { return rows_->bytes(); }
  std::string prefix_hash() const override { return rows_->prefix_hash(); }
  std::optional<std::uint64_t> total_bytes() const override { return rows_->total_bytes(); }
  std::string_view kind() const override { return kind_; }

 private:
  Result<std::string> rendered(const InputRow& row) const {
    if (row.row.pair) return Error{ErrorCode::kInput, "has a \"pair\", which is no part of a conversation"};
    if (!row.messages) return chat_->render(chat_messages(settings_.system, *row.row.text), settings_.options);
    if (row.row.text) return Error{ErrorCode::kInput, "has both \"text\" and \"messages\""};
    if (settings_.system) return Error{ErrorCode::kInput, "has \"messages\", to which --system adds nothing"};
    LAYERSCOPE_ASSIGN(const Json messages, parse_json(*row.messages, "\"messages\"", ErrorCode::kInput));
    return chat_->render(messages, settings_.options);
  }

  std::unique_ptr<RowReader> rows_;
  std::unique_ptr<ChatTemplate> chat_;
  ChatSettings settings_;
  std::string kind_;
};

}  // namespace

Result<std::unique_ptr<RowReader>> chat_rows(std::unique_ptr<RowReader> rows, const std::string& folder,
                                             ChatSettings settings) {
  LAYERSCOPE_ASSIGN(std::unique_ptr<ChatTemplate> chat, ChatTemplate::open_folder(folder));
  if (chat == nullptr) {
    return Error{ErrorCode::kModel, folder +
                                        ": has no chat template (neither chat_template.jinja nor \"chat_template\" "
                                        "in tokenizer_config.json)"};
  }
  return std::unique_ptr<RowReader>(std::make_unique<ChatRows>(std::move(rows), std::move(chat), std::move(settings)));
}

}  // namespace layerscope
