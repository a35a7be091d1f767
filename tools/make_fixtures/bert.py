"""Makes tests/data/bert/: two tiny BERTs and reference vectors, computed by Hugging Face transformers.

    pip install transformers==4.30.2 tokenizers==0.13.3 safetensors==0.3.3      # and torch
    python tools/make_fixtures/bert.py MINILM_DIR tests/data/bert

Files written (weights are random; the point is that two programs agree on them):

    tiny_cls/    3 layers, CLS, plain names, one file, F32
    tiny_mean/   2 layers, mean + normalise, "bert." prefix, gamma/beta names, two shards, F16, gelu_new
    texts.json   the texts
    tiny_cls.json tiny_mean.json minilm.json   one vector a text; minilm is all-MiniLM-L6-v2 (not stored)
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, BertTokenizerFast

TEXTS = [
    "", "a", "hello world", "The quick brown fox jumps over the lazy dog.",
    "eSUN Bronze filament 1.75mm 0.5kg(1.1lb) Spool for Makerbot, Reprap, UP",
    "Toy Story (1995). Animation, Children's, Comedy.", "Café Zürich — naïve façade, Ærø", "日本語のテキスト 中文文本",
    "Привет, мир! Ελληνικά ΣΟΦΟΣ", "👍🏽 emoji & symbols ™ ½", "price: $19.99 (50% off!!!)", "x" * 120,
    "word " * 40, "a long text about rockets, gardens and soups; " * 30, "UPPER lower MiXeD", "1234567890 3.14159 -42",
    "don't can't won't it's", "supercalifragilisticexpialidocious antidisestablishmentarianism", "\t tabs\nand\r\nlines ",
    "[SEP] inside [MASK] text", "industrial & scientific; lab supplies", "war drama romance", "romantic war drama",
    "A recipe for tomato soup", "Soup made of tomatoes: how to cook it"]


def words(count):
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,-()&%$!'[]"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters if c.isalnum())]
    tokens += ["the", "hello", "world", "##ing", "##er", "text", "long", "word", "soup", "war", "drama", "日", "本", "語"]
    return tokens[:count]


def make_tiny(folder, seed, layers, width, heads, activation, max_tokens):
    torch.manual_seed(seed)
    vocabulary = words(120)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                        intermediate_size=width * 3, max_position_embeddings=64, hidden_act=activation, layer_norm_eps=1e-6)
    model = BertModel(config).eval()
    for name, parameter in model.named_parameters():  # the usual 0.02 would leave every layer near the identity
        parameter.data.normal_(1.0 if "LayerNorm.weight" in name else 0.0, 0.3)
    (folder / "config.json").write_text(json.dumps(config.to_dict(), indent=1))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "model_max_length": max_tokens}))
    return model


def encode(model, folder, max_tokens, pooling, normalise):
    tokenizer = BertTokenizerFast.from_pretrained(str(folder))
    rows = []
    with torch.no_grad():
        for text in TEXTS:
            ids = tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt")
            states = model(**ids).last_hidden_state[0]
            row = states[0] if pooling == "cls" else states.mean(0)
            if normalise:
                row = row / row.norm()
            rows.append([round(v, 6) for v in row.tolist()])
    return rows


def write_rows(path, rows):
    path.write_text("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]\n")


def main():
    minilm, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    (out / "texts.json").write_text(json.dumps(TEXTS, indent=1, ensure_ascii=True) + "\n")

    folder = out / "tiny_cls"
    model = make_tiny(folder, 1, 3, 40, 4, "gelu", 64)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, str(folder / "model.safetensors"))
    write_rows(out / "tiny_cls.json", encode(model, folder, 64, "cls", False))

    folder = out / "tiny_mean"
    model = make_tiny(folder, 2, 2, 48, 3, "gelu_new", 32)
    model.half().float()  # the reference computes with the rounded weights
    state = {"bert." + k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v.half().contiguous()
             for k, v in model.state_dict().items() if v.is_floating_point()}
    names = sorted(state)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, members in shards.items():
        save_file({n: state[n] for n in members}, str(folder / shard))
    weight_map = {n: shard for shard, members in shards.items() for n in members}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}, indent=1))
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    (folder / "modules.json").write_text(json.dumps(
        [{"idx": i, "name": str(i), "path": p, "type": "sentence_transformers.models." + t} for i, (p, t) in enumerate(modules)]))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(
        {"word_embedding_dimension": 48, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32, "do_lower_case": False}))
    write_rows(out / "tiny_mean.json", encode(model, folder, 32, "mean", True))

    write_rows(out / "minilm.json", encode(BertModel.from_pretrained(str(minilm)).eval(), minilm, 256, "mean", True))


if __name__ == "__main__":
    main()
