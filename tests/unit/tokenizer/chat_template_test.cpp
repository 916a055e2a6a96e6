// Chat templates: the texts of transformers, and templates that mean harm.
#include "tokenizer/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace layerscope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ChatTemplates : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) { folder_.write(name, text); }
  std::unique_ptr<ChatTemplate> open() {
    auto chat = ChatTemplate::open_folder(folder_.path().string());
    EXPECT_TRUE(chat.ok()) << chat.error().message;
    return chat.ok() ? std::move(chat).value() : nullptr;
  }
  Result<std::string> render(const std::string& text, const ChatOptions& options = {}) {
    write("chat_template.jinja", text);
    const auto chat = open();
    if (chat == nullptr) return Error{ErrorCode::kModel, "not opened"};
    return chat->render(chat_messages(std::nullopt, "Hi"), options);
  }
  // The message of a template's failure.
  std::string failure(const std::string& text, ErrorCode code = ErrorCode::kModel) {
    const auto rendered = render(text);
    EXPECT_FALSE(rendered.ok()) << text << " made " << rendered->substr(0, 100);
    if (rendered.ok()) return "";
    EXPECT_EQ(rendered.error().code, code) << rendered.error().message;
    EXPECT_THAT(rendered.error().message, HasSubstr("chat_template.jinja"));
    EXPECT_EQ(rendered.error().message.find('\n'), std::string::npos);
    return rendered.error().message;
  }
  test::TempFolder folder_;
};

TEST_F(ChatTemplates, MakeTheTextsOfTransformers) {
  const auto json =
      read_json_file(std::string(LAYERSCOPE_SOURCE_DIR) + "/tests/data/chat/cases.json", ErrorCode::kRuntime);
  ASSERT_TRUE(json.ok()) << json.error().message;
  write("tokenizer_config.json", json->find("tokens")->dump());
  int texts = 0, refused = 0;
  for (const Json& one : *json->find("cases")->array()) {
    const std::string& name = *one.find("template")->string();
    SCOPED_TRACE(name + " of " + one.find("messages")->dump());
    write("chat_template.jinja", *json->find("templates")->find(name)->string());
    const auto chat = open();
    ASSERT_NE(chat, nullptr);
    const auto rendered =
        chat->render(*one.find("messages"), {.add_generation_prompt = *one.find("add_generation_prompt")->boolean()});
    const std::string* text = one.find("text")->string();
    if (text == nullptr) {
      ++refused;
      EXPECT_FALSE(rendered.ok());
    } else {
      ++texts;
      ASSERT_TRUE(rendered.ok()) << rendered.error().message;
      EXPECT_EQ(*rendered, *text);
    }
  }
  EXPECT_GE(texts, 140);
  EXPECT_GE(refused, 20);
}

TEST_F(ChatTemplates, AreFoundWhereTransformersLooks) {
  EXPECT_EQ(open(), nullptr);
  write("tokenizer_config.json",
        R"({"bos_token":{"content":"<s>","lstrip":false},"chat_template":"one {{ bos_token }}"})");
  EXPECT_EQ(open()->render(chat_messages("s", "u")).value(), "one <s>");
  write("tokenizer_config.json",
        R"({"chat_template":[{"name":"default","template":"a"},{"name":"tool_use","template":"b"}]})");
  EXPECT_THAT(open()->names(), ElementsAre("default", "tool_use"));
  EXPECT_EQ(open()->render(chat_messages({}, "u"), {.name = "tool_use"}).value(), "b");
  write("chat_template.jinja", "file");
  write("additional_chat_templates/rag.jinja", "more");
  EXPECT_THAT(open()->names(), ElementsAre("default", "rag", "tool_use"));
  EXPECT_EQ(open()->render(chat_messages({}, "u")).value(), "file");
  const auto unknown = open()->render(chat_messages({}, "u"), {.name = "no"});
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::kUsage);
  EXPECT_THAT(unknown.error().message, HasSubstr("no chat template \"no\", the folder has default, rag, tool_use"));
  write("tokenizer_config.json", R"({"chat_template":[{"name":"a"}]})");
  const auto damaged = ChatTemplate::open_folder(folder_.path().string());
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code, ErrorCode::kModel);
}

TEST_F(ChatTemplates, TodayIsWhatTheCallerSays) {
  EXPECT_THAT(failure("{{ strftime_now('%d %b %Y') }}", ErrorCode::kInput), HasSubstr("today's date"));
  EXPECT_EQ(render("{{ strftime_now('%d %b %Y|%A|%j|%y-%m-%d %B') }}", {.date = {{2024, 12, 31}}}).value(),
            "31 Dec 2024|Tuesday|366|24-12-31 December");
  EXPECT_EQ(render("{{ strftime_now('%a %-d') }}", {.date = {{2026, 2, 1}}}).value(), "Sun 1");
  EXPECT_FALSE(render("{{ strftime_now('%d') }}", {.date = {{2024, 13, 1}}}).ok());
}

TEST_F(ChatTemplates, RefuseAConversationInTheirOwnWords) {
  const std::string message = failure("{{ raise_exception('only\ntools') }}", ErrorCode::kInput);
  EXPECT_THAT(message, HasSubstr("refuses the conversation: only tools"));
  write("chat_template.jinja", "x");
  for (const char* messages : {"[]", "{}", "[1]", "[{\"content\":\"x\"}]"}) {
    const auto rendered = open()->render(parse_json(messages, "messages", ErrorCode::kInput).value());
    ASSERT_FALSE(rendered.ok()) << messages;
    EXPECT_EQ(rendered.error().code, ErrorCode::kInput);
  }
}

