"""Makes tests/data/wordpiece/: 10,000 strings with the ids that Hugging Face's tokenizers gives them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.22.1
    /tmp/venv/bin/python tools/make_fixtures/wordpiece.py VOCAB_TXT tests/data/wordpiece

VOCAB_TXT is the vocabulary of any BERT, uncased (30,522 tokens for bert-base-uncased and MiniLM). A
third of it goes into the fixture, so that words still break in many ways. Files written:

    vocab.txt.gz      the vocabulary
    strings.jsonl.gz  one line a string: [text, ids uncased, ids cased], special tokens not added
"""
import gzip
import json
import pathlib
import random
import sys
import unicodedata

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
COUNT = 10_000


def small_vocabulary(path, rng):
    tokens = path.read_text(encoding="utf-8").splitlines()
    kept = SPECIAL + [t for t in tokens if t not in SPECIAL
                      and not t.startswith("[unused") and (len(t.removeprefix("##")) == 1 or rng.random() < 0.3)]
    # Pieces that only a cased or accent-keeping tokenizer can produce.
    kept += ["É", "##É", "Ü", "##ß", "ß", "ǅ", "İ", "ς", "##ς", "Σ", "The", "NASA", "##ing's"]
    return list(dict.fromkeys(kept))


def reference(vocabulary, lowercase):
    tokenizer = Tokenizer(models.WordPiece({t: i for i, t in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def is_scalar(code):
    return not 0xD800 <= code <= 0xDFFF


def random_char(rng):
    return chr(rng.choice([c for c in (rng.randrange(0x110000), rng.randrange(0x3000), rng.randrange(0x250)) if is_scalar(c)] or [65]))


def make_strings(vocabulary, rng):
    words = [t for t in vocabulary if not t.startswith("[")]
    marks = [chr(c) for c in range(0x110000) if is_scalar(c) and unicodedata.combining(chr(c))]
    spaces = [chr(c) for c in range(0x110000) if is_scalar(c) and chr(c).isspace()] + ["\u200b", "\u180e", "\ufeff", "\u2060"]
    letters = [chr(c) for c in range(0x110000) if is_scalar(c) and unicodedata.category(chr(c)) in ("Lu", "Lt", "Ll")]
    scripts = {
        "cjk": (0x4E00, 0x9FFF), "kana": (0x3040, 0x30FF), "hangul": (0xAC00, 0xD7A3), "jamo": (0x1100, 0x11FF),
        "emoji": (0x1F300, 0x1FAFF), "arabic": (0x600, 0x6FF), "deva": (0x900, 0x97F), "thai": (0xE00, 0xE7F),
        "greek": (0x370, 0x3FF), "greekx": (0x1F00, 0x1FFF), "cyr": (0x400, 0x4FF), "latin": (0xC0, 0x24F),
        "wide": (0xFF00, 0xFFEF), "cjkb": (0x20000, 0x2FFFF), "punct": (0x2000, 0x2BFF), "tags": (0xE0000, 0xE01EF)}
    yield from ["", " ", "\0", "\ufffd", "a\0b", "[CLS]", "x [SEP]y[MASK]", "[CLS", "[cls]", "[[SEP]]", "[UNK][PAD]",
                "I İ ı i STRASSE Straße ẞ ΣΊΣΥΦΟΣ ΌΔΟΣ ὈΔΥΣΣΕΎΣ", "İstanbul'da IŞIK ılık", "ﬁne ﬂuﬀy ½ № ™ Å Å", "e\u0301\u0327\u0345 \u0301",
                "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 1️⃣", "a" * 99, "a" * 100, "a" * 101, "é" * 100, "e\u0301" * 100, "e\u0301" * 101, "中" * 150,
                "\u1680 \u2028\u2029\u0085\u00a0\u3000 x", "don't.stop@now #1 $5 <b> a_b `c` ^d^ ~e~ |f|", "x" * 20000,
                "The quick brown fox jumps. " * 2000, "日本語テキスト" * 1000, "a\u0300" * 5000, "\u0f73\u0f75\u0f81", "각\u11a8가\u11a8"]
    # Every assigned or unassigned block: all code points in strings of 128, letters around them.
    step = [c for c in range(0x110000) if is_scalar(c) and (c < 0x3400 or 0x9F00 <= c < 0xAC20 or 0xD700 <= c < 0x20100 or 0x2A600 <= c < 0x2A800 or 0x2B700 <= c < 0x2B940 or 0x2CE00 <= c < 0x2CF00 or 0x2F700 <= c < 0x32000 or 0xE0000 <= c < 0xE0200)]
    for i in range(0, len(step), 128):
        yield "".join(f"a{chr(c)}" for c in step[i:i + 128])
    while True:
        kind = rng.randrange(8)
        if kind == 0:
            yield "".join(random_char(rng) for _ in range(rng.randrange(1, 40)))
        elif kind == 1:
            yield " ".join(rng.choice(words).removeprefix("##") + rng.choice(["", "s", "ing", "ЖX", "é"]) for _ in range(rng.randrange(1, 60)))
        elif kind == 2:
            yield "".join(rng.choice(letters) + "".join(rng.choices(marks, k=rng.randrange(4))) for _ in range(rng.randrange(1, 20)))
        elif kind == 3:
            low, high = scripts[rng.choice(sorted(scripts))]
            yield "".join(chr(rng.randint(low, high)) if rng.random() < 0.85 else rng.choice(" .,-a") for _ in range(rng.randrange(1, 40)))
        elif kind == 4:
            yield rng.choice(spaces).join(rng.choice(words) for _ in range(rng.randrange(1, 20)))
        elif kind == 5:
            yield "".join(rng.choice(rng.choice(SPECIAL + words)) + rng.choice(["", " ", "\t", "\u0301"]) + rng.choice(SPECIAL + words[:50]) for _ in range(rng.randrange(1, 8)))
        elif kind == 6:
            yield "".join(rng.choice(rng.choice(words)).upper() + rng.choice(letters) for _ in range(rng.randrange(1, 60)))
        else:
            word = "".join(rng.choice(words).removeprefix("##") for _ in range(rng.randrange(1, 30)))
            yield word[:rng.choice([len(word), 99, 100, 101])]


def main():
    source, target = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    rng = random.Random(20260101)
    vocabulary = small_vocabulary(source, rng)
    uncased, cased = reference(vocabulary, True), reference(vocabulary, False)
    lines, strings = [], make_strings(vocabulary, rng)
    for _ in range(COUNT):
        text = next(strings)
        ids = [t.encode(text, add_special_tokens=False).ids for t in (uncased, cased)]
        lines.append(json.dumps([text, *ids], separators=(",", ":")))
    for name, content in (("vocab.txt.gz", vocabulary), ("strings.jsonl.gz", lines)):
        data = ("\n".join(content) + "\n").encode()
        (target / name).write_bytes(gzip.compress(data, 9, mtime=0))


if __name__ == "__main__":
    main()
