"""What is drawn on a terminal."""
import tempfile

from harness import DEMO, GPT2, ROWS, columns, ids_file, on_terminal, run, test


@test
def pictures():
    with tempfile.TemporaryDirectory() as folder:
        rows = ids_file(folder, [{"ids": [1, 2, 3]}, {"ids": list(range(1, 7)) * 2}])
        for width in (40, 80, 120):
            for extra in ([], ["--measure", "step"], ["--measure", "drift"], ["--pool", "mean"], ["--sites", "block.*.mlp.*"]):
                done = run("states", GPT2, "-i", rows, *extra, env={"COLUMNS": str(width)})
                assert "\033" not in done.stdout
                for line in done.stdout.splitlines():
                    assert columns(line) <= width, (width, extra, line)
        assert "\033[48;5;" in run("states", GPT2, "-i", rows, "--color").stdout
        assert "\033[48;2;" in run("states", GPT2, "-i", rows, "--color", env={"COLORTERM": "truecolor"}).stdout


@test
def colour_is_for_terminals_that_want_it():
    with tempfile.TemporaryDirectory() as folder:
        words = ["states", GPT2, "-i", str(ids_file(folder, ROWS))]
        assert "\033[48;5;" in on_terminal(words, {})
        assert "\033" in on_terminal(words, {"NO_COLOR": ""})
        for env, extra in (({"NO_COLOR": "1"}, []), ({"TERM": "dumb"}, []), ({}, ["--no-color"])):
            assert "\033" not in on_terminal(words + extra, env), (env, extra)


@test
def demo_model_texts_with_odd_characters_are_drawn():
    for text in ("日本語のテキスト", "👩‍💻 writes", "a\tb\nc\033[31m", "[CLS] [a,b]", "", "-dash"):
        done = run("states", DEMO, "--", text)
        assert "\033" not in done.stdout
        for line in done.stdout.splitlines():
            assert columns(line) <= 82, line
