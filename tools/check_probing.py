#!/usr/bin/env python3
"""Checks the probing data of examples/probing: its format, its labels, and the counts that its README gives.

pos.jsonl      every character of a text that is no space is part of a word, one label a word, all of the 17 universal tags;
               no text twice, the texts of a passage together; enough words that take several tags
sentences.jsonl  the labels crossed and balanced to the sentence; no text twice, none that differs from another by a word
check_probing.py [FOLDER] prints each finding as FILE:LINE; check_probing.py --self-test shows that it would.
"""
import collections
import itertools
import json
import pathlib
import re
import sys
import tempfile

TAGS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
KEYS = {
    "tense": ["past", "present"],
    "number": ["plural", "singular"],
    "topic": "animals food health money music sport transport weather".split(),
}
LEAST_OF_A_TAG = 20
LEAST_SHARE_AMBIGUOUS = 1 / 3  # of the words, those whose form takes other tags elsewhere
MOST_ALIKE = 0.7  # words that two sentences have in common, of all that either has


def rows(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        yield f"{path.name}:{number}", json.loads(line)


def duplicates(table):
    seen = {}
    for where, row in table:
        first = seen.setdefault(" ".join(re.findall(r"\w+", row["text"].lower())), where)
        if first != where:
            yield f"{where}: the text of {first} again"


def word_findings(where, row):
    """The words tile the text, and a label is the right kind for the characters it stands on."""
    words, labels = row["words"], row["labels"]
    if set(row) != {"text", "words", "labels", "group"}:
        yield f"{where}: keys {sorted(row)}"
    if len(words) != len(labels):
        yield f"{where}: {len(words)} words, {len(labels)} labels"
    if "".join(words) != re.sub(r"\s", "", row["text"]) or any(re.search(r"^$|\s", word) for word in words):
        yield f"{where}: the words are not those of the text"
    at = 0
    for word, label in zip(words, labels):
        at = row["text"].find(word, at) + len(word)
        if label not in TAGS:
            yield f"{where}: {word}: no such tag: {label}"
        elif any(map(str.isalnum, word)) == (label in ("PUNCT", "SYM")):
            yield f"{where}: {word}: not a {label}"
        elif word.isdigit() and label != "NUM":
            yield f"{where}: {word}: a number, not a {label}"
        elif label == "PUNCT" and word in ",.;:?!)" and row["text"][: at - 1].endswith(" "):
            yield f"{where}: a space before {word}"


def tagged_findings(path, counts):
    table = list(rows(path))
    yield from duplicates(table)
    for where, row in table:
        yield from word_findings(where, row)
    groups = [row["group"] for _, row in table]
    if len(list(itertools.groupby(groups))) != len(set(groups)):
        yield f"{path.name}: the texts of a passage do not stand together"
    pairs = [(word.lower(), label) for _, row in table for word, label in zip(row["words"], row["labels"])]
    tags = collections.Counter(label for _, label in pairs)
    for tag in TAGS:
        if tags[tag] < LEAST_OF_A_TAG:
            yield f"{path.name}: {tag}: {tags[tag]} words, expected {LEAST_OF_A_TAG}"
    forms = collections.defaultdict(set)
    for word, label in pairs:
        forms[word].add(label)
    ambiguous = sum(len(forms[word]) > 1 for word, _ in pairs)
    if ambiguous < LEAST_SHARE_AMBIGUOUS * len(pairs):
        yield f"{path.name}: {ambiguous} of {len(pairs)} words take other tags elsewhere"
    counts.update(tags)
    counts["sentences of pos.jsonl"] = len(table)
    counts["passages"] = len(set(groups))
    counts["words"] = len(pairs)
    counts["words whose form takes other tags elsewhere"] = ambiguous
    counts["forms"] = len(forms)
    counts["forms with several tags"] = sum(len(labels) > 1 for labels in forms.values())


def sentence_findings(path, counts):
    table = list(rows(path))
    yield from duplicates(table)
    cells = collections.Counter({cell: 0 for cell in itertools.product(*KEYS.values())})
    for where, row in table:
        if set(row) != {"text", *KEYS}:
            yield f"{where}: keys {sorted(row)}"
        elif any(row[key] not in values for key, values in KEYS.items()):
            yield f"{where}: labels {[row[key] for key in KEYS]}"
        else:
            cells[tuple(row[key] for key in KEYS)] += 1
    if len(set(cells.values())) != 1:
        yield f"{path.name}: not balanced: {dict(cells)}"
    sets = [(where, set(re.findall(r"\w+", row["text"].lower()))) for where, row in table]
    for (where, one), (other, two) in itertools.combinations(sets, 2):
        if len(one & two) > MOST_ALIKE * len(one | two):
            yield f"{other}: nearly {where}"
    counts["sentences of sentences.jsonl"] = len(table)
    counts["sentences of a topic, tense and number"] = max(cells.values())


def findings(folder):
    counts = {}
    found = [*tagged_findings(folder / "pos.jsonl", counts), *sentence_findings(folder / "sentences.jsonl", counts)]
    said = dict(re.findall(r"^\| ([\w. ,]+?) +\| ([\d,]+) +\|", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    for name, count in counts.items():
        if said.get(name, "").replace(",", "") != str(count):
            found.append(f"README.md: {name}: {said.get(name, 'not said')}, counted {count}")
    return found


def self_test(folder):
    """Each change, made to a copy, must be found; the copy unchanged must not."""
    cases = [
        ("pos.jsonl", '"DET"', '"DT"'),
        ("pos.jsonl", '"labels": ["DET", ', '"labels": ['),
        ("pos.jsonl", '"words": ["The", ', '"words": ["the", '),
        ("pos.jsonl", '"PUNCT"', '"NOUN"'),
        ("pos.jsonl", "story-1", "recipe-1"),
        ("pos.jsonl", '"INTJ"', '"ADV"'),
        ("sentences.jsonl", '"past"', '"present"'),
        ("sentences.jsonl", '"topic": "', '"topic": "the '),
        ("sentences.jsonl", '"topic": ', '"subject": '),
        ("README.md", "| NOUN ", "| NOUN x "),
        ("README.md", "| passages ", "| passages x "),
    ]
    names = ("pos.jsonl", "sentences.jsonl", "README.md")
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in names}
    first, _, rest = texts["sentences.jsonl"].partition("\n")
    second = rest.partition("\n")[0]
    cases.append(("sentences.jsonl", json.loads(second)["text"], json.loads(first)["text"]))
    wrong = 0
    for name, old, new in [("README.md", "", ""), *cases]:
        with tempfile.TemporaryDirectory() as copy:
            for other, text in texts.items():
                changed = text.replace(old, new, 1) if other == name else text
                (pathlib.Path(copy) / other).write_text(changed, encoding="utf-8")
            if bool(findings(pathlib.Path(copy))) != (old != new) or (old and old not in texts[name]):
                print(f"self-test: {name}: {old} > {new}: {'wrongly found' if old == new else 'not found'}")
                wrong += 1
    print(f"{len(cases) + 1 - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


def main():
    folder = pathlib.Path(__file__).resolve().parents[1] / "examples/probing"
    if sys.argv[1:] == ["--self-test"]:
        return self_test(folder)
    found = findings(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else folder)
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
