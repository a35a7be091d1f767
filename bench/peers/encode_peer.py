"""MiniLM in PyTorch, batched by length: the peer of bench/encode_bench.cpp.

    encode_peer.py MODEL_DIR FOLDER       FOLDER/tokens.txt: one line of token ids a text

Answers one line of standard input with one number: "threads N", "check" (writes FOLDER/vectors.npy),
"round" (seconds of one pass over all texts), "peak" (MiB).
"""
import json
import resource
import struct
import sys
import time

import numpy
import torch
from torch.nn import functional

BATCH = 32


def load(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            values = numpy.frombuffer(data[begin:end], dtype="<f4").reshape(entry["shape"])
            tensors[name] = torch.from_numpy(values.copy())
    return tensors


class Model:
    def __init__(self, directory):
        self.w = load(directory + "/model.safetensors")
        with open(directory + "/config.json") as file:
            config = json.load(file)
        self.layers, self.heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.width, self.eps = config["hidden_size"], config["layer_norm_eps"]

    def linear(self, x, name):
        return functional.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def norm(self, x, name):
        return functional.layer_norm(x, (self.width,), self.w[name + ".weight"], self.w[name + ".bias"], self.eps)

    def __call__(self, ids, mask):
        count, length = ids.shape
        x = self.w["embeddings.word_embeddings.weight"][ids] + self.w["embeddings.position_embeddings.weight"][:length]
        x = self.norm(x + self.w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        hidden = (1.0 - mask)[:, None, None, :] * -1e9
        for layer in range(self.layers):
            base = f"encoder.layer.{layer}."
            q, k, v = (self.linear(x, f"{base}attention.self.{part}").view(count, length, self.heads, -1).transpose(1, 2)
                       for part in ("query", "key", "value"))
            weights = torch.softmax(q @ k.transpose(-1, -2) / (self.width // self.heads) ** 0.5 + hidden, -1)
            context = (weights @ v).transpose(1, 2).reshape(count, length, self.width)
            x = self.norm(self.linear(context, base + "attention.output.dense") + x, base + "attention.output.LayerNorm")
            inner = functional.gelu(self.linear(x, base + "intermediate.dense"))
            x = self.norm(self.linear(inner, base + "output.dense") + x, base + "output.LayerNorm")
        mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return functional.normalize(mean, dim=1)


def encode(model, texts):
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    out = torch.empty(len(texts), model.width)
    with torch.inference_mode():
        for begin in range(0, len(order), BATCH):
            chosen = order[begin:begin + BATCH]
            length = max(len(texts[i]) for i in chosen)
            ids = torch.zeros(len(chosen), length, dtype=torch.long)
            mask = torch.zeros(len(chosen), length)
            for row, i in enumerate(chosen):
                ids[row, :len(texts[i])] = torch.tensor(texts[i])
                mask[row, :len(texts[i])] = 1.0
            out[chosen] = model(ids, mask)
    return out


def main():
    model = Model(sys.argv[1])
    with open(sys.argv[2] + "/tokens.txt") as file:
        texts = [[int(token) for token in line.split()] for line in file]
    for line in sys.stdin:
        word, *rest = line.split()
        answer = 0.0
        if word == "threads":
            torch.set_num_threads(int(rest[0]))
        elif word == "check":
            numpy.save(sys.argv[2] + "/vectors.npy", encode(model, texts).numpy())
        elif word == "round":
            start = time.perf_counter()
            encode(model, texts)
            answer = time.perf_counter() - start
        elif word == "peak":
            answer = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(answer, flush=True)


if __name__ == "__main__":
    main()
