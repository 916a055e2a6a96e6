#!/usr/bin/env python3
"""Checks words that must not stand in the sources.

1. No architecture's name in src/ or include/ outside src/family/, in code and comments alike: the engine says what is
   computed, never who uses it.
2. Nothing left unfinished and no path of one person's machine in any source, script or page.
check_names.py [ROOT] prints each finding as FILE:LINE; check_names.py --self-test shows that it would.
"""
import os
import pathlib
import re
import sys
import tempfile

ARCHITECTURES = """
    albert aya bart baichuan bert biogpt bloom camembert chatglm codegen cohere command-r ctrl dbrx deberta deepseek distilbert
    electra ernie exaone falcon flan gemma glm gpt gpt2 gpt_bigcode gpt_neo gpt_neox gptj granite grok internlm jamba led
    lfm2 llama longformer longt5 mamba marian mbart minicpm mistral mixtral mobilebert modernbert mpnet mpt mt5
    nemotron neobert nomic olmo olmo2 opt pegasus persimmon phi3 prophetnet pythia qwen qwen2 qwen3 recurrentgemma reformer roberta
    roformer rwkv smollm smollm3 squeezebert stablelm starcoder starcoder2 t5 umt5 whisper xglm xlm xlnet xmod yi zamba
""".split()
# A name counts with anything but a letter or digit around it (bert_layer, "bert"), as a part of CamelCase (kBert), and with a
# version stuck to it (qwen2.5, llama3). Those that are also English or code count as whole words only, so that `opt_level`
# stays free.
AMBIGUOUS = {"opt", "led", "yi", "ctrl", "aya", "flan", "command-r", "bloom", "granite", "falcon", "ernie", "electra"}
PLAIN = sorted((name for name in ARCHITECTURES if name not in AMBIGUOUS), key=len, reverse=True)
LOWER = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, PLAIN))})[0-9.]*(?![a-z0-9])", re.IGNORECASE)
CAMEL = re.compile(rf"(?:(?<![A-Za-z])|(?<=[a-z0-9]))(?:{'|'.join(name.capitalize() for name in PLAIN)})[0-9]*(?![a-z0-9])")
WHOLE = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(AMBIGUOUS)))})(?![\w-])", re.IGNORECASE)
# A scaling rule of rotary positions is called by this name in config.json's rope_type: a value to read, not a family.
ROPE_TYPE = re.compile(r'"llama3"')
# The file of the reference implementation that a formula was read from: a source, as a paper is.
CITED = re.compile(r"modeling_[a-z0-9_]+\.py(: [A-Za-z]+)?")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:home|Users|root|mnt)/[\w.-]")

SOURCE_ENDINGS = {".h", ".hpp", ".c", ".cc", ".cpp", ".inc"}
TEXT_ENDINGS = SOURCE_ENDINGS | {".py", ".sh", ".rs", ".toml", ".cmake", ".md", ".json", ".yml", ".yaml", ".ts", ".txt", ""}
SKIPPED = {".git", "build", "models", ".venv", ".cache", "target", "corpus", "golden", "__pycache__", "node_modules"}
LARGEST = 1 << 20  # bytes; above this it is data, not text of ours


def files(root: pathlib.Path):
    for folder, names, leaves in os.walk(root):
        names[:] = sorted(name for name in names if name not in SKIPPED)
        for leaf in sorted(set(leaves) - SKIPPED):
            path = pathlib.Path(folder, leaf)
            if path.suffix in TEXT_ENDINGS and path.is_file() and path.stat().st_size <= LARGEST:
                yield path


def line_findings(relative: pathlib.PurePath, line: str) -> list[str]:
    found = []
    parts = relative.parts
    engine_side = parts[0] in ("src", "include") and relative.suffix in SOURCE_ENDINGS and parts[:2] != ("src", "family")
    if engine_side:
        line = CITED.sub("", ROPE_TYPE.sub('""', line))
        for pattern in (LOWER, CAMEL, WHOLE):
            found += [f"'{match[0]}' names an architecture outside src/family/" for match in pattern.finditer(line)]
    if relative.as_posix() != "tools/check_names.py":
        found += [f"'{match[0]}' marks something unfinished" for match in UNFINISHED.finditer(line)]
        found += [f"'{match[0]}' is a path of one machine" for match in MACHINE_PATH.finditer(line)]
    return found


def findings(root: pathlib.Path) -> list[str]:
    found = []
    for path in files(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        relative = path.relative_to(root)
        for number, line in enumerate(text.splitlines(), 1):
            found += [f"{relative}:{number}: {what}" for what in dict.fromkeys(line_findings(relative, line))]
    return found


def self_test() -> int:
    """Each planted line in a tree of its own: (file, line, whether it must be found)."""
    cases = [
        ("src/engine/a.cpp", "if (bert) return;", True),
        ("src/engine/a.cpp", "// as in GPT-2 and others", True),
        ("src/engine/a.cpp", "struct LlamaBlock;", True),
        ("src/engine/a.cpp", "kQwen2Rope", True),
        ("src/engine/a.cpp", "return Kind::kBert;", True),
        ("src/kernels/a.h", "void t5_bias();", True),
        ("src/spec/a.cpp", '"qwen2.5"', True),
        ("src/spec/a.cpp", 'if (type == "llama3") read();', False),
        ("src/spec/a.cpp", "void llama3_scaling();", True),
        ("src/spec/a.cpp", "// OPT offsets its table", True),
        ("src/spec/a.cpp", "// alberta, optimal, robertson, opt_level, BucketBias", False),
        ("src/spec/a.cpp", "void convert_options(Options options);", False),
        ("src/spec/a.cpp", "float xlmath = 0; int ctrl_bits = 0;", False),
        ("include/layerscope/a.h", "class BertModel;", True),
        ("src/family/bert.cpp", 'Family bert{"bert"};', False),
        ("src/family/bert.cpp", "// TO" + "DO: later", True),
        ("docs/a.md", "BERT and llama are families", False),
        ("docs/a.md", "see /home/someone/models", True),
        ("tools/a.sh", "cd /home/somebody/project", True),
        ("tools/a.sh", "ls models/home/main ./home/a", False),
    ]
    wrong = 0
    for name, line, expected in cases:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True)
            path.write_text(line + "\n", encoding="utf-8")
            if bool(findings(pathlib.Path(folder))) != expected:
                print(f"self-test: {name}: {line}: {'not found' if expected else 'wrongly found'}")
                wrong += 1
    print(f"{len(cases) - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


def main() -> int:
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    found = findings(root)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
