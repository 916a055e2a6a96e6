"""`--chat`: rows written by a model's chat template."""
import json
import pathlib
import shutil
import tempfile

from harness import DEMO, Skipped, ids_file, objects, run, test

TEMPLATE = ("{% for m in messages %}{{ '[CLS]' if loop.first }}{{ m.role }} says {{ m.content | trim }}[SEP]{% endfor %}"
            "{% if messages[0].role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}")


def model(folder, template=TEMPLATE):
    if not (DEMO / "config.json").exists():
        raise Skipped("the demo model is not there")
    target = pathlib.Path(folder) / "model"
    target.mkdir(exist_ok=True)
    for file in DEMO.iterdir():
        if file.is_file() and not (target / file.name).exists():
            (target / file.name).symlink_to(file) if file.suffix == ".safetensors" else shutil.copy(file, target)
    if (target / "model.safetensors").is_symlink():
        (target / "model.safetensors").unlink()
        shutil.copy(DEMO / "model.safetensors", target)
    (target / "chat_template.jinja").write_text(template)
    return str(target)


def ids(*words, **more):
    return [row["ids"] for row in objects(run("tokenize", *words, "--json", **more).stdout)]


@test
def rows_become_what_the_template_says():
    with tempfile.TemporaryDirectory() as folder:
        at = model(folder)
        (wanted,) = ids(at, "[CLS]user says hello[SEP]", "--no-special-tokens")
        assert ids(at, "--chat", " hello ") == [wanted]
        (wanted,) = ids(at, "[CLS]system says be kind[SEP]user says hello[SEP]", "--no-special-tokens")
        assert ids(at, "--chat", "--system", "be kind", "hello") == [wanted]
        rows = ids_file(folder, [{"messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello"}]},
                                 {"text": "hello"}, {"ids": [101, 102]}])
        assert ids(at, "--chat", "-i", rows) == [wanted, ids(at, "--chat", "hello")[0], [101, 102]]


@test
def a_run_of_chats_remembers_them():
    with tempfile.TemporaryDirectory() as folder:
        at = model(folder)
        words = ["states", at, "hello", "--chat", "--layers", "0", "-o", f"{folder}/run", "-q"]
        run(*words)
        run(*words)
        assert "config.input" in run(*words, "--system", "x", expect=2).stderr
        (pathlib.Path(at) / "chat_template.jinja").write_text(TEMPLATE + "!")
        assert "config.input" in run(*words, expect=2).stderr


@test
def what_is_wrong_with_a_chat_is_named():
    with tempfile.TemporaryDirectory() as folder:
        at = model(folder)
        rows = ids_file(folder, [{"messages": [{"role": "tool", "content": "x"}]}, {"text": "ok"}])
        error = run("tokenize", at, "--chat", "-i", rows, expect=1).stderr
        assert "rows.jsonl:1: " in error and "refuses the conversation: no tools here" in error, error
        assert len(ids(at, "--chat", "-i", rows, "--on-bad", "skip", expect=3)) == 1
        assert "under --chat" in run("tokenize", at, "-i", rows, expect=1).stderr
        assert "--system: only together with --chat" in run("tokenize", at, "x", "--system", "y", expect=2).stderr
        assert "expected a date" in run("tokenize", at, "x", "--chat", "--chat-date", "today", expect=2).stderr
        assert "no chat template \"z\"" in run("tokenize", at, "x", "--chat", "--chat-template", "z", expect=2).stderr
        model(folder, "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
        error = run("tokenize", at, "x", "--chat", expect=4).stderr
        assert "chat_template.jinja: chat template" in error and "steps" in error, error
        model(folder, "{{ strftime_now('%Y') }}")
        assert "--chat-date" in run("tokenize", at, "x", "--chat", expect=1).stderr
        assert ids(at, "x", "--chat", "--chat-date", "2024-07-26") == ids(at, "2024", "--no-special-tokens")
        (pathlib.Path(at) / "chat_template.jinja").unlink()
        assert "has no chat template" in run("tokenize", at, "x", "--chat", expect=4).stderr