TEST_F(ChatTemplates, WhatIsNotSupportedIsNamed) {
  EXPECT_THAT(failure("a\n{% include 'x' %}"), HasSubstr("{% include %} is not supported (line 2)"));
  EXPECT_THAT(failure("{% extends 'x' %}"), HasSubstr("extends"));
  EXPECT_THAT(failure("{% import 'x' as y %}"), HasSubstr("import"));
  EXPECT_THAT(failure("{{ 'x' | wordwrap }}"), HasSubstr("wordwrap"));
  EXPECT_THAT(failure("{{ 'x' is strange }}"), HasSubstr("strange"));
  EXPECT_THAT(failure("{{ 'x'.zfill(3) }}"), HasSubstr("zfill"));
  EXPECT_THAT(failure("{{ lipsum() }}"), HasSubstr("lipsum"));
  EXPECT_THAT(failure("{% if %}"), HasSubstr("syntax error"));
  EXPECT_THAT(failure("{{ strange"), HasSubstr("syntax error"));
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST_F(ChatTemplates, ThatMeanHarmEndSoon) {
  const std::string forever = "{% for a in range(99999) %}{% for b in range(99999) %}";
  const std::string ends = "{% endfor %}{% endfor %}";
  EXPECT_THAT(failure(forever + "x" + ends), HasSubstr("steps"));
  EXPECT_THAT(failure(forever + ends), HasSubstr("steps"));
  EXPECT_THAT(failure("{% for a in range(99999) %}" + std::string(90000, 'x') + "{% endfor %}"),
              HasSubstr("exceeds a limit"));
  for (const char* text :
       {"{{ 'a' * 1000000000 }}", "{{ 1000000000 * 'a' }}", "{{ [0] * 1000000000 }}", "{{ range(1000000000) | list }}",
        "{{ ('a' * 100000).replace('a', 'a' * 100000) }}", "{{ ('a' * 100000) | replace('', 'b' * 100000) }}",
        "{{ ('a' * 100000).join('b' * 100000) }}", "{{ 'a' | indent(1000000000, true) }}",
        "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=1) %}{% for i in range(200) %}{% set ns.x = {'a': ns.x} %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set x %}{{ ns.x }}{{ ns.x }}{% endset %}{% set "
        "ns.x = x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ ns.x == "
        "ns.x }}"}) {
    EXPECT_THAT(failure(text), HasSubstr("exceeds a limit")) << text;
  }
  EXPECT_THAT(failure("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), HasSubstr("recursion"));
  EXPECT_FALSE(render("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}").ok());
  // A namespace that would hold itself holds a copy.
  EXPECT_TRUE(
      render("{% set ns = namespace(a=1) %}{% set ns.x = ns %}{% set ns.x = ns %}{{ ns.x == ns }}{{ ns }}").ok());
  EXPECT_FALSE(
      render("{% set ns = namespace(a=1) %}{% for i in range(300) %}{% set ns.x = ns %}{% endfor %}{{ ns }}").ok());
}

TEST_F(ChatTemplates, ThatAreNestedDeepEndSoon) {
  EXPECT_FALSE(render("{{ " + std::string(50000, '(') + "1").ok());
  EXPECT_FALSE(render("{{ " + repeated("[", 50000) + repeated("]", 50000) + " }}").ok());
  EXPECT_FALSE(render(repeated("{% if true %}", 10000) + repeated("{% endif %}", 10000)).ok());
  const auto chain = render("{{ 1" + repeated("+1", 100000) + " }}");
  ASSERT_TRUE(chain.ok()) << chain.error().message;
  EXPECT_EQ(*chain, "100001");
  EXPECT_TRUE(render("{{ 'a'" + repeated("|trim", 20000) + " }}").ok());
  EXPECT_FALSE(render("{{ x" + repeated(".x", 50000) + " }}").ok());
  EXPECT_FALSE(render(std::string(300000, 'x')).ok());
  for (const char* sign : {"not ", "-"}) EXPECT_NO_FATAL_FAILURE((void)render("{{ " + repeated(sign, 50000) + "1 }}"));
}

TEST_F(ChatTemplates, ReachNothing) {
  for (const char* text : {"{{ ''.__class__ }}", "{{ messages.__class__.__mro__ }}", "{{ messages[0].__init__ }}",
                           "{{ raise_exception.__globals__ }}", "{{ self._x }}"}) {
    EXPECT_THAT(failure(text), HasSubstr("is not accessible")) << text;
  }
  for (const char* text :
       {"{{ messages.append(1) }}", "{{ messages[0].update({'role': 'x'}) }}", "{{ messages.clear() }}",
        "{% set _layerscope_plain = 1 %}", "{{ _layerscope_plain(1) }}",
        "{% macro _layerscope_add(a, b) %}{% endmacro %}", "{% for _layerscope_add in [1] %}{% endfor %}"}) {
    EXPECT_FALSE(render(text).ok()) << text;
  }
  EXPECT_EQ(render("{{ ''['__class__'] }}{{ messages[0]['__class__'] }}").value(), "");
}

}  // namespace
}  // namespace layerscope
