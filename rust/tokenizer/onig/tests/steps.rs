//! What patterns in use take of the budget, and that hostile ones end.

use std::panic::{catch_unwind, AssertUnwindSafe};

use onig::{budget, start_budget, steps_left, Exceeded, Regex};

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How many matches there are, or what was exceeded.
fn matches(pattern: &str, text: &str) -> Result<usize, String> {
    let regex = Regex::new(pattern).expect("the pattern compiles");
    start_budget(text.len());
    catch_unwind(AssertUnwindSafe(|| regex.find_iter(text).count()))
        .map_err(|payload| payload.downcast::<Exceeded>().expect("only limits unwind").0)
}

#[test]
fn patterns_in_use_stay_far_below_the_budget() {
    let size = 1 << 20;
    let units = [
        "a",
        " ",
        "日",
        "\n",
        "\r\n",
        "7",
        "!",
        "'",
        "a ",
        "e\u{301}",
        "'s'l",
        "👩‍👩‍👧",
        " \u{3000}\t",
        "it's 12345 done.\n",
    ];
    let mut texts: Vec<String> = units.iter().map(|unit| unit.repeat(size / unit.len())).collect();
    texts.push(" ".repeat(size) + "a");
    texts.push((" ".repeat(1000) + "a").repeat(size / 1001));
    for pattern in [GPT2, LLAMA3, QWEN2] {
        for text in &texts {
            assert!(matches(pattern, text).is_ok());
            let spent = budget(text.len()) - steps_left();
            let head: String = text.chars().take(8).collect();
            assert!(spent < 50 * text.len() as i64, "{spent} steps for {head:?}… under {pattern}");
        }
    }
}

#[test]
fn backtracking_is_ended() {
    let text = "a".repeat(64) + "!";
    for pattern in [r"(a+)+$", r"(a|aa)+$", r"(\w+\s?)+[?]|(\w+\s?)+$", r"(?=(a+)+$)a"] {
        let outcome = matches(pattern, &text);
        assert!(outcome.as_ref().is_err_and(|text| text.contains("limit")), "{pattern}: {outcome:?}");
    }
}

#[test]
fn quadratic_scans_without_backtracking_are_ended() {
    let text = "a".repeat(1 << 20) + "db";
    for pattern in ["(?>a*)[bc]", "a*b", "(?>(?:a)*)c|b", "(?:(?>.*)x|.)*?b$x|b"] {
        let outcome = matches(pattern, &text);
        assert!(outcome.as_ref().is_err_and(|text| text.contains("limit")), "{pattern}: {outcome:?}");
    }
}

#[test]
fn what_is_spent_depends_on_pattern_and_text_alone() {
    let spent: Vec<i64> = (0..5)
        .map(|_| {
            matches(LLAMA3, "it's  12345 \r\n done\n\n").expect("an ordinary text");
            budget(22) - steps_left()
        })
        .collect();
    assert!(spent.iter().all(|steps| *steps == spent[0] && *steps > 0), "{spent:?}");
}

#[test]
fn patterns_that_are_too_long_or_too_deep_are_refused() {
    assert!(Regex::new(&"a".repeat(1 << 20)).is_err());
    assert!(Regex::new(&("(".repeat(1000) + &")".repeat(1000))).is_err());
    assert!(Regex::new("(").is_err());
}
