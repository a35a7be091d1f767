"""One step of a phase of RecGURU written the usual way in PyTorch.

Reads the weights and the batch that bench/recguru_bench.cpp left in a directory and answers commands on
stdin: `threads N`, `check` (the loss without dropout), `round` (one step of the phase with dropout, backward
and Adam; prints seconds), `peak` (MiB).

Variant `padded`: everything in 100 slots as in the released code: attention over [B, 100, 100], the user
vector repeated 100 times as keys and values, the vectors of all negatives held as [B, 100, K, 64].
Variant `packed`: sequences sorted by length in 8 buckets, each padded to its longest; the user vector's
attention is the linear map that it amounts to; negatives are gathered at real positions only.
"""

import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_flush_denormal(True)
directory, variant, phase = sys.argv[1:4]
ITEMS = [int(sys.argv[4]), int(sys.argv[5])]
D, HEADS, WIDTH, HIDDEN, LAYERS, L, K, K_REC, P, BUCKETS = 64, 2, 32, 512, 3, 100, 20, 5, 0.5, 8
PACKED = variant == "packed"


def floats(name, *shape):
    return torch.from_numpy(np.fromfile(f"{directory}/{name}.f32", np.float32).reshape(shape))


def integers(name):
    return torch.from_numpy(np.fromfile(f"{directory}/{name}.i64", np.int64))


def linear(name, out, inner):
    layer = nn.Linear(inner, out)
    with torch.no_grad():
        layer.weight.copy_(floats(f"{name}_weight", out, inner))
        layer.bias.copy_(floats(f"{name}_bias", out))
    return layer


def norm(name):
    layer = nn.LayerNorm(D, eps=1e-8)
    with torch.no_grad():
        layer.weight.copy_(floats(f"{name}_gain", D))
        layer.bias.copy_(floats(f"{name}_shift", D))
    return layer


def attend(q, k, v, hidden, p):
    """q, k, v [B, T, D], hidden [B, 1, T or 1, T]: True where no weight may go."""
    heads = [x.view(x.size(0), x.size(1), HEADS, WIDTH).transpose(1, 2) for x in (q, k, v)]
    scores = heads[0] @ heads[1].transpose(2, 3) / WIDTH**0.5
    weights = F.dropout(scores.masked_fill(hidden, -1e9).softmax(-1), p)
    return (weights @ heads[2]).transpose(1, 2).reshape(q.size(0), q.size(1), D)


class Layer(nn.Module):
    def __init__(self, name, user):
        super().__init__()
        self.qkv = linear(f"{name}.in", 3 * D, D)
        self.out = linear(f"{name}.out", D, D)
        self.norm1, self.norm2 = norm(f"{name}.norm1"), norm(f"{name}.norm2")
        self.feed1 = linear(f"{name}.feed1", HIDDEN, D)
        self.feed2 = linear(f"{name}.feed2", D, HIDDEN)
        self.user = None
        if user:
            self.user = nn.ModuleList([nn.Linear(D, D), nn.Linear(D, D), linear(f"{user}_value", D, D),
                                       linear(f"{user}_out", D, D), norm(f"{user}_norm")])

    def forward(self, x, hidden, real, h, user_hidden, p):
        x = self.norm1(x + self.out(attend(*self.qkv(x).split(D, 2), hidden, p)))
        if self.user is not None:
            query, key, value, out, layer_norm = self.user
            if PACKED:
                x = layer_norm(x + out(F.dropout(value(h), 0.0)).unsqueeze(1))
            else:
                repeated = h.unsqueeze(1).expand(-1, L, -1)
                x = layer_norm(x + out(attend(query(x), key(repeated), value(repeated), user_hidden, p)))
        middle = F.gelu(F.dropout(self.feed1(x), p), approximate="tanh")
        return self.norm2(x + F.dropout(self.feed2(middle), p)) * real.unsqueeze(2)


def stack(name, user):
    return nn.ModuleList([
        Layer(f"{name}.layer{i}" if user else f"{name}{i}", f"{name}.user{i}" if user else None)
        for i in range(LAYERS)])


class Bucket:
    """Some sequences of a batch, padded on the left."""

    def __init__(self, domain, encoder, decoder, candidates, slots):
        pad = ITEMS[domain] + 2

        def left(rows):
            padded = torch.full((len(rows), slots), pad)
            for number, row in enumerate(rows):
                padded[number, slots - len(row):] = row
            return padded

        self.encoder, self.decoder = left(encoder), left(decoder)
        self.encoder_real, self.decoder_real = self.encoder != pad, self.decoder != pad
        self.slots = slots
        self.real_candidates = torch.cat(candidates)  # [N, 1 + K]
        if not PACKED:
            self.candidates = torch.full((len(encoder), slots, 1 + K), pad)
            for number, row in enumerate(candidates):
                self.candidates[number, slots - len(row):] = row


def read_batch(domain):
    lengths = integers(f"lengths{domain}")
    decoder = integers(f"decoder{domain}").split(lengths.tolist())
    encoder = integers(f"encoder{domain}").split((lengths + 1).tolist())
    candidates = integers(f"candidates{domain}").view(-1, 1 + K).split(lengths.tolist())
    order = lengths.argsort().tolist() if PACKED else list(range(len(lengths)))
    size = -(-len(order) // (BUCKETS if PACKED else 1))
    buckets = []
    for first in range(0, len(order), size):
        part = order[first:first + size]
        longest = max(len(encoder[i]) for i in part)
        buckets.append(Bucket(domain, [encoder[i] for i in part], [decoder[i] for i in part],
                              [candidates[i] for i in part], longest if PACKED else L))
    return buckets


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tables = nn.ModuleList()
        for domain, name in enumerate(("items_a", "items_b")):
            rows = ITEMS[domain] + 2
            table = nn.Embedding(rows + 1, D, padding_idx=rows)
            with torch.no_grad():
                table.weight[:rows] = floats(name, rows, D)
            self.tables.append(table)
        self.positions = floats("positions", L, D)
        self.encoder = stack("encoder", False)
        self.decoders = nn.ModuleList([stack("decoder_a", True), stack("decoder_b", True)])
        self.recommender = stack("recommender", True)

    def embed(self, domain, ids, real, p):
        x = (self.tables[domain](ids) + self.positions[L - ids.size(1):]) * real.unsqueeze(2)
        return F.dropout(x, p)

    def encode(self, domain, bucket, p):
        real = bucket.encoder_real
        x = self.embed(domain, bucket.encoder, real, p)
        hidden = ~real[:, None, None, :]
        for layer in self.encoder:
            x = layer(x, hidden, real, None, None, p)
        return x[:, -1]

    def decode(self, decoder, domain, bucket, h, p):
        real = bucket.decoder_real
        x = self.embed(domain, bucket.decoder, real, p)
        future = torch.ones(len(real), bucket.slots, bucket.slots, dtype=torch.bool).triu(1)
        hidden = future[:, None] | ~real[:, None, None, :]
        user_hidden = ~bucket.encoder_real[:, None, None, :]
        for layer in decoder:
            x = layer(x, hidden, real, h, user_hidden, p)
        return x

    def scores(self, domain, bucket, states, count):
        """[N, 1 + count] of the real positions."""
        if PACKED:
            vectors = self.tables[domain](bucket.real_candidates[:, :1 + count])
            return torch.einsum("nd,ncd->nc", states[bucket.decoder_real], vectors)
        vectors = self.tables[domain](bucket.candidates[:, :, :1 + count])
        return (states.unsqueeze(2) * vectors).sum(3)[bucket.decoder_real]


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [D, 128, 128, 128, 1]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])])
        with torch.no_grad():
            for number, layer in enumerate(self.layers, 1):
                layer.weight.copy_(floats(f"critic.weight{number}", *layer.weight.shape))
                layer.bias.copy_(floats(f"critic.bias{number}", *layer.bias.shape))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x).squeeze(1)

    def penalty(self, x):
        x = x.detach().requires_grad_()
        gradient = torch.autograd.grad(self(x).sum(), x, create_graph=True)[0]
        return (gradient.norm(2, 1) - 1).square().mean()


def encode(domain, p):
    return [model.encode(domain, bucket, p) for bucket in batches[domain]]


def softmax_loss(domain, vectors, p):
    scores = torch.cat([
        model.scores(domain, bucket, model.decode(model.decoders[domain], domain, bucket, h, p), K)
        for bucket, h in zip(batches[domain], vectors)])
    return F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.int64))


def recommendation_loss(vectors, p):
    scores = torch.cat([
        model.scores(1, bucket, model.decode(model.recommender, 1, bucket, h.detach(), p), K_REC)
        for bucket, h in zip(batches[1], vectors)])
    return F.softplus(-scores[:, 0]).mean() + F.softplus(scores[:, 1:].mean(1)).mean()


def generator_loss(p):
    vectors = [encode(domain, p) for domain in (0, 1)]
    loss = softmax_loss(0, vectors[0], p) + softmax_loss(1, vectors[1], p)
    h = [in_order(domain, torch.cat(vectors[domain])) for domain in (0, 1)]
    # As many common users as in a batch of ours: their rows stand for themselves here.
    common = max(10, len(h[0]) // 20 + 1)
    overlap = (h[0] - h[1]).square().mean() if p == 0 else \
        (h[0][:common] - h[1][:common]).square().mean()
    return loss + critic(h[0]).mean() - critic(h[1]).mean() + overlap, h


def in_order(domain, h):
    """Rows as our side has them: buckets are sorted by length."""
    if not PACKED:
        return h
    order = integers_kept[domain].argsort()
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order))
    return h[back]


def step():
    optimizer.zero_grad()
    if phase == "pretrain":
        for domain in (0, 1):
            softmax_loss(domain, encode(domain, P), P).backward()
    elif phase == "finetune":
        vectors = encode(1, P)
        (softmax_loss(1, vectors, P) + recommendation_loss(vectors, P)).backward()
    else:
        for _ in range(5):
            with torch.no_grad():
                h_a, h_b = (torch.cat(encode(domain, P)) for domain in (0, 1))
            critic_optimizer.zero_grad()
            share = torch.rand(len(h_a), 1)
            (critic(h_b).mean() - critic(h_a).mean()
             + 0.1 * critic.penalty(share * h_a + (1 - share) * h_b)).backward()
            critic_optimizer.step()
        generator_loss(P)[0].backward()
    optimizer.step()


def check():
    if phase == "pretrain":
        return sum(softmax_loss(domain, encode(domain, 0), 0).item() for domain in (0, 1))
    if phase == "finetune":
        vectors = encode(1, 0)
        return (softmax_loss(1, vectors, 0) + recommendation_loss(vectors, 0)).item()
    loss, h = generator_loss(0)
    return (loss + critic.penalty(0.5 * (h[0] + h[1]))).item()


def peak_mib():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


model, critic = Model(), Critic()
batches = [read_batch(domain) for domain in (0, 1)]
integers_kept = [integers(f"lengths{domain}") for domain in (0, 1)]
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9)
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9)
for line in sys.stdin:
    command = line.split()
    if command[0] == "threads":
        torch.set_num_threads(int(command[1]))
        answer = 0
    elif command[0] == "check":
        answer = check()
    elif command[0] == "round":
        start = time.perf_counter()
        step()
        answer = time.perf_counter() - start
    else:
        answer = peak_mib()
    print(answer, flush=True)
